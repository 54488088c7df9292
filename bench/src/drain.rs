//! How fast the programs empty what is full, and at what cost.
//!
//! The clock runs from the first arrival at a target until every target holds all of its messages. What has arrived at the first look
//! does not count. CPU time is read at the same two moments, so starting up and shutting down are left out: a connection that is slow to
//! be made, or a client that has to ask something first, makes no program slower.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde::Serialize;

use crate::{
    bench::{Bench, Brokers},
    direction::Direction,
    kafka::Header,
    process::{LOOK, Process, eventually},
    route::Route,
    usage::{machine_cpu, own_cpu},
};

/// How long a program may take from its start to the first message.
const START_DEADLINE: Duration = Duration::from_secs(60);
/// How long a program may go without delivering anything.
const STALL_DEADLINE: Duration = Duration::from_secs(30);
/// Between two looks at the targets before the first arrival: small against any run, and they do nothing else yet.
const FIRST_LOOK: Duration = Duration::from_millis(1);

/// One run.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Rate {
    /// Of all bridges together.
    pub(crate) messages_per_second: f64,
    /// Of the first bridge alone, until it had delivered everything.
    pub(crate) first_bridge_messages_per_second: f64,
    pub(crate) cpu_us_per_message: f64,
    pub(crate) rabbitmq_cpu_us_per_message: Option<f64>,
    pub(crate) kafka_cpu_us_per_message: Option<f64>,
    pub(crate) peak_memory_bytes: Option<u64>,
    pub(crate) seconds: f64,
    /// Cores that others on this machine used meanwhile: the measurement's weather.
    pub(crate) cores_used_by_others: f64,
    /// What the first record's headers were.
    #[serde(skip)]
    pub(crate) headers: Vec<Header>,
}

/// The clocks at one moment.
struct Sample {
    at: Instant,
    program: Duration,
    rabbitmq: Option<Duration>,
    kafka: Option<Duration>,
    ourselves: Duration,
    machine: Duration,
}

/// Watches a program that has begun, or will, until it has delivered everything; each bridge has so many messages.
pub(crate) async fn measure(bench: &Bench, route: &Route, of_a_bridge: u64, process: &mut Process) -> Result<Rate> {
    let (first, mut seen) = first_arrival(bench, route, process).await?;
    let left = |seen: &[u64]| seen.iter().map(|seen| of_a_bridge.saturating_sub(*seen)).sum::<u64>().max(1);
    let (all, of_first_bridge) = (left(&seen), left(&seen[..1]));
    let first_complete = until_complete(bench, route, of_a_bridge, process, &mut seen).await?;
    let last = Sample::take(process, &bench.brokers);
    Ok(Rate {
        first_bridge_messages_per_second: of_first_bridge as f64 / (first_complete - first.at).as_secs_f64(),
        peak_memory_bytes: process.footprint().peak_bytes().ok(),
        ..last.since(&first, all)
    })
}

/// Messages that have arrived at that target.
pub(crate) async fn arrived(bench: &Bench, direction: Direction, target: &str) -> Result<u64> {
    match direction {
        Direction::ToKafka => bench.kafka.count(target),
        Direction::ToRabbitmq => Ok(bench.rabbit.ready(target).await?.into()),
    }
}

/// The clocks just before the first messages were seen at a target, and how many there were at each.
async fn first_arrival(bench: &Bench, route: &Route, process: &mut Process) -> Result<(Sample, Vec<u64>)> {
    let started = Instant::now();
    while started.elapsed() < START_DEADLINE {
        let sample = Sample::take(process, &bench.brokers);
        let mut seen = Vec::new();
        for ends in &route.bridges {
            seen.push(arrived(bench, route.direction, &ends.target).await?);
        }
        if seen.iter().any(|count| *count > 0) {
            return Ok((sample, seen));
        }
        process.check()?;
        tokio::time::sleep(FIRST_LOOK).await;
    }
    Err(process.complaint(&format!("delivered nothing within {START_DEADLINE:?}")))
}

/// Returns when all bridges have delivered everything; when the first of them had.
async fn until_complete(
    bench: &Bench,
    route: &Route,
    of_a_bridge: u64,
    process: &mut Process,
    seen: &mut [u64],
) -> Result<Instant> {
    let mut first_complete = None;
    loop {
        if first_complete.is_none() && seen.first() == Some(&of_a_bridge) {
            first_complete = Some(Instant::now());
        }
        match first_complete {
            Some(at) if seen.iter().all(|seen| *seen == of_a_bridge) => return Ok(at),
            _ => tokio::time::sleep(LOOK).await,
        }
        let before: u64 = seen.iter().sum();
        let looking = eventually("more messages delivered", STALL_DEADLINE, async || {
            process.check()?;
            for (ends, seen) in route.bridges.iter().zip(&mut *seen).filter(|(_, seen)| **seen < of_a_bridge) {
                *seen = arrived(bench, route.direction, &ends.target).await?;
                if *seen > of_a_bridge {
                    bail!("{seen} of {of_a_bridge} messages are in {}", ends.target);
                }
            }
            Ok((seen.iter().sum::<u64>() > before).then_some(()))
        });
        looking.await.map_err(|error| process.complaint(&format!("delivered {before} messages: {error}")))?;
    }
}

impl Sample {
    fn take(process: &Process, brokers: &Brokers) -> Self {
        Self {
            at: Instant::now(),
            program: process.cpu.read(),
            rabbitmq: brokers.rabbitmq.as_ref().map(|clock| clock.read()),
            kafka: brokers.kafka.as_ref().map(|clock| clock.read()),
            ourselves: own_cpu(),
            machine: machine_cpu(),
        }
    }

    fn since(&self, first: &Self, messages: u64) -> Rate {
        let seconds = (self.at - first.at).as_secs_f64();
        let a_message = |time: Duration| time.as_secs_f64() * 1e6 / messages as f64;
        let program = self.program.saturating_sub(first.program);
        let [rabbitmq, kafka] = [(self.rabbitmq, first.rabbitmq), (self.kafka, first.kafka)]
            .map(|(last, first)| last.zip(first).map(|(last, first)| last.saturating_sub(first)));
        let ourselves = self.ourselves.saturating_sub(first.ourselves);
        let known = program + ourselves + rabbitmq.unwrap_or_default() + kafka.unwrap_or_default();
        let others = self.machine.saturating_sub(first.machine).saturating_sub(known);
        Rate {
            messages_per_second: messages as f64 / seconds,
            first_bridge_messages_per_second: 0.0,
            cpu_us_per_message: a_message(program),
            rabbitmq_cpu_us_per_message: rabbitmq.map(a_message),
            kafka_cpu_us_per_message: kafka.map(a_message),
            peak_memory_bytes: None,
            seconds,
            cores_used_by_others: others.as_secs_f64() / seconds,
            headers: Vec::new(),
        }
    }
}
