//! Runs `gantry dlq`.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
};

/// What a command did.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

fn command(config: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gantry"));
    let (what, options) = arguments.split_first().expect("list, show, replay or discard");
    command.args(["dlq", what, "b", "-c"]).arg(config).args(options).stdin(Stdio::null());
    command
}

/// `gantry dlq` of the bridge `b`, to its end.
pub(crate) fn dlq(config: &Path, arguments: &[&str]) -> Ended {
    let output = command(config, arguments).output().expect("running gantry");
    Ended {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).expect("gantry prints UTF-8"),
        err: String::from_utf8(output.stderr).expect("gantry prints UTF-8"),
    }
}

/// The same, left running.
pub(crate) fn start(config: &Path, arguments: &[&str]) -> Child {
    command(config, arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("starting gantry")
}

/// What `list --json` says.
pub(crate) fn list(config: &Path) -> serde_json::Value {
    let ended = dlq(config, &["list", "--json"]);
    serde_json::from_str(&ended.out).unwrap_or_else(|error| panic!("{error}: {ended:?}"))
}

/// How many letters there are.
pub(crate) fn count(config: &Path) -> u64 {
    list(config)["letters"].as_u64().expect("a count")
}

/// The first letter of the largest group.
pub(crate) fn first_id(config: &Path) -> String {
    list(config)["groups"][0]["example"].as_str().expect("an example").to_owned()
}
