//! The two programs that are compared, and how each is told what to do.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::{
    configuration::{self, Mapping},
    direction::Direction,
    endpoints::{AMQP_URL_VARIABLE, Endpoints},
    process::Process,
    route::Route,
};

/// One of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Contender {
    Floor,
    Gantry,
}

impl fmt::Display for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Floor => "floor",
            Self::Gantry => "gantry",
        })
    }
}

/// Starts programs.
#[derive(Debug)]
pub(crate) struct Starter {
    floor: PathBuf,
    gantry: PathBuf,
    pub(crate) endpoints: Endpoints,
    /// For configurations and logs.
    directory: tempfile::TempDir,
}

impl Starter {
    pub(crate) fn new(floor: PathBuf, gantry: PathBuf, endpoints: Endpoints) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("gantry-bench-").tempdir().context("making a directory")?;
        Ok(Self { floor, gantry, endpoints, directory })
    }

    /// Starts one of the two on that route.
    pub(crate) fn start(&self, contender: Contender, route: &Route) -> Result<Process> {
        match contender {
            Contender::Floor => self.start_floor(route),
            // Nobody asks it for metrics, so it takes any port.
            Contender::Gantry => self.start_gantry(&self.configuration(route, 0)?, route.case.encrypted),
        }
    }

    fn start_floor(&self, route: &Route) -> Result<Process> {
        let mut command = Command::new(&self.floor);
        command.arg(match route.direction {
            Direction::ToKafka => "to-kafka",
            Direction::ToRabbitmq => "to-rabbitmq",
        });
        command.args(self.endpoints.floor_arguments(route.case.encrypted)?);
        for bridge in &route.bridges {
            for source in &bridge.sources {
                command.arg(format!("--move={source}={}", bridge.target));
            }
        }
        if route.case.message.headers {
            command.arg("--headers");
        }
        Process::start(command, "floor", self.directory.path())
    }

    /// gantry's configuration for that route.
    pub(crate) fn configuration(&self, route: &Route, port: u16) -> Result<String> {
        let mapping = Mapping::of(route.case.message);
        let bridges = route.bridges.iter().map(|ends| configuration::bridge(route.direction, ends, mapping));
        Ok(configuration::text(&self.endpoints.connections(route.case.encrypted)?, port, bridges))
    }

    /// Starts gantry on this configuration.
    pub(crate) fn start_gantry(&self, yaml: &str, encrypted: bool) -> Result<Process> {
        let file = self.directory.path().join("gantry.yaml");
        fs::write(&file, yaml).with_context(|| format!("writing {}", file.display()))?;
        let mut command = gantry(&self.gantry, &file);
        command.env(AMQP_URL_VARIABLE, self.endpoints.url(encrypted)?);
        Process::start(command, "gantry", self.directory.path())
    }
}

/// `gantry run FILE` with nothing from our own environment that would change its configuration.
fn gantry(program: &Path, file: &Path) -> Command {
    let mut command = Command::new(program);
    command.arg("run").arg(file);
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("GANTRY__") || name == "GANTRY_LOG") {
            command.env_remove(name);
        }
    }
    command
}
