//! A record as one JSON object, with nothing left out.
//!
//! ```json
//! {"key":"k","value":"…","headers":[{"name":"n","type":"i64","value":7}],"timestamp":1700000000000,
//!  "source":{"address":"orders","exchange":"","routing_key":"eu"},"properties":{"message_id":"m-1"}}
//! ```
//! Bytes that are not UTF-8 stand under `key_base64`, `value_base64` or `base64` instead. A tombstone has
//! `"value":null`.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use gantry_sdk::{Origin, Properties, Record, Value};
use serde_json::{Map, Value as Json, json};

type Object = Map<String, Json>;

pub(super) fn write(record: &Record, out: &mut Vec<u8>) {
    let mut object = Object::new();
    if let Some(key) = &record.key {
        bytes(&mut object, "key", "key_base64", key);
    }
    match &record.value {
        Some(body) => bytes(&mut object, "value", "value_base64", body),
        None => drop(object.insert("value".into(), Json::Null)),
    }
    let headers = record.headers.iter().map(|(name, value)| named(name, value)).collect();
    object.insert("headers".into(), Json::Array(headers));
    if let Some(timestamp) = record.timestamp {
        object.insert("timestamp".into(), timestamp.into());
    }
    if let Some(destination) = &record.destination {
        object.insert("destination".into(), destination.to_string().into());
    }
    object.insert("source".into(), Json::Object(origin(&record.origin)));
    if record.properties.is_some() {
        object.insert("properties".into(), Json::Object(properties(record.properties())));
    }
    escape(&Json::Object(object).to_string(), out);
}

/// JSON leaves DEL and the C1 controls in strings as they are; terminals act on them.
fn escape(json: &str, out: &mut Vec<u8>) {
    let mut rest = json;
    while let Some(at) = rest.find(char::is_control) {
        let (before, from) = rest.split_at(at);
        out.extend_from_slice(before.as_bytes());
        let mut tail = from.chars();
        if let Some(control) = tail.next() {
            out.extend_from_slice(format!("\\u{:04x}", u32::from(control)).as_bytes());
        }
        rest = tail.as_str();
    }
    out.extend_from_slice(rest.as_bytes());
}

fn bytes(object: &mut Object, text: &str, base64: &str, bytes: &[u8]) {
    match str::from_utf8(bytes) {
        Ok(utf8) => object.insert(text.into(), utf8.into()),
        Err(_) => object.insert(base64.into(), STANDARD.encode(bytes).into()),
    };
}

fn named(name: &str, value: &Value) -> Json {
    let mut object = Object::new();
    object.insert("name".into(), name.into());
    object.append(&mut typed(value));
    Json::Object(object)
}

fn typed(value: &Value) -> Object {
    let mut object = Object::new();
    object.insert("type".into(), type_name(value).into());
    match value {
        Value::String(text) => bytes(&mut object, "value", "base64", text),
        Value::Bytes(binary) => drop(object.insert("base64".into(), STANDARD.encode(binary).into())),
        Value::List(items) => {
            let items = items.iter().map(|item| Json::Object(typed(item))).collect();
            object.insert("value".into(), Json::Array(items));
        }
        Value::Table(fields) => {
            let fields = fields.iter().map(|(name, value)| named(name, value)).collect();
            object.insert("value".into(), Json::Array(fields));
        }
        scalar => drop(object.insert("value".into(), scalar.to_json())),
    }
    object
}

const fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::I8(_) => "i8",
        Value::U8(_) => "u8",
        Value::I16(_) => "i16",
        Value::U16(_) => "u16",
        Value::I32(_) => "i32",
        Value::U32(_) => "u32",
        Value::I64(_) => "i64",
        Value::U64(_) => "u64",
        Value::F32(_) => "f32",
        Value::F64(_) => "f64",
        Value::Decimal { .. } => "decimal",
        Value::Timestamp(_) => "timestamp",
        Value::String(_) => "string",
        Value::Bytes(_) => "bytes",
        Value::List(_) => "list",
        Value::Table(_) => "table",
    }
}

/// Collects what is there; what is not takes no place.
fn present(fields: impl IntoIterator<Item = (&'static str, Option<Json>)>) -> Object {
    fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

fn origin(origin: &Origin) -> Object {
    let text = |text: &str| (!text.is_empty()).then(|| json!(text));
    present([
        ("address", text(&origin.address)),
        ("exchange", text(&origin.exchange)),
        ("routing_key", text(&origin.routing_key)),
        ("partition", origin.partition.map(Json::from)),
        ("offset", origin.offset.map(Json::from)),
        ("redelivered", origin.redelivered.then_some(Json::Bool(true))),
    ])
}

fn properties(properties: &Properties) -> Object {
    let text = |text: &Option<bytestring::ByteString>| text.as_deref().map(Json::from);
    present([
        ("message_id", text(&properties.message_id)),
        ("correlation_id", text(&properties.correlation_id)),
        ("reply_to", text(&properties.reply_to)),
        ("content_type", text(&properties.content_type)),
        ("content_encoding", text(&properties.content_encoding)),
        ("type", text(&properties.message_type)),
        ("user_id", text(&properties.user_id)),
        ("app_id", text(&properties.app_id)),
        ("expiration", text(&properties.expiration)),
        ("priority", properties.priority.map(Json::from)),
        ("delivery_mode", properties.delivery_mode.map(Json::from)),
        ("timestamp", properties.timestamp.map(|timestamp| Json::from(timestamp.to_string()))),
        ("cluster_id", text(&properties.cluster_id)),
    ])
}
