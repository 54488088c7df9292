//! What happens when: cases, rounds, and the two programs in turn.

use std::{collections::BTreeSet, time::Duration};

use anyhow::Result;

use crate::{
    case::Case,
    cli::{Options, Part},
    contender::{Contender, Direction, Journey, Starter},
    kafka::{Header, Kafka, PREFIX},
    latency::{self, Latencies},
    own_cost::{self, OwnCost},
    rabbit::Rabbit,
    rate::{self, Rate},
    usage::CpuClock,
};

/// How long the brokers may take to become quiet after queues were filled and topics removed.
const QUIET_DEADLINE: Duration = Duration::from_secs(30);
/// How long both must be quiet at a stretch.
const QUIET_WINDOW: Duration = Duration::from_millis(500);
/// What counts as quiet: a part of one core. Both brokers' own timers and the management plugin use less.
const QUIET_CORES: f64 = 0.2;

/// Cores that others may use before the numbers are in doubt. The kernel's own work for the network is among them.
const CROWDED_CORES: f64 = 0.3;

/// Everything that the runs use.
pub(crate) struct Bench {
    pub(crate) rabbit: Rabbit,
    pub(crate) kafka: Kafka,
    pub(crate) starter: Starter,
    pub(crate) brokers: Brokers,
}

/// The CPU time of the brokers, where it can be had.
pub(crate) struct Brokers {
    pub(crate) rabbitmq: Option<CpuClock>,
    pub(crate) kafka: Option<CpuClock>,
}

/// All that was measured.
pub(crate) struct Results {
    pub(crate) quick: bool,
    pub(crate) messages: u64,
    pub(crate) records: u64,
    pub(crate) pace: u64,
    pub(crate) cases: Vec<CaseResults>,
    pub(crate) own_cost: Vec<OwnCost>,
    /// What a reader must know before believing the numbers.
    pub(crate) doubts: BTreeSet<String>,
}

/// One case: rounds in which first the floor ran, then gantry.
pub(crate) struct CaseResults {
    pub(crate) direction: Direction,
    pub(crate) case: Case,
    pub(crate) rates: Vec<[Rate; 2]>,
    pub(crate) latencies: Option<[Latencies; 2]>,
}

/// The order within a round.
pub(crate) const CONTENDERS: [Contender; 2] = [Contender::Floor, Contender::Gantry];

/// Measures everything that was asked for.
pub(crate) async fn all(options: &Options) -> Result<Results> {
    let starter = Starter::new(options)?;
    let mut results = Results {
        quick: options.is_quick(),
        messages: options.messages(),
        records: options.records(),
        pace: options.pace,
        cases: Vec::new(),
        own_cost: Vec::new(),
        doubts: BTreeSet::new(),
    };
    if options.wants(Part::OwnCost) {
        results.own_cost = own_cost::measure(&starter, options.records(), options.rounds()).await?;
    }
    if options.wants(Part::Rate) || options.wants(Part::Latency) {
        let [rabbitmq, kafka] = options.broker_pids().map(|pid| pid.and_then(|pid| CpuClock::of(pid).ok()));
        for (name, clock) in [("RabbitMQ", &rabbitmq), ("Kafka", &kafka)] {
            if clock.is_none() {
                results.doubts.insert(format!("{name}'s process is not known: its CPU is not counted"));
            }
        }
        let bench = Bench {
            rabbit: Rabbit::connect(&options.amqp_url).await?,
            kafka: Kafka::connect(&options.bootstrap_servers).await?,
            starter,
            brokers: Brokers { rabbitmq, kafka },
        };
        for direction in options.directions() {
            if options.wants(Part::Rate) {
                bench.warm_up(direction, options).await?;
            }
            for case in options.cases() {
                results.cases.push(bench.case(direction, case, options, &mut results.doubts).await?);
            }
        }
    }
    Ok(results)
}

impl Bench {
    /// A round that is not counted: Kafka's first requests are slow until its virtual machine has compiled what they need.
    async fn warm_up(&self, direction: Direction, options: &Options) -> Result<()> {
        eprintln!("{direction}: warming up");
        for contender in CONTENDERS {
            self.rate(contender, direction, Case::ALL[0], options).await?;
        }
        Ok(())
    }

