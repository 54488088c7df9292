//! Keeps the sink's health true while it runs.
//!
//! librdkafka retries by itself and says little: that all brokers are down, once, and nothing when they are back; and it
//! says the same when a broker merely closed an idle connection. So an error is only a reason to ask the cluster, and
//! silence with records waiting is one too.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use gantry_sdk::{Failure, health::Condition};
use rdkafka::producer::Producer as _;

use super::{
    STAGE,
    cluster::{self, TopicState},
    sink_state::SinkState,
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
    reports: u64,
    progressed: Instant,
    down_since: Option<Instant>,
}

impl Watch {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self { looked: now, reports: 0, progressed: now, down_since: None }
    }

    /// Looks, if it is time to.
    pub(super) fn look(&mut self, shared: &SinkState) {
        let now = Instant::now();
        if now.duration_since(self.looked) < INTERVAL {
            return;
        }
        self.looked = now;
        if shared.client_state.errors().fatal {
            let fatal = shared.producer().client().fatal_error();
            if let (Some(transaction), Some((code, text))) = (shared.delivery.transaction(), &fatal) {
                shared.delivery.stop(Failure::ended(STAGE, &transaction.fatal(*code, text)));
                return;
            }
            let reason = fatal.map_or_else(String::new, |(_, text)| text);
            let reason = format!("the producer cannot go on: {reason}");
            shared.delivery.stop(Failure::retriable(STAGE, reason));
            return;
        }
        if let Some(lost) = shared.client_state.brokers.lost() {
            let address = shared.writer.plan.options.connection.address();
            shared.delivery.stop(Failure::retriable(STAGE, format!("no connection to Kafka at {address}: {lost}")));
            return;
        }
        let (reports, waiting) = shared.delivery.progress();
        if reports != self.reports || !waiting {
            self.reports = reports;
            self.progressed = now;
        }
        let stalled = now.duration_since(self.progressed) >= STALLED;
        if !(shared.client_state.take_suspicion() || stalled || self.down_since.is_some()) {
            return;
        }
        match trouble(shared, stalled) {
            Ok(None) => {
                self.down_since = None;
                shared.client_state.forgive();
                shared.writer.plan.context.health.set(Condition::Up);
            }
            Ok(Some(reason)) => self.tell(shared, reason, now),
            Err(reason) => {
                // Without a connection nothing can be confirmed: that is no stall.
                self.progressed = now;
                self.tell(shared, reason, now);
            }
        }
    }

    fn tell(&mut self, shared: &SinkState, reason: String, now: Instant) {
        let for_long = now.duration_since(*self.down_since.get_or_insert(now));
        if shared.client_state.errors().refusal.is_some() && for_long >= LOCKED_OUT {
            shared.delivery.stop(Failure::retriable(STAGE, reason));
        } else {
            shared.writer.plan.context.health.set(Condition::Down(reason.into()));
        }
    }
}

/// Asks the cluster what is wrong, if anything is; the error is that it does not answer.
fn trouble(shared: &SinkState, stalled: bool) -> Result<Option<String>, String> {
    let plan = &*shared.writer.plan;
    let topic: Arc<str> = plan.topic.clone().unwrap_or_else(|| ANY_TOPIC.into());
    let address = plan.options.connection.address();
    match cluster::topic_state(shared.producer(), &topic, PROBE) {
        Err(error) => Err(format!("no connection to Kafka at {address}: {}", shared.silence(&error))),
        Ok(TopicState::Ready { leaderless }) if plan.topic.is_some() && !leaderless.is_empty() => {
            Ok(Some(format!("partitions {leaderless:?} of topic \"{topic}\" have no leader")))
        }
        Ok(_) if stalled => Ok(Some(format!(
            "Kafka at {address} answers but has confirmed no record for {} s and longer: are enough replicas in sync?",
            STALLED.as_secs()
        ))),
        Ok(_) => Ok(None),
    }
}
