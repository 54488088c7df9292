//! Typed header values as JSON and back, to the last bit.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use bytestring::ByteString;
use gantry_sdk::Value;
use serde_json::{Map, Value as Json, json};

use super::part;

type Object = Map<String, Json>;

/// Lists and tables within one another. AMQP sets no limit, but readers of JSON do; what is deeper is kept as its text.
const DEEPEST: u32 = 32;

/// Marks a value of which only the text was kept.
const FLATTENED: &str = "flattened";

/// `{"name":…,"type":…,…}`
pub(super) fn named(name: &str, value: &Value, depth: u32) -> Json {
    let mut object = Object::new();
    object.insert("name".into(), name.into());
    object.append(&mut typed(value, depth));
    Json::Object(object)
}

fn typed(value: &Value, depth: u32) -> Object {
    let mut object = Object::new();
    let nested = matches!(value, Value::List(_) | Value::Table(_));
    if nested && depth >= DEEPEST {
        object.insert("type".into(), "string".into());
        part::put_bytes(&mut object, "value", "base64", &value.to_text().unwrap_or_default());
        object.insert(FLATTENED.into(), true.into());
        return object;
    }
    object.insert("type".into(), value.type_name().into());
    match value {
        Value::Null => {}
        Value::String(text) => part::put_bytes(&mut object, "value", "base64", text),
        Value::Bytes(binary) => drop(object.insert("base64".into(), STANDARD.encode(binary).into())),
        Value::List(items) => {
            let items = items.iter().map(|item| Json::Object(typed(item, depth + 1))).collect();
            object.insert("value".into(), Json::Array(items));
        }
        Value::Table(fields) => {
            let fields = fields.iter().map(|(name, value)| named(name, value, depth + 1)).collect();
            object.insert("value".into(), Json::Array(fields));
        }
        Value::Timestamp(time) => object.append(&mut part::time(*time)),
        Value::Decimal { scale, unscaled } => {
            object.insert("scale".into(), (*scale).into());
            object.insert("unscaled".into(), (*unscaled).into());
        }
        // Every other float survives its shortest decimal text.
        Value::F32(value) if value.is_nan() => {
            object.insert("bits".into(), value.to_bits().into());
        }
        Value::F64(value) if value.is_nan() => {
            object.insert("bits".into(), value.to_bits().into());
        }
        scalar => {
            object.insert("value".into(), scalar.to_json());
        }
    }
    object
}

/// What [`named`] wrote. `None` when it is something else.
pub(super) fn read_named(object: &Object) -> Option<(ByteString, Value)> {
    Some((object.get("name")?.as_str()?.into(), read(object)?))
}

fn read(object: &Object) -> Option<Value> {
    let value = || object.get("value");
    let bytes = || part::bytes(object, "value", "base64")?;
    Some(match object.get("type")?.as_str()? {
        "null" => Value::Null,
        "bool" => Value::Bool(value()?.as_bool()?),
        "i8" => Value::I8(number(value()?)?),
        "u8" => Value::U8(number(value()?)?),
        "i16" => Value::I16(number(value()?)?),
        "u16" => Value::U16(number(value()?)?),
        "i32" => Value::I32(number(value()?)?),
        "u32" => Value::U32(number(value()?)?),
        "i64" => Value::I64(number(value()?)?),
        "u64" => Value::U64(number(value()?)?),
        "f32" => match object.get("bits") {
            Some(bits) => Value::F32(f32::from_bits(number(bits)?)),
            None => Value::F32(number(value()?)?),
        },
        "f64" => match object.get("bits") {
            Some(bits) => Value::F64(f64::from_bits(number(bits)?)),
            None => Value::F64(number(value()?)?),
        },
        "decimal" => {
            Value::Decimal { scale: number(object.get("scale")?)?, unscaled: number(object.get("unscaled")?)? }
        }
        "timestamp" => Value::Timestamp(part::read_time(object)?),
        "string" => Value::String(bytes()?),
        "bytes" => Value::Bytes(Bytes::from(STANDARD.decode(object.get("base64")?.as_str()?).ok()?)),
        "list" => Value::List(value()?.as_array()?.iter().map(|item| read(item.as_object()?)).collect::<Option<_>>()?),
        "table" => {
            Value::Table(value()?.as_array()?.iter().map(|item| read_named(item.as_object()?)).collect::<Option<_>>()?)
        }
        _ => return None,
    })
}

/// A number, or a float that JSON has no number for (`inf`) as text.
fn number<T: std::str::FromStr>(json: &Json) -> Option<T> {
    match json {
        Json::Number(number) => number.to_string().parse().ok(),
        Json::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// Whether only the text was kept of this value, or of one in it.
pub(super) fn is_flattened(json: &Json) -> bool {
    match json {
        Json::Object(object) => {
            object.contains_key(FLATTENED)
                || object.get("value").and_then(Json::as_array).is_some_and(|items| items.iter().any(is_flattened))
        }
        _ => false,
    }
}

/// A point in time for a property: the text alone if that says all of it.
pub(super) fn time_json(time: gantry_sdk::Timestamp) -> Json {
    let object = part::time(time);
    match object.get("value") {
        Some(text) => text.clone(),
        None => json!(object),
    }
}
