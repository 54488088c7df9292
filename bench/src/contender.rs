//! The two programs that are compared, and how each is told what to do.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};
use serde::Serialize;
use serde_json::{Value as Json, json};

use crate::{case::Case, cli::Options, direction::Direction, process::Process};

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

/// From where to where.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Journey<'a> {
    pub(crate) direction: Direction,
    pub(crate) queue: &'a str,
    pub(crate) topic: &'a str,
    pub(crate) case: Case,
}

/// Starts programs.
#[derive(Debug)]
pub(crate) struct Starter {
    floor: PathBuf,
    floor_to_rabbitmq: PathBuf,
    gantry: PathBuf,
    amqp_url: String,
    bootstrap_servers: String,
    /// For configurations and logs.
    directory: tempfile::TempDir,
}

impl Starter {
    pub(crate) fn new(options: &Options) -> Result<Self> {
        Ok(Self {
            floor: options.binary("gantry-bench-floor")?,
            floor_to_rabbitmq: options.binary("gantry-bench-floor-to-rabbitmq")?,
            gantry: options.binary("gantry")?,
            amqp_url: options.amqp_url.clone(),
            bootstrap_servers: options.bootstrap_servers.clone(),
            directory: tempfile::Builder::new().prefix("gantry-bench-").tempdir().context("making a directory")?,
        })
    }

    /// Starts one of the two on that route.
    pub(crate) fn start(&self, contender: Contender, route: Journey<'_>) -> Result<Process> {
        match contender {
            Contender::Floor => {
                let mut command = Command::new(match route.direction {
                    Direction::ToKafka => &self.floor,
                    Direction::ToRabbitmq => &self.floor_to_rabbitmq,
                });
                command.args([&self.amqp_url, route.queue, &self.bootstrap_servers, route.topic]);
                if route.case.headers {
                    command.arg("--headers");
                }
                Process::start(command, "floor", self.directory.path())
            }
            Contender::Gantry => self.start_gantry(&self.configuration(route)),
        }
    }

    /// The connections `rabbit` and `events` of a configuration.
    pub(crate) fn connections(&self) -> Json {
        json!({
            "rabbit": { "rabbitmq": { "urls": ["${env:GANTRY_BENCH_AMQP_URL}"] } },
            "events": { "kafka": { "bootstrap_servers": self.bootstrap_servers } },
        })
    }

    /// Starts gantry on this configuration.
    pub(crate) fn start_gantry(&self, yaml: &str) -> Result<Process> {
        let file = self.directory.path().join("gantry.yaml");
        fs::write(&file, yaml).with_context(|| format!("writing {}", file.display()))?;
        let mut command = gantry(&self.gantry, &file);
        command.env("GANTRY_BENCH_AMQP_URL", &self.amqp_url);
        Process::start(command, "gantry", self.directory.path())
    }

    /// Everything at its default, but for two things that the floor does not do either: without headers in the messages
    /// it maps none, and nobody asks it for metrics, so it takes any port.
    fn configuration(&self, Journey { direction, queue, topic, case }: Journey<'_>) -> String {
        let mapping = if case.headers { "" } else { ", header_mapping: { include: [] }" };
        let (source, sink) = match direction {
            Direction::ToKafka => (
                format!(r#"rabbitmq: {{ connection: rabbit, queue: "{queue}", prefetch: 2000 }}"#),
                format!(r#"kafka: {{ connection: events, topic: "{topic}", linger: 5ms{mapping} }}"#),
            ),
            Direction::ToRabbitmq => (
                format!(r#"kafka: {{ connection: events, topic: "{topic}", group: "{topic}"{mapping} }}"#),
                format!(r#"rabbitmq: {{ connection: rabbit, queue: "{queue}" }}"#),
            ),
        };
        format!(
            r#"control: {{ listen: "127.0.0.1:0" }}
connections: {}
bridges:
  bench:
    source: {{ {source} }}
    sink: {{ {sink} }}
"#,
            self.connections()
        )
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
