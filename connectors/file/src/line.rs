//! One line of the file: a record with everything that it holds, or a mark on letters that were replayed.
//!
//! ```json
//! {"id":"18f2-1c-0:3","written":"2026-01-02T03:04:05.678Z","error":{"queue":"orders","stage":"TRANSFORMATION"},
//!  "key":"k","value":"…","headers":[{"name":"n","type":"i64","value":7}],"timestamp":1700000000000,
//!  "source":{"kind":"queue","address":"orders","exchange":"","routing_key":"eu"},"properties":{"message_id":"m-1"}}
//! {"replayed":"18f2-1c-0:3,5-9"}
//! ```
//! Bytes that are not UTF-8 stand under `key_base64`, `value_base64` or `base64` instead. A tombstone has `"value":null`.
//! `docs/connectors/file.md` has the whole table. The mapping is total in both directions: every record becomes a line,
//! and a line that is no record's is said to be none.

mod part;
mod value;

use bytestring::ByteString;
use gantry_sdk::{
    Headers, Record,
    dead_letters::{DeadLetterId, Marks, Reason},
};
use serde_json::{Map, Value as Json};

/// The key of a mark.
pub(crate) const REPLAYED: &str = "replayed";

/// What a line says.
#[derive(Debug, Clone, PartialEq)]
pub enum Line {
    /// A record.
    Record(Box<Entry>),
    /// These letters were replayed.
    Mark(Marks),
}

/// A record and what the line says about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The line's own name.
    pub id: DeadLetterId,
    /// When it was written.
    pub written: Option<jiff::Timestamp>,
    /// Why it is a dead letter; empty when it is none.
    pub reason: Reason,
    /// The record.
    pub record: Record,
    /// Some value was nested so deeply that only its text was kept.
    pub flattened: bool,
}

/// Writes a record's line, without the line break. The reason of a dead letter is taken off its headers.
pub fn write(id: &DeadLetterId, written: jiff::Timestamp, record: &Record, is_letter: bool, out: &mut Vec<u8>) {
    let mut object = Map::new();
    object.insert("id".into(), id.to_string().into());
    object.insert("written".into(), format!("{written:.3}").into());
    let mut headers = record.headers.clone();
    if is_letter {
        let fields = Reason::split_off(&mut headers).fields;
        let fields = fields.into_iter().map(|(name, value)| (name, value.into())).collect();
        object.insert("error".into(), Json::Object(fields));
    }
    if let Some(key) = &record.key {
        part::put_bytes(&mut object, "key", "key_base64", key);
    }
    match &record.value {
        Some(body) => part::put_bytes(&mut object, "value", "value_base64", body),
        None => drop(object.insert("value".into(), Json::Null)),
    }
    let listed = headers.iter().map(|(name, value)| value::named(name, value, 0)).collect();
    object.insert("headers".into(), Json::Array(listed));
    if let Some(timestamp) = record.timestamp {
        object.insert("timestamp".into(), timestamp.into());
    }
    if let Some(destination) = &record.destination {
        object.insert("destination".into(), destination.to_string().into());
    }
    object.insert("source".into(), Json::Object(part::origin(&record.origin)));
    object.insert("properties".into(), Json::Object(record.properties().to_object(value::time_json)));
    out.extend_from_slice(Json::Object(object).to_string().as_bytes());
}

/// Writes a mark's line, without the line break.
pub fn write_mark(marks: &Marks) -> Vec<u8> {
    let object = Map::from_iter([(REPLAYED.to_owned(), Json::from(marks.to_string()))]);
    Json::Object(object).to_string().into_bytes()
}

/// Reads a line. The error says why it is none of ours, and quotes nothing.
pub fn read(line: &[u8]) -> Result<Line, String> {
    let object = match serde_json::from_slice(line) {
        Ok(Json::Object(object)) => object,
        Ok(_) => return Err("it is JSON, but no object".to_owned()),
        Err(error) => return Err(format!("it is not JSON: {error}")),
    };
    if let Some(marks) = object.get(REPLAYED) {
        let marks = marks.as_str().ok_or_else(|| format!("\"{REPLAYED}\" is not a text"))?;
        return Ok(Line::Mark(marks.parse()?));
    }
    entry(&object).map(|entry| Line::Record(Box::new(entry))).ok_or_else(|| "it is JSON, but not a record".to_owned())
}

fn entry(object: &Map<String, Json>) -> Option<Entry> {
    let fields = object.get("error").map_or(Some(Vec::new()), |error| {
        error.as_object()?.iter().map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
    });
    let listed = object.get("headers")?.as_array()?;
    let headers: Option<Headers> = listed.iter().map(|header| value::read_named(header.as_object()?)).collect();
    let mut record = Record {
        key: part::bytes(object, "key", "key_base64")?,
        value: part::bytes(object, "value", "value_base64")?,
        headers: headers?,
        timestamp: part::optional(object.get("timestamp"), Json::as_i64)?,
        origin: part::read_origin(object.get("source")?.as_object()?)?,
        destination: part::optional(object.get("destination"), |text| text.as_str().map(ByteString::from))?,
        ..Record::default()
    };
    record.set_properties(part::read_properties(object.get("properties")?.as_object()?)?);
    let reason = Reason { fields: fields? };
    if record.origin.kind.is_empty() {
        // Lines of before kinds had one: there the reason of a letter says it.
        record.origin.kind = reason.origin().kind;
    }
    Some(Entry {
        id: object.get("id")?.as_str()?.parse().ok()?,
        written: part::optional(object.get("written"), |text| text.as_str()?.parse().ok())?,
        reason,
        flattened: listed.iter().any(value::is_flattened),
        record,
    })
}

#[cfg(test)]
mod tests;
