//! Reads a topic up to its end, partition after partition. Blocks.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use gantry_sdk::{
    Error, ErrorKind, Result,
    dead_letters::{Entry, LetterLog},
};
use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer as _},
    error::KafkaError,
    message::BorrowedMessage,
    types::RDKafkaErrorCode as Code,
};

use super::{letter, store::Store};
use crate::{client::BaseContext, error};

/// One look for messages.
const TURN: Duration = Duration::from_millis(100);
/// How long nothing may come before the end of a partition.
const PATIENCE: Duration = Duration::from_secs(30);

/// A topic between two offsets.
pub(super) struct Reader {
    store: Arc<Store>,
    consumer: BaseConsumer<BaseContext>,
    doing: String,
    partitions: Vec<Partition>,
}

#[derive(Debug, Clone, Copy)]
struct Partition {
    number: i32,
    begin: i64,
    /// The first offset that does not belong to it any more.
    end: i64,
}

impl Reader {
    /// Connects, and fixes the end.
    pub(super) fn open(store: Arc<Store>) -> Result<Self> {
        let mut config = ClientConfig::new();
        config.set_log_level(RDKafkaLogLevel::Warning);
        config.set("client.id", store.client_id());
        store.connection.apply(&mut config);
        // Without a group there is no assignment; nothing is ever committed to this one.
        config.set("group.id", store.client_id());
        config.set("enable.auto.commit", "false").set("enable.auto.offset.store", "false");
        config.set("isolation.level", "read_committed").set("enable.partition.eof", "true");
        config.set("auto.offset.reset", "earliest").set("allow.auto.create.topics", "false");
        // A letter may be as large as brokers take; memory is bounded all the same.
        config.set("receive.message.max.bytes", "1000000000").set("queued.max.messages.kbytes", "16384");
        let doing = store.doing();
        let base_context = store.base_context();
        let consumer: BaseConsumer<BaseContext> =
            config.create_with_context(base_context).map_err(|failed| error::client_error(doing.clone(), &failed))?;
        let timeout = store.connection.connect_timeout.0;
        let mut reader = Self { store, consumer, doing, partitions: Vec::new() };
        reader.partitions = reader.look(timeout)?;
        Ok(reader)
    }

    fn look(&self, timeout: Duration) -> Result<Vec<Partition>> {
        let failed = |failed: KafkaError| {
            let silence = silence(self.consumer.context(), || error::plain(&failed));
            match error::client_error(self.doing.clone(), &failed) {
                other if other.kind() != ErrorKind::Disconnected => other,
                _ => Error::disconnected(format!("{}: {silence}", self.doing)),
            }
        };
        let metadata = self.consumer.fetch_metadata(Some(&self.store.topic), timeout).map_err(failed)?;
        let found = metadata.topics().iter().find(|found| found.name() == self.store.topic);
        let found = match found.map(|found| (found, found.error().map(Code::from))) {
            Some((found, None)) => found,
            None | Some((_, Some(Code::UnknownTopicOrPartition | Code::UnknownTopic))) => {
                let message = format!("{}: it does not exist: nothing was ever written there", self.doing);
                return Err(Error::new(ErrorKind::Missing, message));
            }
            Some((_, Some(code))) => return Err(failed(KafkaError::MetadataFetch(code))),
        };
        let watermarks = |number: i32| {
            let (begin, end) = self.consumer.fetch_watermarks(&self.store.topic, number, timeout).map_err(failed)?;
            Ok(Partition { number, begin, end })
        };
        found.partitions().iter().map(|partition| watermarks(partition.id())).collect()
    }

    /// `false`: nobody wants more.
    fn read_partition(
        &self,
        partition: Partition,
        each: &mut impl FnMut(&BorrowedMessage<'_>) -> bool,
    ) -> Result<bool> {
        let mut assignment = TopicPartitionList::with_capacity(1);
        let assigned = assignment
            .add_partition_offset(&self.store.topic, partition.number, Offset::Offset(partition.begin))
            .and_then(|()| self.consumer.assign(&assignment));
        assigned.map_err(|failed| error::client_error(self.doing.clone(), &failed))?;
        let mut news = Instant::now();
        while news.elapsed() < PATIENCE {
            let message = match self.consumer.poll(TURN) {
                None => continue,
                Some(Ok(message)) => message,
                Some(Err(KafkaError::PartitionEOF(number))) if number == partition.number => return Ok(true),
                Some(Err(failed)) if is_final(&failed) => {
                    return Err(error::client_error(self.doing.clone(), &failed));
                }
                // It tries again by itself; that it does so for too long is seen above.
                Some(Err(_)) => continue,
            };
            news = Instant::now();
            if message.partition() != partition.number {
                continue;
            }
            if message.offset() < partition.end && !each(&message) {
                return Ok(false);
            }
            if message.offset() + 1 >= partition.end {
                return Ok(true);
            }
        }
        let silence = silence(self.consumer.context(), || "the broker sends nothing".to_owned());
        Err(Error::disconnected(format!("{}: {silence}", self.doing)))
    }
}

impl LetterLog for Reader {
    fn read(&mut self, each: &mut dyn FnMut(Entry<'_>) -> bool) -> Result<()> {
        let mut each = |message: &BorrowedMessage<'_>| {
            each(match letter::marks(message) {
                Some(marks) => Entry::Marks(marks),
                None => Entry::Letter(letter::id(message), Box::new(|| letter::read(&self.store, message))),
            })
        };
        for partition in self.partitions.iter().filter(|partition| partition.begin < partition.end) {
            if !self.read_partition(*partition, &mut each)? {
                break;
            }
        }
        Ok(())
    }
}

/// Why nobody answers, as well as librdkafka has said it so far.
fn silence(base_context: &BaseContext, otherwise: impl FnOnce() -> String) -> String {
    let trouble = base_context.client_state.errors();
    trouble.refusal.or(trouble.transport).unwrap_or_else(otherwise)
}

/// Whether trying again cannot help.
fn is_final(failed: &KafkaError) -> bool {
    matches!(
        failed.rdkafka_error_code(),
        Some(
            Code::TopicAuthorizationFailed
                | Code::UnknownTopic
                | Code::UnknownTopicOrPartition
                | Code::UnknownPartition
                | Code::Fatal
        )
    )
}
