//! Runs commands that need no broker, on files of their own.

use std::{fs, path::Path, process::Command};

use serde_json::Value as Json;
use tempfile::TempDir;

/// A directory with configuration files, in which commands run: messages name files as a person would.
pub(crate) struct Files {
    directory: TempDir,
}

/// What a command did.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Files {
    /// These files, by name and content.
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().expect("making a temporary directory");
        for (name, text) in files {
            fs::write(directory.path().join(name), text).expect("writing a configuration");
        }
        Self { directory }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Runs `gantry` with these arguments and only these environment variables.
    pub(crate) fn gantry(&self, args: &[&str], variables: &[(&str, &str)]) -> Ended {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gantry"));
        command.current_dir(self.path()).args(args).env_clear().envs(variables.iter().copied());
        let output = command.output().expect("running gantry");
        Ended {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).expect("gantry prints UTF-8"),
            err: String::from_utf8(output.stderr).expect("gantry prints UTF-8"),
        }
    }
}

#[allow(dead_code, reason = "each test crate uses its part of it")]
impl Ended {
    /// The lines of standard output.
    pub(crate) fn lines(&self) -> Vec<&str> {
        self.out.lines().collect()
    }

    /// Standard output as JSON.
    pub(crate) fn json(&self) -> Json {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}
