//! Keeps the source's health true while it runs. librdkafka reconnects by itself and says little: an error is a reason to
//! ask the cluster, and to go on asking for a while.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use gantry_sdk::{Error, ErrorKind, health::Condition};
use rdkafka::{consumer::Consumer as _, error::KafkaResult};

use super::{events::Consumer, plan::Plan};
use crate::{
    client::{ANY_TOPIC, LOCKED_OUT},
    error,
};

/// How often it looks.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long asking the cluster may take; events wait for so long.
const PROBE: Duration = Duration::from_secs(1);

/// How long it goes on looking after an error. librdkafka tells only once that it lost a broker, and the cluster takes some
/// seconds to notice it (`broker.session.timeout.ms`: 9 s).
const VIGIL: Duration = Duration::from_secs(30);

pub(super) struct Watch {
    looked: Instant,
    down_since: Option<Instant>,
    /// It goes on looking until then.
    vigil: Instant,
}

impl Watch {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self { looked: now, down_since: None, vigil: now }
    }

    /// Looks, if it is time to. The error is that this instance will not work again.
    pub(super) fn look(&mut self, consumer: &Consumer, plan: &Plan) -> Result<(), Error> {
        if self.looked.elapsed() < INTERVAL {
            return Ok(());
        }
        let now = Instant::now();
        self.looked = now;
        let client_state = &consumer.context().base_context.client_state;
        if let Some(lost) = client_state.brokers.lost() {
            return Err(Error::disconnected(format!("{}: {lost}", plan.doing())));
        }
        if client_state.take_suspicion() {
            self.vigil = now + VIGIL;
        } else if self.down_since.is_none() && now >= self.vigil {
            return Ok(());
        }
        let failed = match leaderless(consumer, plan) {
            Ok(found) => {
                self.down_since = None;
                if found.is_some() {
                    self.vigil = now + VIGIL;
                }
                client_state.forgive();
                plan.context.health.set(found.map_or(Condition::Up, |reason| Condition::Down(reason.into())));
                return Ok(());
            }
            Err(failed) => failed,
        };
        let trouble = client_state.errors();
        let refused = trouble.refusal.is_some();
        let why = trouble.refusal.or(trouble.transport).unwrap_or_else(|| error::plain(&failed));
        let reason = format!("no connection to Kafka at {}: {why}", plan.options.connection.address());
        let since = *self.down_since.get_or_insert_with(Instant::now);
        if refused && since.elapsed() >= LOCKED_OUT {
            return Err(Error::new(ErrorKind::Refused, reason));
        }
        plan.context.health.set(Condition::Down(reason.into()));
        Ok(())
    }
}

/// Which of our partitions nobody leads: until somebody does, nothing comes of them. Of several topics it names the first. The
/// error is that nobody answered.
fn leaderless(consumer: &Consumer, plan: &Plan) -> KafkaResult<Option<String>> {
    let assigned = consumer.assignment()?;
    let ours: BTreeSet<(String, i32)> =
        assigned.elements().iter().map(|element| (element.topic().to_owned(), element.partition())).collect();
    let topics: BTreeSet<&str> = ours.iter().map(|(topic, _)| topic.as_str()).collect();
    let asked = match topics.len() {
        0 => Some(plan.options.named().next().unwrap_or(ANY_TOPIC)),
        1 => topics.first().copied(),
        _ => None,
    };
    let metadata = consumer.fetch_metadata(asked, PROBE)?;
    let found = metadata.topics().iter().find_map(|topic| {
        let is_ours = |partition: i32| ours.contains(&(topic.name().to_owned(), partition));
        let partitions =
            topic.partitions().iter().filter(|partition| partition.leader() < 0 && is_ours(partition.id()));
        let partitions: Vec<i32> = partitions.map(|partition| partition.id()).collect();
        (!partitions.is_empty())
            .then(|| format!("partitions {partitions:?} of topic \"{}\" have no leader", topic.name()))
    });
    Ok(found)
}
