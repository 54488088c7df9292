//! One delivery to one record.

use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;
use gantry_sdk::{Headers, Origin, Properties, Record, Timestamp, Value};
use lapin::{
    BasicProperties,
    message::Delivery,
    types::{AMQPValue, FieldTable, ShortString},
};

use super::{DUPLICATES, TOMBSTONE, value::from_amqp};

/// The bit of the header table among the flags of a message's properties (AMQP 0-9-1 §1.8.1, fields in order from the top bit).
const HEADERS: u16 = 1 << 13;
/// The bit of the delivery mode.
const DELIVERY_MODE: u16 = 1 << 12;

/// As many header names as are worth remembering; a message can have thousands.
const SHARED_NAMES: usize = 32;

/// Converts the deliveries of one queue.
#[derive(Debug)]
pub(crate) struct Converter {
    queue: ByteString,
    /// Most messages carry a delivery mode and nothing else. The properties of the last such one, to share.
    mode_only: Arc<Properties>,
    /// The header names of the last message, to share: those of the next are most likely the same.
    names: Vec<ByteString>,
}

impl Converter {
    /// For deliveries from that queue.
    pub(crate) fn new(queue: &str) -> Self {
        Self { queue: queue.into(), mode_only: Arc::default(), names: Vec::new() }
    }

    /// Total. The body moves, what the client library lends only by reference is copied.
    pub(crate) fn record(&mut self, delivery: Delivery) -> Record {
        let Delivery { exchange, routing_key, redelivered, properties, data, .. } = delivery;
        let mut origin = Origin::new("queue", self.queue.clone())
            .with("exchange", ByteString::from(String::from(exchange)))
            .with("routing_key", ByteString::from(String::from(routing_key)));
        origin.redelivered = redelivered;
        Record { origin, ..self.content(&properties, data) }
    }

    /// The same of a message of which nobody knows the way.
    pub(crate) fn content(&mut self, properties: &BasicProperties, data: Vec<u8>) -> Record {
        let table = properties.headers().as_ref();
        let is_tombstone = data.is_empty() && table.is_some_and(marks_tombstone);
        Record {
            value: (!is_tombstone).then(|| Bytes::from(data)),
            headers: table.map_or(Headers::EMPTY, |table| restored(self.headers(table), table, is_tombstone)),
            timestamp: properties.timestamp().and_then(millis),
            properties: self.properties(properties),
            ..Record::default()
        }
    }

    fn headers(&mut self, table: &FieldTable) -> Headers {
        let fields = table.inner();
        self.names.resize_with(fields.len().min(SHARED_NAMES), ByteString::new);
        let mut list = Vec::with_capacity(fields.len());
        for (index, (name, value)) in fields.iter().enumerate() {
            let name = match self.names.get_mut(index) {
                Some(shared) => {
                    if shared != name.as_str() {
                        *shared = name.as_str().into();
                    }
                    shared.clone()
                }
                None => name.as_str().into(),
            };
            list.push((name, from_amqp(value)));
        }
        list.into()
    }

    fn properties(&mut self, amqp: &BasicProperties) -> Option<Arc<Properties>> {
        match amqp.bitmask() & !HEADERS {
            0 => None,
            DELIVERY_MODE => {
                if self.mode_only.delivery_mode != *amqp.delivery_mode() {
                    self.mode_only = Arc::new(properties(amqp));
                }
                Some(Arc::clone(&self.mode_only))
            }
            _ => Some(Arc::new(properties(amqp))),
        }
    }
}

/// Our sink published a record without a body.
fn marks_tombstone(table: &FieldTable) -> bool {
    table.inner().get(TOMBSTONE) == Some(&AMQPValue::Boolean(true))
}

