//! One record into librdkafka's queue.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use gantry_sdk::{Failure, Record};
use rdkafka::{
    message::{Header, OwnedHeaders},
    producer::BaseRecord,
    types::RDKafkaErrorCode,
};

use super::{
    STAGE,
    delivery::Token,
    events::Producer,
    limit::Limit,
    plan::{Piece, Plan},
};
use crate::{
    error::{self, Meaning},
    headers::{Out, Scratch},
    letters, names,
};

/// Writes records; shared by the sink and, after a refused batch, the pump.
pub(super) struct Writer {
    pub plan: Arc<Plan>,
    pub producer: Arc<Producer>,
    limit: Limit,
    terms: OnceLock<Terms>,
}

/// What the topic takes, known once the sink is open.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    /// How large a record may be, and who says so.
    pub limit: Limit,
    /// The sink's one topic keeps only the last record of a key.
    pub compacted: bool,
}

/// Where a record goes.
#[derive(Debug)]
pub(super) enum Destination<'a> {
    /// To the sink's one topic, which was there when the sink was opened.
    Fixed(&'a str),
    /// To a topic of a transform's choice.
    Routed(&'a str),
    /// To a topic of the template's making.
    Made(Bytes),
}

/// Why a record is not with librdkafka.
#[derive(Debug)]
pub(super) enum Obstacle {
    /// Its queue is full; the record can be offered again.
    Full,
    /// It goes to a topic that was not looked up yet.
    Unknown(String),
    /// It is the record's fault, or nothing can be sent any more.
    Failed(Failure),
}

impl Destination<'_> {
    /// Whether it is the topic that was checked when the sink was opened.
    pub(super) const fn is_fixed(&self) -> bool {
        matches!(self, Self::Fixed(_))
    }

    /// The topic's name.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Fixed(name) | Self::Routed(name) => name,
            // Made by `Writer::destination`, which lets only legal names through, and those are ASCII.
            Self::Made(name) => std::str::from_utf8(name).unwrap_or_default(),
        }
    }
}

impl Writer {
    pub(super) const fn new(plan: Arc<Plan>, producer: Arc<Producer>, limit: Limit) -> Self {
        Self { plan, producer, limit, terms: OnceLock::new() }
    }

    /// Opening found out what the topic takes.
    pub(super) fn agree(&self, terms: Terms) {
        let _ = self.terms.set(terms);
    }

    fn terms(&self) -> Terms {
        self.terms.get().copied().unwrap_or(Terms { limit: self.limit, compacted: false })
    }

    /// Where a record goes: a transform's choice, else the template's.
    pub(super) fn destination<'a>(&'a self, record: &'a Record) -> Result<Destination<'a>, Failure> {
        let refused = |reason: String| Failure::rejected(STAGE, reason);
        if let Some(name) = &record.destination {
            return names::check(name).map(|()| Destination::Routed(name)).map_err(refused);
        }
        if let Some(name) = &self.plan.topic {
            return Ok(Destination::Fixed(name));
        }
        let template = &self.plan.options.topic;
        let name = template.render(record).ok_or_else(|| {
            refused(format!("the topic \"{template}\" cannot be made: the record lacks a field that it asks for"))
        })?;
        let made = |problem: String| refused(format!("the topic template \"{template}\" made a bad name: {problem}"));
        let text = std::str::from_utf8(&name).map_err(|_| made("it is not UTF-8".to_owned()))?;
        names::check(text).map_err(made)?;
        Ok(Destination::Made(name))
    }

