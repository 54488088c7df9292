//! A record as one JSON object, with nothing left out.
//!
//! ```json
//! {"key":"k","value":"…","headers":[{"name":"n","type":"i64","value":7}],"timestamp":1700000000000,
//!  "source":{"address":"orders","exchange":"","routing_key":"eu"},"properties":{"message_id":"m-1"}}
//! ```
//! Bytes that are not UTF-8 stand under `key_base64`, `value_base64` or `base64` instead. A tombstone has
//! `"value":null`.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use gantry_sdk::{Record, Value};
use serde_json::{Map, Value as Json};

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
    object.insert("source".into(), Json::Object(record.origin.to_object()));
    if record.properties.is_some() {
        let properties = record.properties().to_object(|time| time.to_string().into());
        object.insert("properties".into(), Json::Object(properties));
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
    object.insert("type".into(), value.type_name().into());
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
