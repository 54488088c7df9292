//! Message properties and typed headers as Kafka headers, which know only names and bytes.
//!
//! In order: the message properties under a prefix, the application's headers, in `typed` encoding one header that
//! remembers what text forgets ([`typed::TYPES`]), and where the record came from. The mapping is total: there is no
//! value that stops a record. `docs/connectors/kafka.md` has the table. [`decode`] is the way back, and [`read`]
//! what the source makes of anybody's headers. `confluent` is another connector's convention.

mod confluent;
pub mod decode;
mod nested;
mod properties;
pub mod read;
mod text;
pub mod typed;

use gantry_sdk::{Record, config::Problem};
use schemars::JsonSchema;
use serde::Deserialize;

/// How message properties and headers become Kafka headers.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HeaderMapping {
    /// How values are written. Default: `text`, and `typed` for dead letters, so that they can be replayed as they were.
    pub encoding: Option<Encoding>,
    /// What becomes headers.
    pub include: Vec<Include>,
    /// What the names of property and origin headers begin with.
    pub property_prefix: String,
    /// What the names of the application's headers begin with.
    pub header_prefix: String,
}

/// How header values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// As text that other tools expect; the types are lost.
    #[default]
    Text,
    /// The same text, and one more header, `gantry.types`, from which the original can be rebuilt bit for bit.
    Typed,
    /// As Confluent's RabbitMQ source connector writes them: 17 headers `rabbitmq.…` on every record, null where it has
    /// nothing, then the application's headers under `rabbitmq.`. The types are lost.
    Confluent,
}

/// The default of [`HeaderMapping::property_prefix`].
const PROPERTY_PREFIX: &str = "amqp.";

/// What can become headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Include {
    /// The message properties: message id, content type and so on.
    Properties,
    /// The application's own headers.
    Headers,
    /// Exchange, routing key and queue (or topic) that the record came from.
    Origin,
}

/// Where Kafka headers are written to, in order.
pub trait Out {
    /// One more header; `None` is Kafka's null value.
    fn add(&mut self, name: &str, value: Option<&[u8]>);
}

/// A mapping made ready: every name is put together once.
#[derive(Debug)]
pub struct Mapper {
    encoding: Encoding,
    /// Writes everything, in place of what follows.
    confluent: Option<confluent::Writer>,
    properties: Option<[String; properties::COUNT]>,
    headers: Option<String>,
    origin: Option<[String; 3]>,
}

/// Memory that is used again for every record.
#[derive(Debug, Default)]
pub struct Scratch {
    name: String,
    text: Vec<u8>,
    types: Vec<u8>,
}

// === impl HeaderMapping ===

impl Default for HeaderMapping {
    fn default() -> Self {
        Self {
            encoding: None,
            include: vec![Include::Properties, Include::Headers],
            property_prefix: PROPERTY_PREFIX.to_owned(),
            header_prefix: String::new(),
        }
    }
}

impl HeaderMapping {
    /// What contradicts itself.
    pub(crate) fn check(&self) -> Vec<Problem> {
        if self.encoding == Some(Encoding::Confluent) { confluent::check(self) } else { Vec::new() }
    }

    /// The same for a sink, which writes them.
    pub(crate) fn check_sink(&self) -> Vec<Problem> {
        let mut problems = self.check();
        if self.encoding == Some(Encoding::Confluent) && !self.include.contains(&Include::Properties) {
            let message = "encoding: confluent always writes the properties: leave it out, or write [properties]";
            problems.push(Problem::error("include", message));
        }
        problems
    }

    /// The same for a sink of dead letters.
    pub(crate) fn check_dead_letter(&self) -> Option<Problem> {
        let message =
            "a dead letter in encoding confluent could not be replayed as it was: leave it out, or write typed";
        (self.encoding == Some(Encoding::Confluent)).then(|| Problem::error("encoding", message))
    }
}

// === impl Mapper ===

impl Mapper {
    /// Makes a mapping ready.
    pub fn new(mapping: &HeaderMapping) -> Self {
        let has = |what| mapping.include.contains(&what);
        let prefixed = |name: &str| format!("{}{name}", mapping.property_prefix);
        let encoding = mapping.encoding.unwrap_or_default();
        Self {
            encoding,
            confluent: (encoding == Encoding::Confluent).then(|| confluent::Writer::new(mapping)),
            properties: has(Include::Properties).then(|| properties::NAMES.map(prefixed)),
            headers: has(Include::Headers).then(|| mapping.header_prefix.clone()),
            origin: has(Include::Origin).then(|| ["exchange", "routing_key", "queue"].map(prefixed)),
        }
    }

    /// At least as many headers as [`Mapper::write`] will add, or 0 if it will add none.
    pub fn count(&self, record: &Record) -> usize {
        if let Some(confluent) = &self.confluent {
            return confluent.count(record);
        }
        let properties = match (&self.properties, &record.properties) {
            (Some(_), Some(_)) => properties::COUNT,
            _ => 0,
        };
        let headers = if self.headers.is_some() { record.headers.len() } else { 0 };
        let origin = if self.origin.is_some() { 3 } else { 0 };
        let mapped = properties + headers;
        let types = usize::from(mapped > 0 && self.encoding == Encoding::Typed);
        mapped + types + origin
    }

    /// Writes the headers of a record.
    pub fn write(&self, record: &Record, scratch: &mut Scratch, out: &mut impl Out) {
        if let Some(confluent) = &self.confluent {
            return confluent.write(record, scratch, out);
        }
        let Scratch { name, text, types } = scratch;
        let mut types = (self.encoding == Encoding::Typed).then_some(types);
        if let Some(types) = types.as_deref_mut() {
            typed::begin(types, self.headers.as_ref().map_or(0, String::len));
        }
        let mut mapped = 0;
        if let (Some(names), Some(_)) = (&self.properties, &record.properties) {
            for (index, part) in properties::parts(record.properties()).into_iter().enumerate() {
                let Some(part) = part else { continue };
                out.add(&names[index], Some(part.text(text)));
                if let Some(types) = types.as_deref_mut() {
                    typed::property(types, index, &part);
                }
                mapped += 1;
            }
        }
        if let Some(prefix) = &self.headers {
            for (own, value) in &record.headers {
                out.add(prefixed(prefix, own, name), text::of(value, text));
                if let Some(types) = types.as_deref_mut() {
                    typed::name(types, own);
                    typed::header(types, value);
                }
                mapped += 1;
            }
        }
        if let (Some(types), true) = (types, mapped > 0) {
            out.add(typed::TYPES, Some(types));
        }
        if let Some([exchange, routing_key, queue]) = &self.origin {
            let origin = &record.origin;
            for (name, value) in
                [(exchange, &origin.exchange), (routing_key, &origin.routing_key), (queue, &origin.address)]
            {
                out.add(name, Some(value.as_bytes()));
            }
        }
    }
}

fn prefixed<'a>(prefix: &str, name: &'a str, scratch: &'a mut String) -> &'a str {
    if prefix.is_empty() {
        return name;
    }
    scratch.clear();
    scratch.push_str(prefix);
    scratch.push_str(name);
    scratch
}

#[cfg(test)]
mod tests;