/// The headers without our sink's own marks, and headers of one name again where it made lists of them.
fn restored(mut headers: Headers, table: &FieldTable, is_tombstone: bool) -> Headers {
    if is_tombstone {
        headers.remove(TOMBSTONE);
    }
    let Some(AMQPValue::FieldArray(names)) = table.inner().get(DUPLICATES) else { return headers };
    let is_named = |name: &ByteString| {
        let said = |own: &AMQPValue| matches!(own, AMQPValue::LongString(own) if own.as_bytes() == name.as_bytes());
        names.as_slice().iter().any(said)
    };
    let mut all = Vec::with_capacity(headers.len());
    for (name, value) in headers.iter().filter(|(name, _)| name != DUPLICATES) {
        match value {
            Value::List(values) if is_named(name) => {
                all.extend(values.iter().map(|value| (name.clone(), value.clone())))
            }
            value => all.push((name.clone(), value.clone())),
        }
    }
    all.into()
}

fn properties(amqp: &BasicProperties) -> Properties {
    Properties {
        message_id: text(amqp.message_id()),
        correlation_id: text(amqp.correlation_id()),
        reply_to: text(amqp.reply_to()),
        content_type: text(amqp.content_type()),
        content_encoding: text(amqp.content_encoding()),
        message_type: text(amqp.kind()),
        user_id: text(amqp.user_id()),
        app_id: text(amqp.app_id()),
        expiration: text(amqp.expiration()),
        priority: *amqp.priority(),
        delivery_mode: *amqp.delivery_mode(),
        timestamp: amqp.timestamp().map(Timestamp::from_seconds),
        cluster_id: text(amqp.cluster_id()),
    }
}

fn text(text: &Option<ShortString>) -> Option<ByteString> {
    text.as_ref().map(|text| text.as_str().into())
}

/// The year 5138 in seconds, and 1973 in milliseconds: a larger number of seconds is no time that a message was made at.
const NO_LONGER_SECONDS: u64 = 100_000_000_000;

