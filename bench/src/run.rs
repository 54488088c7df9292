//! What happens when: cases, rounds, and the two programs in turn.

use std::collections::BTreeSet;

use anyhow::Result;

use crate::{
    bench::{Bench, Brokers},
    case::Case,
    cli::{Options, Part},
    contender::{Contender, Journey, Starter},
    direction::Direction,
    kafka::{Header, Kafka, fresh_name},
    latency::{self, Latencies},
    own_cost::{self, OwnCost},
    rabbit::Rabbit,
    rate::{self, Rate},
    scale::{self, Scale},
    usage::CpuClock,
};

/// Cores that others may use before the numbers are in doubt. The kernel's own work for the network is among them.
const CROWDED_CORES: f64 = 0.3;

/// All that was measured.
pub(crate) struct Results {
    pub(crate) quick: bool,
    pub(crate) messages: u64,
    pub(crate) records: u64,
    pub(crate) pace: u64,
    pub(crate) cases: Vec<CaseResults>,
    pub(crate) own_cost: Vec<OwnCost>,
    pub(crate) scale: Vec<Scale>,
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
        scale: Vec::new(),
        doubts: BTreeSet::new(),
    };
    if options.wants(Part::OwnCost) {
        results.own_cost = own_cost::measure(&starter, options.records(), options.rounds()).await?;
    }
    let compares = options.wants(Part::Rate) || options.wants(Part::Latency);
    if compares || options.wants(Part::Scale) {
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
        if options.wants(Part::Scale) {
            results.scale = scale::measure(&bench, options.amqp_port()?, options.is_quick()).await?;
        }
        if compares {
            bench.compare(options, &mut results).await?;
        }
    }
    Ok(results)
}

impl Bench {
    /// Both programs, in each direction and case.
    async fn compare(&self, options: &Options, results: &mut Results) -> Result<()> {
        for direction in options.directions() {
            if options.wants(Part::Rate) {
                self.warm_up(direction, options).await?;
            }
            for case in options.cases() {
                results.cases.push(self.case(direction, case, options, &mut results.doubts).await?);
            }
        }
        Ok(())
    }

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
        let name = fresh_name(contender);
        let route = Journey { direction, queue: &name, topic: &name, case };
        self.rabbit.create(route.queue).await?;
        self.kafka.create(route.topic).await?;
        let result = run(route).await?;
        self.rabbit.finish(route.queue).await?;
        self.kafka.delete(route.topic).await?;
        Ok(result)
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
