//! A Kafka message as a record. Total: there is no message that does not become one.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use gantry_sdk::{Origin, Record, Value};
use rdkafka::{Message as _, message::BorrowedMessage};

use super::plan::Plan;
use crate::headers::{decode, read};

/// Values up to this size share memory: one allocation for many of them.
const SMALL: usize = 4 << 10;
/// How much they share.
const CHUNK: usize = 64 << 10;
/// How long nothing more is told of what is the same for every record.
const QUIET: Duration = Duration::from_secs(60);

/// The header that says how many headers could not be read.
pub(super) const UNREADABLE: &str = "gantry.unreadable_headers";

/// Makes records, one after the other.
pub(super) struct Converter {
    plan: Arc<Plan>,
    chunk: BytesMut,
    /// When it told of headers that it cannot read.
    told: Option<Instant>,
}

impl Converter {
    pub(super) fn new(plan: Arc<Plan>) -> Self {
        Self { plan, chunk: BytesMut::new(), told: None }
    }

    /// The message as a record. The topic is given: it is the same for all of a lane.
    pub(super) fn record(&mut self, message: &BorrowedMessage<'_>, topic: &ByteString) -> Record {
        let mut record = Record {
            key: message.key().map(|key| self.copy(key)),
            value: message.payload().map(|value| self.copy(value)),
            timestamp: message.timestamp().to_millis(),
            origin: Origin::new("topic", topic.clone())
                .with("partition", message.partition())
                .with("offset", message.offset()),
            ..Record::default()
        };
        if message.headers().is_some() {
            self.headers(message, &mut record);
        }
        record
    }

    fn headers(&mut self, message: &BorrowedMessage<'_>, record: &mut Record) {
        let (list, unreadable) = match decode::native(message.headers()) {
            Ok(list) => (list, 0),
            Err(decode::Unreadable) => read::readable(message.headers()),
        };
        self.plan.headers.fill(&list, record);
        if unreadable > 0 {
            record.headers.push(UNREADABLE, Value::U32(unreadable));
            self.tell_of_unreadable(message);
        }
    }

    /// Tells it of the first one, and then once a minute.
    fn tell_of_unreadable(&mut self, message: &BorrowedMessage<'_>) {
        if self.told.is_some_and(|told| told.elapsed() < QUIET) {
            return;
        }
        self.told = Some(Instant::now());
        tracing::warn!(
            bridge = &*self.plan.context.bridge,
            "the record at offset {} of partition {} of topic \"{}\" has headers whose name is not UTF-8: they are left out, \
             and its header {UNREADABLE} says how many; others like it are not told for a minute",
            message.offset(),
            message.partition(),
            message.topic()
        );
    }

    /// librdkafka's memory goes with its message, so the bytes are copied, once.
    fn copy(&mut self, bytes: &[u8]) -> Bytes {
        if bytes.len() > SMALL {
            return Bytes::copy_from_slice(bytes);
        }
        if self.chunk.capacity() < bytes.len() {
            self.chunk = BytesMut::with_capacity(CHUNK);
        }
        self.chunk.extend_from_slice(bytes);
        self.chunk.split().freeze()
    }
}
