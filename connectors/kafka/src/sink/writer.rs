//! One record into librdkafka's queue.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use bytes::Bytes;
use gantry_sdk::{Failure, Record};
use rdkafka::{
    message::{Header, OwnedHeaders},
    producer::BaseRecord,
    types::RDKafkaErrorCode,
};

use super::{
    Compression, STAGE,
    cluster::TopicRules,
    events::Producer,
    limit,
    plan::{Piece, Plan},
    times::{Bounds, Times},
};
use crate::{
    dead_letter_headers,
    error::{self, Meaning},
    headers::{Out, Scratch},
    names,
};

/// Writes records; shared by the sink and, when some are sent again, by poll threads.
pub(super) struct Writer {
    pub plan: Arc<Plan>,
    pub times: Times,
    /// The most that the sink's one topic takes of a record. Without bound while that is not known, or what it means before
    /// compression.
    limit: AtomicUsize,
    /// The topic may take another size than was read.
    doubtful: AtomicBool,
    terms: OnceLock<Terms>,
}

/// What else is known of the topic once the sink is open.
#[derive(Debug, Clone, Copy, Default)]
struct Terms {
    /// The sink's one topic keeps only the last record of a key.
    compacted: bool,
    /// The most bytes of several records in one batch.
    batch: usize,
}

/// Which time a record gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stamp {
    /// Its own, if it has one.
    Own,
    /// That of sending: its own was refused.
    Sending,
}

/// More than headers are: a record that is so far below the limit need not be measured.
const ROOM_FOR_HEADERS: usize = 64 << 10;

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
    /// It is larger than the topic took when that was asked last.
    TooLarge(Failure),
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
    pub(super) fn new(plan: Arc<Plan>) -> Self {
        Self {
            plan,
            times: Times::new(),
            limit: AtomicUsize::new(usize::MAX),
            doubtful: AtomicBool::new(false),
            terms: OnceLock::new(),
        }
    }

    /// Opening found out what the topic takes.
    pub(super) fn agree(&self, rules: &TopicRules, batch: usize) {
        let _ = self.terms.set(Terms { compacted: rules.compacted, batch });
        self.times.bound(rules.times.unwrap_or(Bounds::USUAL));
        self.take_limit(rules);
    }

    /// Takes over how large a record may be. `false`: batches are larger than that, so this producer is of no use any more.
    pub(super) fn take_limit(&self, rules: &TopicRules) -> bool {
        self.doubtful.store(false, Ordering::Relaxed);
        let Some(limit) = rules.max_message_bytes.map(limit::of_topic) else { return true };
        if self.plan.options.compression == Compression::None {
            self.limit.store(limit, Ordering::Relaxed);
        }
        limit >= self.terms().batch
    }

    /// The broker refused a size: the topic's limit is to be read again.
    pub(super) fn doubt_limit(&self) {
        self.doubtful.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_limit_doubtful(&self) -> bool {
        self.doubtful.load(Ordering::Relaxed)
    }

    fn terms(&self) -> Terms {
        self.terms.get().copied().unwrap_or_default()
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

    /// Gives a record to a producer of librdkafka's, to be reported under `opaque`.
    pub(super) fn send(
        &self,
        producer: &Producer,
        record: &Record,
        topic: &str,
        opaque: usize,
        stamp: Stamp,
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
        let fixed = self.plan.topic.as_deref() == Some(topic);
        if key.is_none() && fixed && self.terms().compacted {
            return Err(Obstacle::Failed(Failure::rejected(STAGE, keyless(topic))));
        }
        let own = timestamp(plan, record)?;
        let untimely = own.filter(|time| stamp == Stamp::Sending || self.times.is_refused(*time));
        let headers = self.headers(record, untimely, scratch);
        if fixed {
            self.measure(key, record, headers.as_ref(), topic)?;
        }
        if let Some(time) = untimely
            && self.times.is_news()
        {
            tell_untimely(plan, time, topic);
        }
        let message = BaseRecord {
            topic,
            partition: partition(plan.partition.as_ref(), record)?,
            payload: record.value.as_deref(),
            key,
            // Without one librdkafka writes the time of sending.
            timestamp: own.filter(|_| untimely.is_none()),
            headers,
            delivery_opaque: opaque,
        };
        match producer.send(message) {
            Ok(()) => Ok(()),
            Err((error, message)) => {
                let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::InvalidArgument);
                let size = || size(key, record, message.headers.as_ref());
                Err(self.obstacle(code, topic, size))
            }
        }
    }

    /// Refuses what is surely larger than the topic takes: it would make the broker refuse a whole batch.
    fn measure(
        &self,
        key: Option<&[u8]>,
        record: &Record,
        headers: Option<&OwnedHeaders>,
        topic: &str,
    ) -> Result<(), Obstacle> {
        let limit = self.limit.load(Ordering::Relaxed);
        let body = key.map_or(0, <[u8]>::len) + record.value.as_ref().map_or(0, Bytes::len);
        if body.saturating_add(ROOM_FOR_HEADERS) <= limit {
            return Ok(());
        }
        let size = size(key, record, headers);
        if size <= limit {
            return Ok(());
        }
        Err(Obstacle::TooLarge(Failure::rejected(STAGE, limit::refused_by_topic(size, limit, topic))))
    }

    /// The time that the record is sent with, if it has one of its own. One without is stamped by librdkafka, with this
    /// machine's.
    pub(super) fn time_of(&self, record: &Record) -> Option<i64> {
        timestamp(&self.plan, record).ok().flatten()
    }

    fn obstacle(&self, code: RDKafkaErrorCode, topic: &str, size: impl FnOnce() -> usize) -> Obstacle {
        let fixed = self.plan.topic.as_deref() == Some(topic);
        Obstacle::Failed(match error::meaning(code) {
            _ if code == RDKafkaErrorCode::QueueFull => return Obstacle::Full,
            // The transaction is given up, and why comes in a moment.
            _ if self.plan.identity.is_some() && matches!(code, RDKafkaErrorCode::State | RDKafkaErrorCode::Fatal) => {
                return Obstacle::Full;
            }
            _ if code == RDKafkaErrorCode::MessageSizeTooLarge => {
                Failure::rejected(STAGE, limit::refused_by_producer(size(), self.plan.configured_limit()))
            }
            Meaning::BadBatch | Meaning::Rejected => Failure::rejected(STAGE, error::reason(code, topic)),
            Meaning::NoPartition if self.plan.partition.is_some() => {
                Failure::rejected(STAGE, error::reason(code, topic))
            }
            Meaning::NoPartition | Meaning::NoTopic if !fixed => Failure::rejected(STAGE, error::missing_topic(topic)),
            _ => Failure::retriable(STAGE, error::reason(code, topic)),
        })
    }

    fn headers(&self, record: &Record, untimely: Option<i64>, scratch: &mut Scratch) -> Option<OwnedHeaders> {
        let plan = &*self.plan;
        let kept = if plan.context.dead_letter { dead_letter_headers::KEPT } else { usize::from(untimely.is_some()) };
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
            dead_letter_headers::keep(record, plan.key.is_some(), &mut headers);
        } else if let Some(time) = untimely {
            headers.add(dead_letter_headers::TIMESTAMP, Some(time.to_string().as_bytes()));
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

fn tell_untimely(plan: &Plan, time: i64, topic: &str) {
    tracing::warn!(
        bridge = &*plan.context.bridge,
        "topic \"{topic}\" refuses the timestamp {time} of a record, which is too far from its broker's clock: the record is \
         sent with the time of sending, and its header {} has its own; others like it are not told",
        dead_letter_headers::TIMESTAMP
    );
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
