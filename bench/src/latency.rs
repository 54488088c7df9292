//! How long a message takes at a steady pace.
//!
//! Message number n is due at a fixed moment, and its latency runs from that moment until a consumer of ours has it at the
//! other end: a message that waits because another one stalled is not let off.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use hdrhistogram::Histogram;
use tokio::{runtime::Handle, task::spawn_blocking};

use crate::{
    arrivals::Arrivals,
    bench::Bench,
    contender::Contender,
    direction::Direction,
    kafka::{self, Writer},
    message::Message,
    process::{Process, eventually},
    rabbit::{self, Rabbit},
    route::Route,
};

/// How long a program may take until it consumes.
const START_DEADLINE: Duration = Duration::from_secs(60);
/// How long the last message may take.
const ARRIVAL_DEADLINE: Duration = Duration::from_secs(30);
/// Seconds of messages that are sent first and not counted: the producer's first requests ask for more than usual.
const WARM_UP_SECONDS: u64 = 1;
/// From starting both ends to the first message, so that neither is late for it.
const LEAD: Duration = Duration::from_millis(500);
/// The longest latency that is told apart: a minute, in microseconds.
const LONGEST: u64 = 60_000_000;

/// Latencies of all rounds of one program, in microseconds.
#[derive(Debug, Clone)]
pub(crate) struct Latencies(pub(crate) Histogram<u64>);

impl Default for Latencies {
    fn default() -> Self {
        #[expect(clippy::expect_used, reason = "fails only for bounds that make no sense, and these are constants")]
        Self(Histogram::new_with_bounds(1, LONGEST, 3).expect("the bounds make sense"))
    }
}

/// When messages are due.
#[derive(Debug, Clone, Copy)]
struct Schedule {
    first: Instant,
    pace: u64,
    warm_up: u64,
    last: u64,
}

impl Schedule {
    fn due(self, sequence: u64) -> Instant {
        self.first + Duration::from_nanos((sequence - 1) * 1_000_000_000 / self.pace)
    }
}

/// Where messages go in.
enum Entrance {
    Queue { rabbit: Rabbit, queue: String },
    Topic(Writer),
}

/// Where they come out.
enum Exit {
    Topic(kafka::Reader),
    Queue(Box<rabbit::Reader>),
}

/// Sends `messages` at that pace through the program, and adds their latencies to `into`.
pub(crate) async fn measure(
    bench: &Bench,
    contender: Contender,
    route: &Route,
    pace: u64,
    messages: u64,
    into: &mut Latencies,
) -> Result<()> {
    let (source, target) = route.only()?;
    let mut process = bench.starter.start(contender, route)?;
    let sent = until_it_consumes(bench, route, &mut process).await?;
    bench.quiet().await;
    let warm_up = WARM_UP_SECONDS * pace;
    let schedule = Schedule { first: Instant::now() + LEAD, pace, warm_up, last: warm_up + messages };
    let message = route.case.message;
    let arrivals = Arrivals::new(message.size, 1);
    let (entrance, exit) = match route.direction {
        Direction::ToKafka => (
            Entrance::Queue { rabbit: bench.rabbit.clone(), queue: source.to_owned() },
            Exit::Topic(bench.kafka.reader(target, arrivals)?),
        ),
        Direction::ToRabbitmq => (
            Entrance::Topic(bench.kafka.writer(source)?),
            Exit::Queue(Box::new(bench.rabbit.reader(target, arrivals).await?)),
        ),
    };
    // Threads of their own: neither end may wait for a turn on the runtime.
    let collecting = spawn_blocking(move || collect(exit, schedule));
    spawn_blocking(move || send(entrance, message, schedule, sent)).await.context("sending")??;
    let latencies = collecting.await.context("collecting")??;
    process.terminate().await?;
    eprintln!("  {contender:<6} {:>7.1} ms median latency", latencies.value_at_quantile(0.5) as f64 / 1000.0);
    into.0.add(&latencies).context("adding up latencies")
}

/// Returns when the program consumes; how many messages that took.
async fn until_it_consumes(bench: &Bench, route: &Route, process: &mut Process) -> Result<u64> {
    let (source, target) = route.only()?;
    let sent = match route.direction {
        Direction::ToKafka => 0,
        // Nobody sees from outside that a member of a group has its partition, but by what it does.
        Direction::ToRabbitmq => 1,
    };
    if sent > 0 {
        bench.kafka.fill(source, route.case.message, (1..=sent).step_by(1)).await?;
    }
    eventually("the program consumes", START_DEADLINE, async || {
        process.check()?;
        let consumes = match route.direction {
            Direction::ToKafka => bench.rabbit.consumers(source).await?,
            Direction::ToRabbitmq => bench.rabbit.ready(target).await?,
        };
        Ok((consumes > 0).then_some(sent))
    })
    .await
}

/// Sends what was not sent yet.
fn send(entrance: Entrance, message: Message, schedule: Schedule, sent: u64) -> Result<()> {
    let runtime = Handle::current();
    for sequence in sent + 1..=schedule.last {
        let early = schedule.due(sequence).saturating_duration_since(Instant::now());
        if !early.is_zero() {
            std::thread::sleep(early);
        }
        match &entrance {
            Entrance::Queue { rabbit, queue } => runtime.block_on(rabbit.publish(queue, message, sequence))?,
            Entrance::Topic(writer) => writer.write(message, sequence)?,
        }
    }
    match entrance {
        Entrance::Queue { .. } => Ok(()),
        Entrance::Topic(writer) => writer.finish(),
    }
}

fn collect(mut exit: Exit, schedule: Schedule) -> Result<Histogram<u64>> {
    const WAIT: Duration = Duration::from_millis(100);
    let runtime = Handle::current();
    let Latencies(mut latencies) = Latencies::default();
    let deadline = schedule.due(schedule.last) + ARRIVAL_DEADLINE;
    let mut read = 0;
    while read < schedule.last {
        ensure!(Instant::now() < deadline, "{read} of {} messages arrived", schedule.last);
        let next = match &mut exit {
            Exit::Topic(reader) => reader.next(WAIT)?,
            Exit::Queue(reader) => runtime.block_on(reader.next(WAIT))?,
        };
        let Some(sequence) = next else { continue };
        read = sequence;
        if sequence > schedule.warm_up {
            let latency = schedule.due(sequence).elapsed();
            latencies.saturating_record(u64::try_from(latency.as_micros()).unwrap_or(LONGEST));
        }
    }
    Ok(latencies)
}
