//! Keeps the health of a producer's sinks true while it runs.
//!
//! librdkafka retries by itself and says little: that all brokers are down, once, and nothing when they are back; and it
//! says the same when a broker merely closed an idle connection. So an error is only a reason to ask the cluster, and
//! silence with records waiting is one too. The cluster is asked once for each topic, however many sinks write to it.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use gantry_sdk::{Failure, health::Condition};
use rdkafka::producer::Producer as _;

use super::{
    cluster::{self, TopicState},
    delivery::Delivery,
    producer::ProducerState,
    stage::STAGE,
};
use crate::client::{ANY_TOPIC, LOCKED_OUT};

/// How often it looks.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long asking the cluster may take; reports wait for so long.
const PROBE: Duration = Duration::from_secs(1);
/// Records that wait so long without one being confirmed are worth telling.
const STALLED: Duration = Duration::from_secs(10);

/// What it saw last.
#[derive(Debug)]
pub(super) struct Watch {
    looked: Instant,
    down_since: Option<Instant>,
    /// Which topic is asked for next, when there are more than one look has time for.
    next: usize,
}

impl Watch {
    /// Of a producer whose sinks come from another the cluster is asked at once: they may have been without it.
    pub(super) fn new(is_successor: bool) -> Self {
        let now = Instant::now();
        Self { looked: now, down_since: is_successor.then_some(now), next: 0 }
    }

    /// Looks, if it is time to.
    pub(super) fn look(&mut self, producer: &ProducerState) {
        let now = Instant::now();
        if now.duration_since(self.looked) < INTERVAL {
            return;
        }
        self.looked = now;
        let sinks: Vec<_> = producer.members.all().iter().map(|member| Arc::clone(member.delivery())).collect();
        let sinks: Vec<_> = sinks.into_iter().filter(|sink| sink.is_watched()).collect();
        if sinks.is_empty() || has_ended(producer, &sinks) {
            return;
        }
        if producer.is_shared() {
            for sink in &sinks {
                if let Some(failure) = sink.overdue() {
                    sink.stop(failure);
                }
            }
        }
        let stalled = sinks.iter().any(|sink| sink.is_stalled(STALLED));
        if producer.client_state.take_suspicion() || stalled || self.down_since.is_some() {
            self.ask(producer, &sinks, now);
        }
    }

    /// Asks the cluster what is wrong, if anything is.
    fn ask(&mut self, producer: &ProducerState, sinks: &[Arc<Delivery>], now: Instant) {
        let address = producer.spec.connection.address();
        let topics: BTreeSet<Option<&Arc<str>>> = sinks.iter().map(|sink| sink.topic()).collect();
        let mut fine = true;
        let mut asked = 0;
        for topic in topics.iter().copied().cycle().skip(self.next).take(topics.len()) {
            if asked > 0 && now.elapsed() >= PROBE {
                // The others are asked at the next look.
                fine = false;
                break;
            }
            asked += 1;
            let state = cluster::topic_state(producer, topic.map_or(ANY_TOPIC, |topic| topic), PROBE);
            let state = match state {
                Ok(state) => state,
                Err(error) => {
                    let reason = format!("no connection to Kafka at {address}: {}", producer.silence(&error));
                    // Without a connection nothing can be confirmed: that is no stall.
                    sinks.iter().for_each(|sink| sink.restart_pace());
                    self.tell(producer, sinks.iter(), &reason, now);
                    return;
                }
            };
            for sink in sinks.iter().filter(|sink| sink.topic() == topic) {
                match trouble(&state, topic, sink, &address) {
                    None => sink.health().set(Condition::Up),
                    Some(reason) => {
                        fine = false;
                        self.tell(producer, [sink].into_iter(), &reason, now);
                    }
                }
            }
        }
        self.next = (self.next + asked) % topics.len().max(1);
        if fine {
            self.down_since = None;
            producer.client_state.forgive();
        } else {
            self.down_since.get_or_insert(now);
        }
    }

    fn tell<'a>(
        &mut self,
        producer: &ProducerState,
        sinks: impl Iterator<Item = &'a Arc<Delivery>>,
        reason: &str,
        now: Instant,
    ) {
        let for_long = now.duration_since(*self.down_since.get_or_insert(now));
        let is_locked_out = producer.client_state.errors().refusal.is_some() && for_long >= LOCKED_OUT;
        for sink in sinks {
            if is_locked_out {
                sink.stop(Failure::retriable(STAGE, reason));
            } else {
                sink.health().set(Condition::Down(reason.into()));
            }
        }
        if is_locked_out {
            // Whoever opens now is to get one that has read passwords and files anew.
            producer.break_up();
        }
    }
}

/// Whether the producer will never work again. Its sinks end, or go on with another if they share it.
fn has_ended(producer: &ProducerState, sinks: &[Arc<Delivery>]) -> bool {
    let stop = |failure: &Failure| sinks.iter().for_each(|sink| sink.stop(failure.clone()));
    let reason = if producer.client_state.errors().fatal {
        let fatal = producer.client().fatal_error();
        let transaction = sinks.iter().find_map(|sink| sink.transaction());
        if let (Some(transaction), Some((code, text))) = (transaction, &fatal) {
            stop(&Failure::ended(STAGE, &transaction.fatal(*code, text)));
            return true;
        }
        let reason = fatal.map_or_else(String::new, |(_, text)| text);
        format!("the producer cannot go on: {reason}")
    } else if let Some(lost) = producer.client_state.brokers.lost() {
        format!("no connection to Kafka at {}: {lost}", producer.spec.connection.address())
    } else {
        return false;
    };
    if producer.is_shared() {
        tracing::warn!("{reason}; its sinks go on with another");
        producer.break_up();
    } else {
        stop(&Failure::retriable(STAGE, reason));
    }
    true
}

/// What is wrong with a topic that a sink writes to, or with the sink's records, if anything is.
fn trouble(state: &TopicState, topic: Option<&Arc<str>>, sink: &Delivery, address: &str) -> Option<String> {
    match (state, topic) {
        (TopicState::Ready { leaderless }, Some(topic)) if !leaderless.is_empty() => {
            Some(format!("partitions {leaderless:?} of topic \"{topic}\" have no leader"))
        }
        _ => sink.is_stalled(STALLED).then(|| {
            format!(
                "Kafka at {address} answers but has confirmed no record for {} s and longer: are enough replicas in sync?",
                STALLED.as_secs()
            )
        }),
    }
}
