//! How fast a full queue is emptied, and at what cost.
//!
//! The clock runs from the first delivery (the queue first has fewer messages than were put in) until the topic holds
//! them all. CPU time is read at the same two moments, so starting up and shutting down are left out.

use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use serde::Serialize;

use crate::{
    bench::{Bench, Brokers},
    contender::{Contender, Journey},
    direction::Direction,
    kafka::Header,
    process::{LOOK, Process, eventually},
    usage::{machine_cpu, own_cpu},
};

/// How long a program may take from its start to the first message.
const START_DEADLINE: Duration = Duration::from_secs(60);
/// How long a program may go without delivering anything.
const STALL_DEADLINE: Duration = Duration::from_secs(30);
/// Between two looks at the queue before the first delivery: small against any run, and the queue does nothing else yet.
const FIRST_LOOK: Duration = Duration::from_millis(1);

/// One run.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Rate {
    pub(crate) messages_per_second: f64,
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

/// Fills the queue or the topic, lets the program empty it, and checks what arrived.
pub(crate) async fn measure(bench: &Bench, contender: Contender, route: Journey<'_>, messages: u64) -> Result<Rate> {
    match route.direction {
        Direction::ToKafka => bench.rabbit.fill(route.queue, route.case, messages).await?,
        Direction::ToRabbitmq => bench.kafka.fill(route.topic, route.case, messages).await?,
    }
    bench.quiet().await;
    let mut process = bench.starter.start(contender, route)?;
    let first = first_delivery(bench, route, messages, &mut process).await?;
    until_complete(bench, route, messages, &mut process).await?;
    let last = Sample::take(&process, &bench.brokers);
    let peak_memory_bytes = process.footprint().peak_bytes().ok();
    process.terminate().await?;
    let count = arrived(bench, route).await?;
    ensure!(count == messages, "{contender} made {count} of {messages} messages");
    let headers = check_all(bench, route, messages).await?;
    let rate = Rate { peak_memory_bytes, headers, ..last.since(&first, messages) };
    eprintln!(
        "  {contender:<6} {:>7.0} messages/s, {:.2} µs CPU a message",
        rate.messages_per_second, rate.cpu_us_per_message
    );
    Ok(rate)
}

/// Messages that the program has delivered.
async fn arrived(bench: &Bench, route: Journey<'_>) -> Result<u64> {
    match route.direction {
        Direction::ToKafka => bench.kafka.count(route.topic),
        Direction::ToRabbitmq => Ok(bench.rabbit.ready(route.queue).await?.into()),
    }
}

/// Reads all of them; the headers of the first.
async fn check_all(bench: &Bench, route: Journey<'_>, messages: u64) -> Result<Vec<Header>> {
    match route.direction {
        Direction::ToKafka => {
            let mut reader = bench.kafka.reader(route.topic)?;
            reader.read_all(messages, route.case.size)?;
            Ok(reader.first_headers())
        }
        Direction::ToRabbitmq => bench.rabbit.read_all(route.queue, messages, route.case.size).await,
    }
}

/// The clocks just before the first message left the queue, or came into it: before that the program joins its group.
async fn first_delivery(bench: &Bench, route: Journey<'_>, messages: u64, process: &mut Process) -> Result<Sample> {
    let started = Instant::now();
    while started.elapsed() < START_DEADLINE {
        let sample = Sample::take(process, &bench.brokers);
        let ready = u64::from(bench.rabbit.ready(route.queue).await?);
        let has_begun = match route.direction {
            Direction::ToKafka => ready < messages,
            Direction::ToRabbitmq => ready > 0,
        };
        if has_begun {
            return Ok(sample);
        }
        process.check()?;
        tokio::time::sleep(FIRST_LOOK).await;
    }
    Err(process.complaint(&format!("took no message within {START_DEADLINE:?}")))
}

async fn until_complete(bench: &Bench, route: Journey<'_>, messages: u64, process: &mut Process) -> Result<()> {
    let mut seen = 0;
    while seen < messages {
        let before = seen;
        seen = eventually("more messages delivered", STALL_DEADLINE, async || {
            process.check()?;
            Ok(Some(arrived(bench, route).await?).filter(|count| *count > before))
        })
        .await
        .map_err(|error| process.complaint(&format!("delivered {before} of {messages} messages: {error}")))?;
        if seen > messages {
            bail!("{seen} of {messages} messages");
        }
        if seen < messages {
            tokio::time::sleep(LOOK).await;
        }
    }
    Ok(())
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
