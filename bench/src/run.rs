//! What happens when: one part after the other.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};

use crate::{
    bench::{Bench, Brokers},
    cli::Options,
    compare::{self, CaseResults},
    contender::Starter,
    kafka::Kafka,
    neighbours::{self, Neighbours},
    own_cost::{self, OwnCost},
    part::Part,
    rabbit::{self, Rabbit},
    scale::{self, Scale},
    usage::CpuClock,
};

/// All that was measured.
pub(crate) struct Results {
    pub(crate) quick: bool,
    pub(crate) messages: u64,
    pub(crate) records: u64,
    pub(crate) pace: u64,
    /// RabbitMQ's version, where it was needed and is known.
    pub(crate) rabbitmq: Option<String>,
    pub(crate) cases: Vec<CaseResults>,
    pub(crate) own_cost: Vec<OwnCost>,
    pub(crate) scale: Vec<Scale>,
    pub(crate) neighbours: Vec<Neighbours>,
    /// What a reader must know before believing the numbers.
    pub(crate) doubts: BTreeSet<String>,
}

/// Measures everything that was asked for.
pub(crate) async fn all(options: &Options) -> Result<Results> {
    ensure!(options.measures_anything(), "nothing to measure: no --case and --direction belongs to an --only");
    let starter = options.starter()?;
    let mut results = Results {
        quick: options.is_quick(),
        messages: options.messages(),
        records: options.records(),
        pace: options.pace,
        rabbitmq: None,
        cases: Vec::new(),
        own_cost: Vec::new(),
        scale: Vec::new(),
        neighbours: Vec::new(),
        doubts: BTreeSet::new(),
    };
    if options.wants(Part::OwnCost) {
        results.own_cost = own_cost::measure(&starter, options.records(), options.rounds()).await?;
    }
    if options.needs_brokers() {
        let bench = connect(options, starter, &mut results).await?;
        if options.wants(Part::Scale) {
            results.scale = scale::measure(&bench, options.endpoints.amqp_port()?, options.is_quick()).await?;
        }
        results.cases = compare::measure(&bench, options, &mut results.doubts).await?;
        if options.wants(Part::Neighbours) {
            let (messages, rounds) = (options.messages(), options.rounds());
            results.neighbours = neighbours::measure(&bench, messages, rounds, &mut results.doubts).await?;
        }
    }
    Ok(results)
}

async fn connect(options: &Options, starter: Starter, results: &mut Results) -> Result<Bench> {
    let [rabbitmq, kafka] = options.broker_pids().map(|pid| pid.and_then(|pid| CpuClock::of(pid).ok()));
    for (name, clock) in [("RabbitMQ", &rabbitmq), ("Kafka", &kafka)] {
        if clock.is_none() {
            results.doubts.insert(format!("{name}'s process is not known: its CPU is not counted"));
        }
    }
    results.rabbitmq = rabbit::version().await;
    if results.rabbitmq.is_none() {
        results.doubts.insert("RabbitMQ's management API does not tell its version".to_owned());
    }
    Ok(Bench {
        rabbit: Rabbit::connect(&options.endpoints.amqp_url).await?,
        kafka: Kafka::connect(&options.endpoints.bootstrap_servers).await?,
        starter,
        brokers: Brokers { rabbitmq, kafka },
    })
}
