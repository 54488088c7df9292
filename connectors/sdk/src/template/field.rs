//! The fields that a template or a filter may ask of a record.

use bytes::Bytes;
use bytestring::ByteString;

use super::found::Found;
use crate::{Record, Value, json};

/// One thing that can be asked of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    /// The key.
    Key,
    /// The whole body.
    Value,
    /// A field of a JSON body.
    Json(Vec<String>),
    /// The first header of that name.
    Header(String),
    /// A message property or a part of the origin, by its name.
    Named(&'static str),
}

/// Asks one thing of a record.
type Getter = fn(&Record) -> Option<Found<'_>>;

fn text(text: Option<&ByteString>) -> Option<Found<'_>> {
    text.map(|text| Found::held(text.as_bytes()))
}

fn present(address: &ByteString) -> Option<Found<'_>> {
    text(Some(address).filter(|address| !address.is_empty()))
}

fn number<'r>(number: Option<impl ToString>) -> Option<Found<'r>> {
    number.map(|number| number.to_string().into())
}

fn detail<'r>(record: &'r Record, name: &str) -> Found<'r> {
    text(record.origin.text(name)).unwrap_or_else(|| Bytes::new().into())
}

/// Fields by their names. An empty exchange or routing key is a field that is there and empty: the default exchange has
/// no other name.
pub(super) const NAMED: &[(&str, Getter)] = &[
    ("message_id", |r| text(r.properties().message_id.as_ref())),
    ("correlation_id", |r| text(r.properties().correlation_id.as_ref())),
    ("reply_to", |r| text(r.properties().reply_to.as_ref())),
    ("content_type", |r| text(r.properties().content_type.as_ref())),
    ("content_encoding", |r| text(r.properties().content_encoding.as_ref())),
    ("type", |r| text(r.properties().message_type.as_ref())),
    ("user_id", |r| text(r.properties().user_id.as_ref())),
    ("app_id", |r| text(r.properties().app_id.as_ref())),
    ("expiration", |r| text(r.properties().expiration.as_ref())),
    ("priority", |r| number(r.properties().priority)),
    ("queue", |r| present(&r.origin.address)),
    ("topic", |r| present(&r.origin.address)),
    ("source", |r| present(&r.origin.address)),
    ("exchange", |r| Some(detail(r, "exchange"))),
    ("routing_key", |r| Some(detail(r, "routing_key"))),
    ("partition", |r| number(r.origin.integer("partition"))),
    ("offset", |r| number(r.origin.integer("offset"))),
    ("destination", |r| text(r.destination.as_ref())),
    ("timestamp", |r| number(r.timestamp)),
];

impl Field {
    /// What the record has there; `None` when it has not.
    pub fn get<'r>(&self, record: &'r Record) -> Option<Found<'r>> {
        self.read(record).unwrap_or_default()
    }

    /// The same. The error says why a field of the body cannot be had: the body is not JSON, or the field no text.
    pub fn read<'r>(&self, record: &'r Record) -> Result<Option<Found<'r>>, String> {
        Ok(match self {
            Self::Key => record.key.as_ref().map(Found::held),
            Self::Value => record.value.as_ref().map(Found::held),
            Self::Header(name) => record.headers.get(name).and_then(text_of),
            Self::Json(path) => match &record.value {
                Some(body) => json::pick(body, path)?.map(|text| Found::read(text, body)),
                None => None,
            },
            Self::Named(name) => NAMED.iter().find(|(own, _)| own == name).and_then(|(_, get)| get(record)),
        })
    }
}

/// The text of a header.
fn text_of(value: &Value) -> Option<Found<'_>> {
    match value {
        Value::String(bytes) | Value::Bytes(bytes) => Some(Found::held(bytes)),
        other => other.to_text().map(Found::from),
    }
}