    async fn case(
        &self,
        direction: Direction,
        case: Case,
        options: &Options,
        doubts: &mut BTreeSet<String>,
    ) -> Result<CaseResults> {
        let mut results = CaseResults { direction, case, rates: Vec::new(), latencies: None };
        for round in 1..=options.rounds() {
            eprintln!("{direction}: {case}, round {round} of {}", options.rounds());
            if options.wants(Part::Rate) {
                let [floor, gantry] = [
                    self.rate(Contender::Floor, direction, case, options).await?,
                    self.rate(Contender::Gantry, direction, case, options).await?,
                ];
                doubts.extend(compare(case, &floor.headers, &gantry.headers));
                if floor.cores_used_by_others.max(gantry.cores_used_by_others) > CROWDED_CORES {
                    doubts.insert("others used this machine meanwhile: see the column \"others\", in cores".to_owned());
                }
                results.rates.push([floor, gantry]);
            }
            if options.wants(Part::Latency) {
                let latencies = results.latencies.get_or_insert_default();
                for (contender, latencies) in CONTENDERS.into_iter().zip(latencies) {
                    self.latency(contender, direction, case, options, latencies).await?;
                }
            }
        }
        Ok(results)
    }

    async fn rate(&self, contender: Contender, direction: Direction, case: Case, options: &Options) -> Result<Rate> {
        self.on_fresh_route(contender, direction, case, async |route| {
            rate::measure(self, contender, route, options.messages()).await
        })
        .await
    }

    async fn latency(
        &self,
        contender: Contender,
        direction: Direction,
        case: Case,
        options: &Options,
        into: &mut Latencies,
    ) -> Result<()> {
        let (pace, messages) = (options.pace, options.paced_messages());
        self.on_fresh_route(contender, direction, case, async |route| {
            latency::measure(self, contender, route, pace, messages, into).await
        })
        .await
    }

    /// Creates an empty queue and an empty topic, and removes them afterwards.
    async fn on_fresh_route<T>(
        &self,
        contender: Contender,
        direction: Direction,
        case: Case,
        run: impl AsyncFnOnce(Journey<'_>) -> Result<T>,
    ) -> Result<T> {
        let millis = std::time::UNIX_EPOCH.elapsed().unwrap_or_default().as_millis();
        let name = format!("{PREFIX}{contender}-{millis}");
        let route = Journey { direction, queue: &name, topic: &name, case };
        self.rabbit.create(route.queue).await?;
        self.kafka.create(route.topic).await?;
        let result = run(route).await?;
        self.rabbit.finish(route.queue).await?;
        self.kafka.delete(route.topic).await?;
        Ok(result)
    }

    /// Returns when both brokers have nothing more to do, so that no run pays for what came before it.
    pub(crate) async fn quiet(&self) {
        let started = std::time::Instant::now();
        while started.elapsed() < QUIET_DEADLINE {
            let before = self.brokers.busy();
            tokio::time::sleep(QUIET_WINDOW).await;
            let cores = (self.brokers.busy() - before).as_secs_f64() / QUIET_WINDOW.as_secs_f64();
            if cores < QUIET_CORES {
                return;
            }
        }
        eprintln!("  the brokers are still busy after {QUIET_DEADLINE:?}; measuring all the same");
    }
}

impl Brokers {
    /// The CPU time of both.
    pub(crate) fn busy(&self) -> Duration {
        [&self.rabbitmq, &self.kafka].into_iter().flatten().map(CpuClock::read).sum()
    }
}

/// Both must have done the same work: written the same headers.
fn compare(case: Case, floor: &[Header], gantry: &[Header]) -> Option<String> {
    let only = |one: &[Header], other: &[Header]| -> Vec<String> {
        let missing = one.iter().filter(|header| !other.contains(header));
        missing
            .map(|(name, value)| format!("{name}={}", String::from_utf8_lossy(value.as_deref().unwrap_or(b"null"))))
            .collect()
    };
    let (floor_only, gantry_only) = (only(floor, gantry), only(gantry, floor));
    (floor != gantry).then(|| {
        format!(
            "{case}: the programs wrote different headers; only the floor: {}; only gantry: {}",
            floor_only.join(", "),
            gantry_only.join(", ")
        )
    })
}
