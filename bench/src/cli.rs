//! What can be asked for.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::{Parser, ValueEnum, builder::PossibleValue};
use lapin::uri::AMQPUri;

use crate::{case::Case, direction::Direction};

/// Measures gantry against a bare program, from RabbitMQ to Kafka and from Kafka to RabbitMQ.
///
/// Needs both brokers (`scripts/brokers up`) and the binaries gantry, gantry-bench-floor and
/// gantry-bench-floor-to-rabbitmq. `scripts/bench` sees to all of it.
#[derive(Debug, Parser)]
pub(crate) struct Options {
    /// A smoke run: few messages, one round. Its numbers mean nothing.
    #[arg(long)]
    quick: bool,

    /// Measure only this; can be given several times.
    #[arg(long, value_name = "PART")]
    only: Vec<Part>,

    /// Measure only this case; can be given several times.
    #[arg(long = "case", value_name = "CASE")]
    cases: Vec<Case>,

    /// Measure only this direction; can be given several times.
    #[arg(long = "direction", value_name = "DIRECTION")]
    directions: Vec<Direction>,

    /// Messages of each of the rate runs [default: 200000, quick: 5000].
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    messages: Option<u64>,

    /// How often each program runs each case [default: 3, quick: 1].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,

    /// Messages a second of the latency runs.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..100_000))]
    pub(crate) pace: u64,

    /// Seconds of latency runs for each program and case, spread over the rounds [default: 20, quick: 2].
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    latency_seconds: Option<u64>,

    /// Records of an own-cost run [default: 20000000, quick: 200000].
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    records: Option<u64>,

    /// Where gantry and the floors are [default: beside this program].
    #[arg(long, value_name = "DIR")]
    bin_dir: Option<PathBuf>,

    /// Where the results go, as JSON.
    #[arg(long, default_value = "target/bench/results.json")]
    pub(crate) out: PathBuf,

    /// RabbitMQ.
    #[arg(
        long,
        env = "GANTRY_TEST_AMQP_URL",
        default_value = "amqp://guest:guest@127.0.0.1:21672/%2f",
        hide_env_values = true
    )]
    pub(crate) amqp_url: String,

    /// Kafka.
    #[arg(long, env = "GANTRY_TEST_KAFKA", default_value = "127.0.0.1:21092")]
    pub(crate) bootstrap_servers: String,

    /// RabbitMQ's process, to count its CPU [default: from the state directory of scripts/brokers].
    #[arg(long, value_name = "PID")]
    rabbitmq_pid: Option<i32>,

    /// Kafka's process, to count its CPU [default: from the state directory of scripts/brokers].
    #[arg(long, value_name = "PID")]
    kafka_pid: Option<i32>,

    /// The state directory of scripts/brokers.
    #[arg(long, env = "GANTRY_BROKERS_DIR", default_value = ".brokers", value_name = "DIR")]
    brokers_dir: PathBuf,
}

/// What can be measured by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// Messages a second, CPU a message, memory.
    Rate,
    /// From due to arrived, at a steady pace; only from RabbitMQ to Kafka.
    Latency,
    /// gantry without brokers.
    OwnCost,
    /// Memory, threads, wake-ups of one process with many bridges.
    Scale,
}

impl ValueEnum for Case {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name).help(self.to_string()))
    }
}

impl Options {
    pub(crate) fn wants(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }

    /// The cases to measure, in order.
    pub(crate) fn cases(&self) -> impl Iterator<Item = Case> {
        Case::ALL.into_iter().filter(|case| self.cases.is_empty() || self.cases.contains(case))
    }

    /// The directions to measure, in order.
    pub(crate) fn directions(&self) -> impl Iterator<Item = Direction> {
        let wanted = |direction: &Direction| self.directions.is_empty() || self.directions.contains(direction);
        [Direction::ToKafka, Direction::ToRabbitmq].into_iter().filter(wanted)
    }

    pub(crate) fn is_quick(&self) -> bool {
        self.quick
    }

    pub(crate) fn messages(&self) -> u64 {
        self.messages.unwrap_or(if self.quick { 5_000 } else { 200_000 })
    }

    pub(crate) fn rounds(&self) -> u32 {
        self.rounds.unwrap_or(if self.quick { 1 } else { 3 })
    }

    /// Messages of one latency run.
    pub(crate) fn paced_messages(&self) -> u64 {
        let seconds = self.latency_seconds.unwrap_or(if self.quick { 2 } else { 20 });
        (seconds * self.pace).div_ceil(u64::from(self.rounds()))
    }

    pub(crate) fn records(&self) -> u64 {
        self.records.unwrap_or(if self.quick { 200_000 } else { 20_000_000 })
    }

    /// The path of a program to measure.
    pub(crate) fn binary(&self, name: &str) -> Result<PathBuf> {
        let directory = match &self.bin_dir {
            Some(directory) => directory.clone(),
            None => std::env::current_exe().context("finding this program")?.with_file_name(""),
        };
        let path = directory.join(name);
        anyhow::ensure!(path.is_file(), "no {}: build it, or say where it is with --bin-dir", path.display());
        Ok(path)
    }

    /// The port that RabbitMQ listens on.
    pub(crate) fn amqp_port(&self) -> Result<u16> {
        // The parser's own words may quote the URL, which holds a password.
        let uri: AMQPUri = self.amqp_url.parse().map_err(|_| anyhow::anyhow!("--amqp-url is no AMQP URL"))?;
        Ok(uri.authority.port)
    }

    /// The processes of RabbitMQ and Kafka, as far as they are known.
    pub(crate) fn broker_pids(&self) -> [Option<i32>; 2] {
        let from_file =
            |name: &str| std::fs::read_to_string(self.brokers_dir.join(name).join("pid")).ok()?.trim().parse().ok();
        [self.rabbitmq_pid.or_else(|| from_file("rabbitmq")), self.kafka_pid.or_else(|| from_file("kafka"))]
    }
}
