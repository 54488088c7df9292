//! Templates: literal text with `{field}` parts, compiled once.
//!
//! | field | is |
//! |---|---|
//! | `{key}`, `{value}` | the record's key and body |
//! | `{value.order.id}` | a field of a JSON body; numbers pick from arrays (`{value.items.0.sku}`) |
//! | `{header.NAME}` | the first header of that name, as text; NAME may hold dots |
//! | `{message_id}`, `{correlation_id}`, `{reply_to}`, `{content_type}`, `{content_encoding}`, `{type}`, `{user_id}`, `{app_id}`, `{expiration}`, `{priority}` | the message properties |
//! | `{queue}`, `{topic}`, `{source}` | what the source read it from |
//! | `{exchange}`, `{routing_key}` | how it was published (AMQP) |
//! | `{partition}`, `{offset}` | where it lay (Kafka, streams) |
//! | `{destination}` | where a transform wants it to go |
//! | `{timestamp}` | when it was made, in milliseconds since 1970 |
//!
//! `{field|text}` gives a default for when the record does not have the field; without one the whole template yields
//! nothing. `{{` and `}}` are literal braces. Instead of a field a function may stand: `{lower(header.tenant)|none}`; all
//! of them are in [`FUNCTIONS`].

mod field;
mod found;
mod function;
mod parse;
mod part;

use std::{borrow::Cow, fmt};

use bytes::Bytes;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

use crate::Record;

pub use field::Field;
pub use found::Found;
pub use function::{FUNCTIONS, FunctionInfo};
use part::Part;

/// A compiled template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    text: String,
    parts: Vec<Part>,
}

impl Template {
    /// Compiles it; the error says what is wrong and which field may have been meant.
    pub fn parse(text: &str) -> Result<Self, String> {
        Ok(Self { text: text.to_owned(), parts: parse::parts(text)? })
    }

    /// The text it was compiled from.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The text that it always yields, when it has no fields.
    pub fn as_literal(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [] => Some(""),
            [Part::Literal(text)] => Some(text),
            _ => None,
        }
    }

    /// The fields that it lacks of this record: those without which it yields nothing.
    pub fn lacking(&self, record: &Record) -> Vec<&Field> {
        let mut lacking = Vec::new();
        for part in &self.parts {
            if let Part::Field { expression, default: None } = part
                && expression.get(record).is_none()
            {
                lacking.extend(expression.fields().into_iter().filter(|field| field.get(record).is_none()));
            }
        }
        lacking
    }

    /// What it yields for this record; `None` when the record lacks a field that has no default. A template of one field
    /// yields that field's bytes without a copy where the record holds them.
    pub fn render(&self, record: &Record) -> Option<Bytes> {
        if let [part] = self.parts.as_slice() {
            return part.render(record).map(Found::into_bytes);
        }
        let mut out = Vec::with_capacity(self.text.len() * 2);
        for part in &self.parts {
            out.extend_from_slice(&part.render(record)?);
        }
        Some(out.into())
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl JsonSchema for Template {
    fn schema_name() -> Cow<'static, str> {
        "Template".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "template" })
    }

    fn inline_schema() -> bool {
        true
    }
}

#[cfg(test)]
mod tests;
