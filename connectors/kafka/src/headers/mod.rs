//! Message properties and typed headers as Kafka headers, which know only names and bytes.
//!
//! In order: the message properties under a prefix, the application's headers, in `typed` encoding one header that
//! remembers what text forgets ([`typed::TYPES`]), and where the record came from. The mapping is total: there is no
//! value that stops a record. `docs/connectors/kafka.md` has the table. [`decode`] is the way back, and [`read`]
//! what the source makes of anybody's headers. `confluent` is another connector's convention.

mod check;
mod confluent;
pub mod decode;
mod mapping;
mod nested;
mod out;
mod properties;
pub mod read;
mod text;
pub mod typed;

use gantry_sdk::Record;

use out::{bytes_of, prefixed};

pub use mapping::{Encoding, HeaderMapping, Include};
pub use out::{Out, Scratch};

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
            let texts = [(exchange, origin.text("exchange")), (routing_key, origin.text("routing_key"))];
            for (name, value) in texts.into_iter().chain([(queue, Some(&origin.address))]) {
                out.add(name, Some(bytes_of(value)));
            }
        }
    }
}

#[cfg(test)]
mod tests;