/// AMQP counts seconds, but many producers write milliseconds. Kafka refuses records from the far future
/// (`message.timestamp.after.max.ms`), so such a number is taken for what was meant. The property keeps it as it came.
fn millis(timestamp: u64) -> Option<i64> {
    let millis = if timestamp < NO_LONGER_SECONDS { timestamp * 1000 } else { timestamp };
    // Beyond the year 5138 in milliseconds as well: no clock shows it.
    i64::try_from(millis).ok().filter(|_| timestamp < NO_LONGER_SECONDS * 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(properties: BasicProperties) -> Delivery {
        let mut delivery = Delivery::mock(7, "orders".into(), "new".into(), true, b"body".to_vec());
        delivery.properties = properties;
        delivery
    }

    fn record(properties: BasicProperties) -> Record {
        Converter::new("queue").record(delivery(properties))
    }

    #[test]
    fn a_bare_message_has_a_body_and_an_origin_and_nothing_else() {
        let mut origin = Origin::new("queue", "queue".into()).with("exchange", "orders").with("routing_key", "new");
        origin.redelivered = true;
        let expected = Record { value: Some(Bytes::from_static(b"body")), origin, ..Record::default() };
        assert_eq!(record(BasicProperties::default()), expected);
    }

    #[test]
    fn an_empty_body_is_no_tombstone() {
        let empty = Delivery::mock(1, "".into(), "q".into(), false, Vec::new());
        assert_eq!(Converter::new("q").record(empty).value, Some(Bytes::new()));
    }

    #[test]
    fn the_body_is_not_copied() {
        let delivery = delivery(BasicProperties::default());
        let before = delivery.data.as_ptr();
        let record = Converter::new("queue").record(delivery);
        assert_eq!(record.value.expect("it has a body").as_ptr(), before);
    }

    #[test]
    fn every_property_arrives() {
        let amqp = BasicProperties::default()
            .with_content_type("application/json".into())
            .with_content_encoding("gzip".into())
            .with_delivery_mode(2)
            .with_priority(9)
            .with_correlation_id("correlation".into())
            .with_reply_to("reply".into())
            .with_expiration("60000".into())
            .with_message_id("message".into())
            .with_timestamp(1_700_000_000)
            .with_type("order.created".into())
            .with_user_id("guest".into())
            .with_app_id("shop".into())
            .with_cluster_id("cluster".into());
        let record = record(amqp);
        assert_eq!(record.timestamp, Some(1_700_000_000_000));
        let expected = Properties {
            message_id: Some("message".into()),
            correlation_id: Some("correlation".into()),
            reply_to: Some("reply".into()),
            content_type: Some("application/json".into()),
            content_encoding: Some("gzip".into()),
            message_type: Some("order.created".into()),
            user_id: Some("guest".into()),
            app_id: Some("shop".into()),
            expiration: Some("60000".into()),
            priority: Some(9),
            delivery_mode: Some(2),
            timestamp: Some(Timestamp::from_seconds(1_700_000_000)),
            cluster_id: Some("cluster".into()),
        };
        assert_eq!(*record.properties(), expected);
    }

    #[test]
    fn a_mode_alone_is_shared_and_never_mixed_up() {
        let mut converter = Converter::new("queue");
        let mut mode = |mode: u8| converter.record(delivery(BasicProperties::default().with_delivery_mode(mode)));
        let (first, second, third, fourth) = (mode(2), mode(2), mode(1), mode(2));
        let shared = |record: &Record| record.properties.clone().expect("it has a mode");
        assert!(Arc::ptr_eq(&shared(&first), &shared(&second)));
        let modes = [&first, &second, &third, &fourth].map(|record| record.properties().delivery_mode);
        assert_eq!(modes, [Some(2), Some(2), Some(1), Some(2)]);
    }

    #[test]
    fn headers_keep_their_types_and_take_no_property_with_them() {
        let mut table = FieldTable::default();
        table.insert("tenant".into(), AMQPValue::LongString("acme".into()));
        table.insert("attempt".into(), AMQPValue::ShortInt(3));
        let record = record(BasicProperties::default().with_headers(table));
        assert_eq!(record.headers.get("tenant"), Some(&Value::text("acme")));
        assert_eq!(record.headers.get("attempt"), Some(&Value::I16(3)));
        assert!(record.properties.is_none());
    }

    #[test]
    fn names_are_shared_between_messages_and_never_mixed_up() {
        let mut converter = Converter::new("queue");
        let mut names = |names: &[&str]| {
            let mut table = FieldTable::default();
            for name in names {
                table.insert((*name).into(), AMQPValue::LongString((*name).into()));
            }
            let record = converter.record(delivery(BasicProperties::default().with_headers(table)));
            // Each header's value is its name.
            assert!(record.headers.iter().all(|(name, value)| *value == Value::text(name.clone())), "{record:?}");
            record.headers.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>()
        };
        let many: Vec<_> = (0..100).map(|number| format!("{number:03}")).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        let (first, second) = (names(&["a", "b"]), names(&["a", "b"]));
        assert_eq!(first[0].as_ptr(), second[0].as_ptr());
        for sequence in [&["b"][..], &["a", "b", "c"], &[], &many, &["a"]] {
            assert_eq!(names(sequence), sequence);
        }
    }

    #[test]
    fn a_timestamp_in_milliseconds_is_taken_for_what_was_meant() {
        let record = record(BasicProperties::default().with_timestamp(1_700_000_000_123));
        assert_eq!(record.timestamp, Some(1_700_000_000_123));
        assert_eq!(record.properties().timestamp, Some(Timestamp::from_seconds(1_700_000_000_123)));
    }

    #[test]
    fn a_timestamp_beyond_any_clock_stays_a_property_only() {
        let record = record(BasicProperties::default().with_timestamp(u64::MAX));
        assert_eq!(record.timestamp, None);
        assert_eq!(record.properties().timestamp, Some(Timestamp::from_seconds(u64::MAX)));
    }
}
