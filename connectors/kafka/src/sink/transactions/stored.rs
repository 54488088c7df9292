//! Reads the stored positions back: from the beginning of their topic up to the end that it had when older sinks were fenced. Blocks.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use gantry_sdk::{Checkpoints, Error, ErrorKind, Position, Result, health::Condition};
use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer as _},
    error::KafkaError,
    types::RDKafkaErrorCode as Code,
};

use super::position;
use crate::{
    client::{BaseContext, ClientState},
    error,
    sink::{plan::Plan, sink_state::SinkState, transaction_identity::Identity},
};

/// How long one question may take before it is seen whether the answer is still wanted.
const SLICE: Duration = Duration::from_millis(500);
/// Between two looks for the end of others' transactions.
const LOOK: Duration = Duration::from_millis(50);
/// How long nothing may come.
const PATIENCE: Duration = Duration::from_secs(30);
/// After a transaction's time is over, its broker may take so long to abort it: it looks every 10 s.
const BROKERS_LOOK: Duration = Duration::from_secs(30);
/// Positions have one partition.
const PARTITION: i32 = 0;

type Consumer = BaseConsumer<BaseContext>;

/// A reader of the topic.
struct Reader<'a> {
    shared: &'a SinkState,
    plan: &'a Plan,
    identity: &'a Identity,
}

/// The positions that are committed.
pub(super) fn read(shared: &SinkState) -> Result<Checkpoints> {
    let plan = &*shared.writer.plan;
    let Some(identity) = &plan.identity else { return Ok(Checkpoints::default()) };
    let reader = Reader { shared, plan, identity };
    let (_, end) = reader.bounds(&reader.consumer("read_uncommitted")?)?;
    let committed = reader.consumer("read_committed")?;
    let begin = reader.wait_until_stable(&committed, end)?;
    reader.read(&committed, begin)
}

impl Reader<'_> {
    /// A consumer without a group: librdkafka wants a name for one, and nothing is ever asked of it.
    fn consumer(&self, isolation: &str) -> Result<Consumer> {
        let (plan, connection) = (self.plan, &self.plan.options.connection);
        let mut config = ClientConfig::new();
        config.set_log_level(RDKafkaLogLevel::Critical);
        config.set("client.id", plan.client_id());
        connection.apply(&mut config);
        config.set("group.id", plan.client_id());
        config.set("enable.auto.commit", "false").set("enable.auto.offset.store", "false");
        config.set("isolation.level", isolation).set("enable.partition.eof", "true");
        // The end is told by an answer without records: the broker is not to wait for some.
        config.set("fetch.wait.max.ms", "10");
        config.set("auto.offset.reset", "earliest").set("allow.auto.create.topics", "false");
        let base_context = connection.base_context(Arc::new(ClientState::new(plan.who())));
        config.create_with_context(base_context).map_err(|failed| error::client_error(self.doing(), &failed))
    }

    /// Where the topic begins, and where it ends for this consumer: behind the last record, or before the first that is not decided.
    fn bounds(&self, consumer: &Consumer) -> Result<(i64, i64)> {
        let deadline = Instant::now() + self.plan.connect_timeout().max(SLICE);
        loop {
            self.shared.wanted()?;
            let failed = match consumer.fetch_watermarks(&self.identity.topic, PARTITION, SLICE) {
                Ok(bounds) => return Ok(bounds),
                Err(failed) => failed,
            };
            // Serves what librdkafka has to say, and its wish for a token.
            consumer.poll(LOOK);
            let trouble = consumer.context().client_state.errors();
            if is_final(&failed) {
                return Err(self.refused(&failed));
            }
            if Instant::now() >= deadline {
                let why = trouble.refusal.or(trouble.transport).unwrap_or_else(|| error::plain(&failed));
                return Err(Error::disconnected(format!("{}: {why}", self.doing())));
            }
        }
    }

    /// A transaction of anybody's that is not decided hides what follows it, until it is committed or its broker aborts it. Returns where
    /// the topic begins.
    fn wait_until_stable(&self, committed: &Consumer, end: i64) -> Result<i64> {
        let deadline = Instant::now() + self.identity.timeout.saturating_add(BROKERS_LOOK);
        let health = &self.plan.context.health;
        loop {
            // Sees first whether it is still wanted.
            let (begin, stable) = self.bounds(committed)?;
            // Its successor has the same health.
            self.shared.wanted()?;
            if stable >= end {
                health.set(Condition::Up);
                return Ok(begin);
            }
            let reason = format!(
                "waiting for transactions of others on topic \"{}\" to end: stored positions may lie behind them",
                self.identity.topic
            );
            if Instant::now() >= deadline {
                return Err(Error::disconnected(format!("{}: {reason}", self.doing())));
            }
            health.set(Condition::Down(reason.into()));
            committed.poll(LOOK);
        }
    }

    fn read(&self, consumer: &Consumer, begin: i64) -> Result<Checkpoints> {
        let mut assignment = TopicPartitionList::with_capacity(1);
        let assigned = assignment
            .add_partition_offset(&self.identity.topic, PARTITION, Offset::Offset(begin))
            .and_then(|()| consumer.assign(&assignment));
        assigned.map_err(|failed| error::client_error(self.doing(), &failed))?;
        let mut found = HashMap::new();
        let mut news = Instant::now();
        while news.elapsed() < PATIENCE {
            self.shared.wanted()?;
            let message = match consumer.poll(SLICE) {
                Some(Ok(message)) => message,
                Some(Err(KafkaError::PartitionEOF(_))) => return self.positions(found),
                Some(Err(failed)) if is_final(&failed) => return Err(self.refused(&failed)),
                // It tries again by itself; that it does so for too long is seen above.
                None | Some(Err(_)) => continue,
            };
            news = Instant::now();
            self.take(&mut found, message.key(), message.payload());
        }
        Err(Error::disconnected(format!("{}: the broker sends nothing", self.doing())))
    }

    /// The last record of each lane counts. One without a value is how a person makes a lane begin anew.
    fn take(&self, found: &mut HashMap<Arc<str>, Vec<u8>>, key: Option<&[u8]>, value: Option<&[u8]>) {
        let Some(lane) = key.and_then(|key| position::lane_of(&self.identity.owner, key)) else { return };
        match value {
            Some(value) => found.insert(lane.into(), value.to_vec()),
            None => found.remove(&*lane),
        };
    }

    fn positions(&self, found: HashMap<Arc<str>, Vec<u8>>) -> Result<Checkpoints> {
        let position = |(lane, value): (Arc<str>, Vec<u8>)| {
            let text = || format!("{}: what is stored for lane \"{lane}\" is no position", self.doing());
            let position = position::position_of(&value).ok_or_else(|| Error::new(ErrorKind::Refused, text()))?;
            Ok((lane, position))
        };
        let positions: Result<HashMap<Arc<str>, Position>> = found.into_iter().map(position).collect();
        positions.map(Arc::new)
    }

    fn doing(&self) -> String {
        format!("reading the positions in topic \"{}\"", self.identity.topic)
    }

    fn refused(&self, failed: &KafkaError) -> Error {
        match failed.rdkafka_error_code() {
            Some(Code::TopicAuthorizationFailed) => Error::new(
                ErrorKind::Refused,
                format!("{}: not authorised: grant READ, WRITE and DESCRIBE on it", self.doing()),
            ),
            _ => error::client_error(self.doing(), failed),
        }
    }
}

/// Whether trying again cannot help.
fn is_final(failed: &KafkaError) -> bool {
    matches!(failed.rdkafka_error_code(), Some(Code::TopicAuthorizationFailed | Code::Fatal))
}
