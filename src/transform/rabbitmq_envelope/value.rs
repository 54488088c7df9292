//! Header values: the connector's struct `HeaderValue`, whose `type` names the one field that holds the value.
//!
//! | value | `type` | |
//! |---|---|---|
//! | boolean; integers of 8, 16, 32 and 64 bits; floats | `boolean`, `int8`…`int64`, `float32`, `float64` | not a number and infinity as text |
//! | text; a time in milliseconds | `string`, `timestamp` | |
//! | a list of text | `array` | |
//! | unsigned integers of 8 and 16, of 32 bits | `int32`, `int64` | as RabbitMQ's Java client reads them |
//! | an unsigned integer of 64 bits | `int64`, or `string` above its largest | |
//! | null | `string`, null | the original gives up from here on |
//! | bytes, and text that is not UTF-8 | `bytes` | |
//! | a list with anything but text | `array` of the items' JSON | |
//! | a table, a decimal, a time that milliseconds cannot say | `string` of its text | |
//! | several headers of one name | `array` of all | |
//!
//! What the original can say comes back as it was, and so do null and bytes. Of the rest, what the last two columns say.

use std::{
    borrow::Cow,
    collections::{HashMap, hash_map::Entry},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use gantry_sdk::{Headers, Value};
use serde::{Serialize, Serializer};

/// One header. Its fields are in the connector's order.
#[derive(Debug, Default, Serialize)]
struct HeaderValue<'a> {
    r#type: &'static str,
    timestamp: Option<i64>,
    array: Option<Vec<Cow<'a, str>>>,
    int8: Option<i8>,
    int16: Option<i16>,
    int32: Option<i32>,
    int64: Option<i64>,
    float32: Option<Float<f32>>,
    float64: Option<Float<f64>>,
    boolean: Option<bool>,
    string: Option<Cow<'a, str>>,
    bytes: Option<String>,
}

/// JSON has no numbers that are none; `JsonConverter` writes their Java names.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Float<T> {
    Number(T),
    Name(&'static str),
}

/// The values under one name.
enum Values<'a> {
    One(&'a Value),
    Several(Vec<&'a Value>),
}

/// Serialises headers as the connector's map of them, in their order.
pub(super) fn write<S: Serializer>(headers: &Headers, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(by_name(headers).into_iter().map(|(name, values)| {
        let value = match values {
            Values::One(value) => HeaderValue::of(value),
            Values::Several(values) => HeaderValue::array(values.into_iter()),
        };
        (name, value)
    }))
}

/// A map has each name once.
fn by_name(headers: &Headers) -> Vec<(&str, Values<'_>)> {
    let mut all: Vec<(&str, Values<'_>)> = Vec::with_capacity(headers.len());
    let mut places = HashMap::with_capacity(headers.len());
    for (name, value) in headers {
        match places.entry(&**name) {
            Entry::Vacant(entry) => {
                entry.insert(all.len());
                all.push((name, Values::One(value)));
            }
            Entry::Occupied(entry) => {
                let values = &mut all[*entry.get()].1;
                match values {
                    Values::One(first) => *values = Values::Several(vec![first, value]),
                    Values::Several(several) => several.push(value),
                }
            }
        }
    }
    all
}

// === impl HeaderValue ===

impl<'a> HeaderValue<'a> {
    fn of(value: &'a Value) -> Self {
        let none = Self::default;
        match value {
            Value::Null => Self { r#type: "string", ..none() },
            Value::Bool(value) => Self { r#type: "boolean", boolean: Some(*value), ..none() },
            Value::I8(value) => Self { r#type: "int8", int8: Some(*value), ..none() },
            Value::I16(value) => Self { r#type: "int16", int16: Some(*value), ..none() },
            Value::U8(value) => Self::int32((*value).into()),
            Value::U16(value) => Self::int32((*value).into()),
            Value::I32(value) => Self::int32(*value),
            Value::U32(value) => Self::int64((*value).into()),
            Value::I64(value) => Self::int64(*value),
            Value::U64(value) => i64::try_from(*value).map_or_else(|_| Self::string(text(value)), Self::int64),
            Value::F32(value) => Self { r#type: "float32", float32: Some(float(*value, (*value).into())), ..none() },
            Value::F64(value) => Self { r#type: "float64", float64: Some(float(*value, *value)), ..none() },
            Value::Timestamp(time) => time.to_millis().map_or_else(|| Self::string(text(time)), Self::timestamp),
            Value::String(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => Self::string(text.into()),
                Err(_) => Self::bytes(bytes),
            },
            Value::Bytes(bytes) => Self::bytes(bytes),
            Value::List(items) => Self::array(items.iter()),
            Value::Decimal { .. } | Value::Table(_) => Self::string(item(value)),
        }
    }

    fn int32(value: i32) -> Self {
        Self { r#type: "int32", int32: Some(value), ..Self::default() }
    }

    fn int64(value: i64) -> Self {
        Self { r#type: "int64", int64: Some(value), ..Self::default() }
    }

    fn timestamp(millis: i64) -> Self {
        Self { r#type: "timestamp", timestamp: Some(millis), ..Self::default() }
    }

    fn string(text: Cow<'a, str>) -> Self {
        Self { r#type: "string", string: Some(text), ..Self::default() }
    }

    fn bytes(bytes: &[u8]) -> Self {
        Self { r#type: "bytes", bytes: Some(STANDARD.encode(bytes)), ..Self::default() }
    }

    fn array(items: impl Iterator<Item = &'a Value>) -> Self {
        Self { r#type: "array", array: Some(items.map(item).collect()), ..Self::default() }
    }
}

fn text<'a>(value: &impl ToString) -> Cow<'a, str> {
    value.to_string().into()
}

/// A value as an item of an array of text.
fn item(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(bytes) => String::from_utf8_lossy(bytes),
        Value::Bytes(bytes) => STANDARD.encode(bytes).into(),
        Value::Timestamp(time) => text(time),
        other => text(&other.to_json()),
    }
}

fn float<T>(value: T, wide: f64) -> Float<T> {
    if wide.is_finite() {
        Float::Number(value)
    } else if wide.is_nan() {
        Float::Name("NaN")
    } else {
        Float::Name(if wide > 0.0 { "Infinity" } else { "-Infinity" })
    }
}
