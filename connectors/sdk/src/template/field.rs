//! The fields that a template or a filter may ask of a record.

use bytes::Bytes;
use bytestring::ByteString;

use crate::{Record, json};

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
type Getter = fn(&Record) -> Option<Bytes>;

fn text(text: Option<&ByteString>) -> Option<Bytes> {
    text.map(|text| text.as_bytes().clone())
}

fn present(text: &ByteString) -> Option<Bytes> {
    (!text.is_empty()).then(|| text.as_bytes().clone())
}

fn number(number: Option<impl ToString>) -> Option<Bytes> {
    number.map(|number| number.to_string().into())
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
    ("exchange", |r| Some(r.origin.text("exchange").map_or_else(Bytes::new, |text| text.as_bytes().clone()))),
    ("routing_key", |r| Some(r.origin.text("routing_key").map_or_else(Bytes::new, |text| text.as_bytes().clone()))),
    ("partition", |r| number(r.origin.integer("partition"))),
    ("offset", |r| number(r.origin.integer("offset"))),
    ("destination", |r| text(r.destination.as_ref())),
    ("timestamp", |r| number(r.timestamp)),
];

impl Field {
    /// What the record has there; `None` when it has not.
    pub fn get(&self, record: &Record) -> Option<Bytes> {
        match self {
            Self::Key => record.key.clone(),
            Self::Value => record.value.clone(),
            Self::Header(name) => record.headers.get(name)?.to_text(),
            Self::Json(path) => json::pick(record.value.as_ref()?, path).ok().flatten(),
            Self::Named(name) => NAMED.iter().find(|(own, _)| own == name).and_then(|(_, get)| get(record)),
        }
    }
}
