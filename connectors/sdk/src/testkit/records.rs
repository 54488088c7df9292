//! Random headers and properties, of every type that there is.

use bytes::Bytes;
use bytestring::ByteString;
use proptest::prelude::*;

use crate::{Detail, Headers, Origin, Properties, Timestamp, Value};

fn name() -> impl Strategy<Value = ByteString> {
    // AMQP short strings: up to 255 bytes of UTF-8.
    "[a-zA-Z0-9_.\\-а-я ]{1,24}".prop_map(ByteString::from)
}

fn bytes() -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), 0..32).prop_map(Bytes::from)
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i8>().prop_map(Value::I8),
        any::<u8>().prop_map(Value::U8),
        any::<i16>().prop_map(Value::I16),
        any::<u16>().prop_map(Value::U16),
        any::<i32>().prop_map(Value::I32),
        any::<u32>().prop_map(Value::U32),
        any::<i64>().prop_map(Value::I64),
        any::<u32>().prop_map(|bits| Value::F32(f32::from_bits(bits))),
        any::<u64>().prop_map(|bits| Value::F64(f64::from_bits(bits))),
        (any::<u8>(), any::<u32>()).prop_map(|(scale, unscaled)| Value::Decimal { scale, unscaled }),
        any::<u64>().prop_map(|seconds| Value::Timestamp(Timestamp::from_seconds(seconds))),
        ".{0,16}".prop_map(Value::text),
        bytes().prop_map(Value::String),
        bytes().prop_map(Value::Bytes),
    ]
}

/// Any value that AMQP 0-9-1 can say, nested up to three levels.
pub fn any_value() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
            prop::collection::btree_map(name(), inner, 0..4)
                .prop_map(|fields| Value::Table(fields.into_iter().collect())),
        ]
    })
}

/// Any header table that AMQP 0-9-1 can say: unique names in order.
pub fn any_headers() -> impl Strategy<Value = Headers> {
    prop::collection::btree_map(name(), any_value(), 0..6).prop_map(Headers::from_iter)
}

/// Where a record may come from: every kind, and any details.
pub fn any_origin() -> impl Strategy<Value = Origin> {
    let kind = prop_oneof![Just(""), prop::sample::select(Origin::KINDS)];
    let detail =
        prop_oneof![".{0,3}".prop_map(|text| Detail::from(text.as_str())), any::<i64>().prop_map(Detail::from),];
    let details = prop::collection::btree_map(prop::sample::select(Origin::DETAILS), detail, 0..4);
    (kind, "[a-zа-я]{0,4}", details, any::<bool>()).prop_map(|(kind, address, details, redelivered)| {
        let mut origin = Origin::new(kind, address.into());
        origin.redelivered = redelivered;
        details.into_iter().fold(origin, |origin, (name, detail)| origin.with(name, detail))
    })
}

/// Any properties that AMQP 0-9-1 can say.
pub fn any_properties() -> impl Strategy<Value = Properties> {
    let text = || prop::option::of("[a-zA-Z0-9/а-я. _-]{0,24}".prop_map(ByteString::from));
    let texts = (text(), text(), text(), text(), text(), text(), text(), text(), text());
    let rest = (prop::option::of(any::<u8>()), prop::option::of(any::<u8>()), prop::option::of(any::<u64>()));
    (texts, rest).prop_map(|(texts, (priority, delivery_mode, seconds))| Properties {
        message_id: texts.0,
        correlation_id: texts.1,
        reply_to: texts.2,
        content_type: texts.3,
        content_encoding: texts.4,
        message_type: texts.5,
        user_id: texts.6,
        app_id: texts.7,
        cluster_id: texts.8,
        // Milliseconds as text, as RabbitMQ wants it.
        expiration: delivery_mode.map(|millis| millis.to_string().into()),
        priority,
        delivery_mode,
        timestamp: seconds.map(Timestamp::from_seconds),
    })
}
