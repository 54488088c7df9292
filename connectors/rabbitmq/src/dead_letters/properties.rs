//! Message properties as a table of AMQP, for the note on a dead letter: names as in AMQP 0-9-1 §1.8, text as text, whatever
//! its length, numbers as octets, the timestamp in seconds and nanoseconds.

use bytestring::ByteString;
use gantry_sdk::{Properties, Timestamp, Value};
use lapin::types::{AMQPValue, FieldTable};

/// The name of the part of a timestamp that AMQP does not have.
const NANOS: &str = "timestamp_nanos";

pub(super) fn write(properties: &Properties) -> AMQPValue {
    let mut table = FieldTable::default();
    let mut copy = properties.clone();
    for (name, text) in texts(&mut copy) {
        if let Some(text) = text {
            table.insert(name.into(), AMQPValue::LongString(text.as_bytes().as_ref().into()));
        }
    }
    for (name, number) in [("priority", properties.priority), ("delivery_mode", properties.delivery_mode)] {
        if let Some(number) = number {
            table.insert(name.into(), AMQPValue::ShortShortUInt(number));
        }
    }
    if let Some(time) = properties.timestamp {
        table.insert("timestamp".into(), AMQPValue::Timestamp(time.seconds.cast_unsigned()));
        if time.nanos > 0 {
            table.insert(NANOS.into(), AMQPValue::LongUInt(time.nanos));
        }
    }
    AMQPValue::FieldTable(table)
}

/// Total: what does not read as a property is none.
pub(super) fn read(fields: &[(ByteString, Value)]) -> Properties {
    let field = |name: &str| fields.iter().find(|(own, _)| own == name).map(|(_, value)| value);
    let text = |name: &str| match field(name)? {
        Value::String(text) => ByteString::try_from(text.clone()).ok(),
        _ => None,
    };
    let number = |name: &str| match field(name)? {
        Value::U8(number) => Some(*number),
        _ => None,
    };
    let mut properties =
        Properties { priority: number("priority"), delivery_mode: number("delivery_mode"), ..Properties::default() };
    for (name, place) in texts(&mut properties) {
        *place = text(name);
    }
    if let Some(Value::Timestamp(time)) = field("timestamp") {
        let nanos = match field(NANOS) {
            Some(Value::U32(nanos)) => *nanos,
            _ => 0,
        };
        properties.timestamp = Some(Timestamp { nanos, ..*time });
    }
    properties
}

/// Those that are text, by name.
fn texts(properties: &mut Properties) -> [(&'static str, &mut Option<ByteString>); 10] {
    [
        ("message_id", &mut properties.message_id),
        ("correlation_id", &mut properties.correlation_id),
        ("reply_to", &mut properties.reply_to),
        ("content_type", &mut properties.content_type),
        ("content_encoding", &mut properties.content_encoding),
        ("type", &mut properties.message_type),
        ("user_id", &mut properties.user_id),
        ("app_id", &mut properties.app_id),
        ("expiration", &mut properties.expiration),
        ("cluster_id", &mut properties.cluster_id),
    ]
}