    /// Gives a record to librdkafka.
    pub(super) fn send(
        &self,
        record: &Record,
        topic: &str,
        token: Token,
        scratch: &mut Scratch,
    ) -> Result<(), Obstacle> {
        let plan = &*self.plan;
        let made_key;
        let key = match &plan.key {
            None => record.key.as_deref(),
            Some(piece) => {
                made_key = piece.of(record);
                made_key.as_deref()
            }
        };
        if key.is_none() && self.terms().compacted && self.plan.topic.as_deref() == Some(topic) {
            return Err(Obstacle::Failed(Failure::rejected(STAGE, keyless(topic))));
        }
        let message = BaseRecord {
            topic,
            partition: partition(plan.partition.as_ref(), record)?,
            payload: record.value.as_deref(),
            key,
            timestamp: timestamp(plan, record)?,
            headers: self.headers(record, scratch),
            delivery_opaque: token.to_opaque(),
        };
        match self.producer.send(message) {
            Ok(()) => Ok(()),
            Err((error, message)) => {
                let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::InvalidArgument);
                let size = || size(key, record, message.headers.as_ref());
                Err(self.obstacle(code, topic, size))
            }
        }
    }

    /// Whether the record is sent with a time of its own. One without is stamped by librdkafka, with this machine's.
    pub(super) fn has_time(&self, record: &Record) -> bool {
        matches!(timestamp(&self.plan, record), Ok(Some(_)))
    }

    fn obstacle(&self, code: RDKafkaErrorCode, topic: &str, size: impl FnOnce() -> usize) -> Obstacle {
        let fixed = self.plan.topic.as_deref() == Some(topic);
        Obstacle::Failed(match error::meaning(code) {
            _ if code == RDKafkaErrorCode::QueueFull => return Obstacle::Full,
            _ if code == RDKafkaErrorCode::MessageSizeTooLarge => {
                Failure::rejected(STAGE, self.terms().limit.refusal(size(), topic))
            }
            Meaning::BadBatch | Meaning::Rejected => Failure::rejected(STAGE, error::reason(code, topic)),
            Meaning::NoPartition if self.plan.partition.is_some() => {
                Failure::rejected(STAGE, error::reason(code, topic))
            }
            Meaning::NoPartition | Meaning::NoTopic if !fixed => Failure::rejected(STAGE, error::missing_topic(topic)),
            _ => Failure::retriable(STAGE, error::reason(code, topic)),
        })
    }

    fn headers(&self, record: &Record, scratch: &mut Scratch) -> Option<OwnedHeaders> {
        let plan = &*self.plan;
        let kept = if plan.context.dead_letter { letters::KEPT } else { 0 };
        let count = plan.mapper.count(record) + plan.headers.len() + kept;
        if count == 0 {
            return None;
        }
        let mut headers = Native(Some(OwnedHeaders::new_with_capacity(count)));
        plan.mapper.write(record, scratch, &mut headers);
        for (name, piece) in &plan.headers {
            if let Some(value) = piece.of(record) {
                headers.add(name, Some(&value));
            }
        }
        if plan.context.dead_letter {
            letters::keep(record, plan.key.is_some(), &mut headers);
        }
        headers.0
    }
}

/// librdkafka's headers, which are handed from hand to hand.
struct Native(Option<OwnedHeaders>);

impl Out for Native {
    fn add(&mut self, name: &str, value: Option<&[u8]>) {
        self.0 = self.0.take().map(|headers| headers.insert(Header { key: name, value }));
    }
}

fn keyless(topic: &str) -> String {
    format!("topic \"{topic}\" is compacted and takes no record without a key: set the sink's key")
}

fn partition(piece: Option<&Piece>, record: &Record) -> Result<Option<i32>, Obstacle> {
    let Some(text) = piece.and_then(|piece| piece.of(record)) else { return Ok(None) };
    names::partition(&text).map(Some).ok_or_else(|| bad_number("partition", &text, "a number from 0"))
}

/// Times before 1970 cannot be told from "none" by every client: then Kafka's clock says it. A dead letter gets the time at
/// which it became one: by its record's own, the topic might refuse it as well, or its retention might delete it at once.
fn timestamp(plan: &Plan, record: &Record) -> Result<Option<i64>, Obstacle> {
    let millis = match &plan.timestamp {
        None if plan.context.dead_letter => None,
        None => record.timestamp,
        Some(piece) => match piece.of(record) {
            None => None,
            Some(text) => {
                let number = std::str::from_utf8(&text).ok().and_then(|text| text.parse().ok());
                Some(number.ok_or_else(|| bad_number("timestamp", &text, "a number of milliseconds since 1970"))?)
            }
        },
    };
    Ok(millis.filter(|millis| *millis > 0))
}

fn bad_number(what: &str, text: &[u8], expected: &str) -> Obstacle {
    let shown = String::from_utf8_lossy(&text[..text.len().min(64)]).into_owned();
    Obstacle::Failed(Failure::rejected(STAGE, format!("the {what} template made {shown:?}, which is not {expected}")))
}

/// The most that Kafka's framing adds to a record, and to each header in it.
const FRAMING: usize = 36;
const HEADER_FRAMING: usize = 10;

/// The bytes of a record as librdkafka estimates them.
fn size(key: Option<&[u8]>, record: &Record, headers: Option<&OwnedHeaders>) -> usize {
    use rdkafka::message::Headers as _;
    let headers = headers.map_or(0, |headers| {
        headers.iter().map(|header| HEADER_FRAMING + header.key.len() + header.value.map_or(0, <[u8]>::len)).sum()
    });
    FRAMING + key.map_or(0, <[u8]>::len) + record.value.as_ref().map_or(0, Bytes::len) + headers
}
