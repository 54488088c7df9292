//! librdkafka's callbacks. They run on the member's thread, only take down what happened, and never block.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use rdkafka::{
    ClientContext, TopicPartitionList,
    client::OAuthToken,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer as _, ConsumerContext},
    error::KafkaError,
    types::RDKafkaRespErr,
};

use super::{
    findings::{Findings, Reset},
    lag::{self, Standing},
    place::{Place, places},
};
use crate::client::BaseContext;

/// Our consumer.
pub(super) type Consumer = BaseConsumer<Events>;

/// What happened, in order.
#[derive(Debug)]
pub(super) enum News {
    /// These partitions are ours as soon as we say so.
    Assigned(Vec<Place>),
    /// These are to be given up, or are gone already.
    Revoked { places: Vec<Place>, lost: bool },
}

/// Where librdkafka's callbacks go.
#[derive(Debug)]
pub(super) struct Events {
    pub base_context: BaseContext,
    /// Somebody wants to see librdkafka's lines for debugging; else they are read and not shown.
    debug: bool,
    inner: Mutex<Inner>,
    /// Nobody deals with news any more: partitions come and go at once, so that the consumer can end.
    closing: AtomicBool,
}

#[derive(Debug, Default)]
struct Inner {
    news: VecDeque<News>,
    standings: Option<Vec<Standing>>,
    findings: Findings,
    /// librdkafka's own words for the last error.
    reason: String,
}

impl Events {
    pub(super) fn new(base_context: BaseContext, debug: bool) -> Self {
        Self { base_context, debug, inner: Mutex::default(), closing: AtomicBool::new(false) }
    }

    /// These partitions are ours without a group's saying so.
    pub(super) fn assign(&self, places: Vec<Place>) {
        self.lock().news.push_back(News::Assigned(places));
    }

    pub(super) fn next_news(&self) -> Option<News> {
        self.lock().news.pop_front()
    }

    pub(super) fn take_standings(&self) -> Option<Vec<Standing>> {
        self.lock().standings.take()
    }

    /// The id of a topic, as far as it is known.
    pub(super) fn topic_id(&self, topic: &str) -> Option<Arc<str>> {
        self.lock().findings.id(topic)
    }

    /// Topics that were deleted and created again since the last call.
    pub(super) fn take_recreated(&self) -> BTreeSet<String> {
        self.lock().findings.take_recreated()
    }

    /// Offsets that were not there, since the last call.
    pub(super) fn take_resets(&self) -> BTreeMap<Place, Reset> {
        self.lock().findings.take_resets()
    }

    /// What librdkafka said of the error that it gave last.
    pub(super) fn reason(&self) -> String {
        self.lock().reason.clone()
    }

    pub(super) fn close(&self) {
        self.closing.store(true, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Lists and texts: usable whatever panicked while holding them.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for Events {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        self.lock().findings.take(text);
        if self.debug || !matches!(level, RDKafkaLogLevel::Debug) {
            self.base_context.log(level, facility, text);
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        reason.clone_into(&mut self.lock().reason);
        self.base_context.error(error, reason);
    }

    fn stats_raw(&self, statistics: &[u8]) {
        self.lock().standings = lag::standings(statistics);
        self.base_context.stats_raw(statistics);
    }

    fn generate_oauth_token(&self, config: Option<&str>) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        self.base_context.generate_oauth_token(config)
    }
}

impl ConsumerContext for Events {
    /// librdkafka waits for `incremental_assign` and `incremental_unassign`, and goes on with heartbeats meanwhile; so they
    /// may come later, from ordinary code.
    fn rebalance(&self, consumer: &Consumer, code: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let assigned = code == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        if self.closing.load(Ordering::Relaxed) {
            // What fails at the end fails with the end.
            let _ = if assigned { consumer.incremental_assign(list) } else { consumer.incremental_unassign(list) };
            return;
        }
        let places = places(list);
        self.lock().news.push_back(if assigned {
            News::Assigned(places)
        } else {
            News::Revoked { places, lost: consumer.assignment_lost() }
        });
    }
}
