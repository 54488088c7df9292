//! What can be asked for.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::{Parser, ValueEnum, builder::PossibleValue};

use crate::{case::Case, contender::Starter, direction::Direction, endpoints::Endpoints, part::Part};

/// Measures gantry against a bare program, from RabbitMQ to Kafka and from Kafka to RabbitMQ.
///
/// Needs both brokers (`scripts/brokers up`) and the binaries gantry and gantry-bench-floor. `scripts/bench`
/// sees to all of it.
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

    /// Messages of a run, of all its bridges together [default: 200000, quick: 5000].
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

    /// Where gantry and the floor are [default: beside this program].
    #[arg(long, value_name = "DIR")]
    bin_dir: Option<PathBuf>,

    /// Where the results go, as JSON.
    #[arg(long, default_value = "target/bench/results.json")]
    pub(crate) out: PathBuf,

    #[command(flatten)]
    pub(crate) endpoints: Endpoints,

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
        let has_part = |case: &Case| self.wants(case.part) || case.part == Part::Rate && self.wants(Part::Latency);
        let wanted = move |case: &Case| has_part(case) && (self.cases.is_empty() || self.cases.contains(case));
        Case::ALL.into_iter().filter(wanted)
    }

    /// The directions to measure, in order.
    pub(crate) fn directions(&self) -> impl Iterator<Item = Direction> {
        let wanted = |direction: &Direction| self.directions.is_empty() || self.directions.contains(direction);
        Direction::BOTH.into_iter().filter(wanted)
    }

    /// Whether brokers are needed for what is wanted.
    pub(crate) fn needs_brokers(&self) -> bool {
        let compares = self.directions().any(|direction| self.cases().any(|case| case.goes(direction)));
        compares || self.wants(Part::Scale) || self.wants(Part::Neighbours)
    }

    pub(crate) fn measures_anything(&self) -> bool {
        self.needs_brokers() || self.wants(Part::OwnCost)
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

    /// What starts the programs.
    pub(crate) fn starter(&self) -> Result<Starter> {
        Starter::new(self.binary("gantry-bench-floor")?, self.binary("gantry")?, self.endpoints.clone())
    }

    /// The path of a program to measure.
    fn binary(&self, name: &str) -> Result<PathBuf> {
        let directory = match &self.bin_dir {
            Some(directory) => directory.clone(),
            None => std::env::current_exe().context("finding this program")?.with_file_name(""),
        };
        let path = directory.join(name);
        anyhow::ensure!(path.is_file(), "no {}: build it, or say where it is with --bin-dir", path.display());
        Ok(path)
    }

    /// The processes of RabbitMQ and Kafka, as far as they are known.
    pub(crate) fn broker_pids(&self) -> [Option<i32>; 2] {
        let from_file =
            |name: &str| std::fs::read_to_string(self.brokers_dir.join(name).join("pid")).ok()?.trim().parse().ok();
        [self.rabbitmq_pid.or_else(|| from_file("rabbitmq")), self.kafka_pid.or_else(|| from_file("kafka"))]
    }
}
