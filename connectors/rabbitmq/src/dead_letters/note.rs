//! The note on a dead letter: one header with what its message does not say of the record.
//!
//! AMQP has no key, sorts headers by name, and RabbitMQ deletes what has expired. So the sink changes what it must, and the
//! note says how it was. Both ways are here; the way back is tried before the message is sent, and the note says if it does
//! not lead to the same record.
//!
//! | field | is | when |
//! |---|---|---|
//! | `written` | when it became a dead letter, in milliseconds since 1970 | always |
//! | `headers` | how many headers the record has, or their names in order if that is not the one of their names | always |
//! | `key` | the record's key | it has one |
//! | `timestamp` | the record's timestamp in milliseconds, void for none | the property of the message says another |
//! | `properties` | the record's properties | those of the message are others |
//! | `own` | headers of the record named like the note, or by which RabbitMQ [acts](crate::reserved) | it has some |
//! | `left_out` | how many headers and properties did not fit | some did not |
//! | `exact` | `false` | the record cannot be rebuilt to the last bit |

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;
use bytestring::ByteString;
use gantry_sdk::{Headers, Record, Value, dead_letters::Reason, record::Header};
use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable},
};

use super::properties;
use crate::{
    convert::{Converter, to_amqp},
    header_size::{room, shrink, size},
    reserved::is_reserved,
};

/// The header's name.
pub(crate) const NOTE: &str = "gantry.letter";

/// What of the record is larger than this part of a frame stays out of the note, so that the note always fits.
const PARTS_OF_A_FRAME: usize = 8;
/// Bytes of the header without its table, and of `left_out` and `exact`, which are known last.
const RESERVED: usize = 64;

/// A record out of a dead letter.
#[derive(Debug)]
pub(crate) struct Rebuilt {
    pub record: Record,
    pub reason: Reason,
    /// Milliseconds since 1970.
    pub written: Option<i64>,
    /// What of the record is lost.
    pub loss: Option<String>,
}

/// The properties of a dead letter's message: those of the record as far as they can be, its headers and the note.
pub(crate) struct Draft<'a> {
    pub record: &'a Record,
    pub properties: BasicProperties,
    pub table: FieldTable,
    /// What could not be written so far.
    pub left_out: u32,
    /// Milliseconds since 1970.
    pub written: i64,
    /// Bytes of a frame, 0 for any.
    pub frame: usize,
    /// Names of headers that the sink adds to each record.
    pub added: &'a [String],
}

// === impl Draft ===

impl Draft<'_> {
    /// The whole of it. Headers that do not fit in a frame are left out, the largest first.
    pub(crate) fn finish(mut self) -> BasicProperties {
        let own = own_headers(self.record);
        let mut note = self.note(&own);
        if self.frame != 0 {
            let left = room(self.frame, &self.properties).saturating_sub(size(&note) + RESERVED);
            if size(&self.table) > left {
                self.left_out += shrink(&mut self.table, left);
            }
        }
        if self.left_out > 0 {
            note.insert("left_out".into(), AMQPValue::LongUInt(self.left_out));
        }
        let noted = |note: &FieldTable| {
            let mut table = self.table.clone();
            table.insert(NOTE.into(), AMQPValue::FieldTable(note.clone()));
            self.properties.clone().with_headers(table)
        };
        let message = noted(&note);
        if self.leads_back(&message, &own) {
            return message;
        }
        note.insert("exact".into(), AMQPValue::Boolean(false));
        noted(&note)
    }

    fn note(&mut self, own: &Headers) -> FieldTable {
        let record = self.record;
        let said = Converter::new("").content(&self.properties, Vec::new());
        let mut note = FieldTable::default();
        note.insert("written".into(), AMQPValue::LongLongInt(self.written));
        note.insert("headers".into(), self.order(own));
        if said.timestamp != record.timestamp {
            note.insert("timestamp".into(), record.timestamp.map_or(AMQPValue::Void, AMQPValue::LongLongInt));
        }
        if said.properties() != record.properties() {
            self.put(&mut note, "properties", properties::write(record.properties()));
        }
        if let Some(key) = &record.key {
            self.put(&mut note, "key", AMQPValue::ByteArray(key.as_ref().into()));
        }
        let noted = own.iter().filter(|(name, _)| is_noted(name)).cloned().collect::<Vec<_>>();
        if !noted.is_empty()
            && let Ok(table) = to_amqp(&Value::Table(noted))
        {
            self.put(&mut note, "own", table);
        }
        note
    }

    fn put(&mut self, note: &mut FieldTable, name: &str, value: AMQPValue) {
        let mut alone = FieldTable::default();
        alone.insert(name.into(), value.clone());
        if self.fits(size(&alone)) {
            note.insert(name.into(), value);
        } else {
            self.left_out += 1;
        }
    }

    const fn fits(&self, bytes: usize) -> bool {
        self.frame == 0 || bytes <= self.frame / PARTS_OF_A_FRAME
    }

    /// Headers come back sorted by name, and those of a reason are taken for the last one's: else the note has their names.
    fn order(&self, own: &Headers) -> AMQPValue {
        let is_plain = own.iter().is_sorted_by(|(one, _), (next, _)| **one <= **next)
            && own.iter().all(|(name, _)| !name.starts_with(Reason::PREFIX));
        let bytes: usize = own.iter().map(|(name, _)| name.len() + 5).sum();
        if is_plain || !self.fits(bytes) {
            return AMQPValue::LongUInt(u32::try_from(own.len()).unwrap_or(u32::MAX));
        }
        let names: Vec<_> =
            own.iter().map(|(name, _)| AMQPValue::LongString(name.as_bytes().as_ref().into())).collect();
        AMQPValue::FieldArray(names.into())
    }

    /// Whether the message leads back to the record. That a NaN is none other is seen in its text.
    fn leads_back(&self, message: &BasicProperties, own: &Headers) -> bool {
        let content = Converter::new("").content(message, Vec::new());
        let Some(Rebuilt { record, loss: None, .. }) = read(&content, self.added) else { return false };
        record.key == self.record.key
            && record.timestamp == self.record.timestamp
            && record.properties() == self.record.properties()
            && (record.headers == *own || format!("{:?}", record.headers) == format!("{own:?}"))
    }
}

/// Whether the message cannot hold a header of this name as the record's own: the note does.
fn is_noted(name: &str) -> bool {
    name == NOTE || is_reserved(name)
}

/// The record's headers without the reason that the runtime added behind them.
fn own_headers(record: &Record) -> Headers {
    let mut own = record.headers.clone();
    Reason::split_off(&mut own);
    own
}

/// Rebuilds the record of a dead letter's message; `None` if it has no note. `added` are the names of headers that the sink
/// adds to each record.
pub(crate) fn read(message: &Record, added: &[String]) -> Option<Rebuilt> {
    let note = Note::of(&message.headers)?;
    let is_ours = |name: &ByteString| is_noted(name) || added.iter().any(|added| **added == **name);
    let mut list: Vec<_> = message.headers.iter().filter(|(name, _)| !is_ours(name)).cloned().collect();
    list.extend(note.own());
    list.sort_by_key(|(name, _)| name.clone());
    let (own, rest) = match note.names() {
        Some(names) => pick(list, names),
        None => list.into_iter().partition(|(name, _)| !name.starts_with(Reason::PREFIX)),
    };
    let is_changed = note.count() != Some(own.len()) || rest.iter().any(|(name, _)| !name.starts_with(Reason::PREFIX));
    let reason = Reason::of(&rest);
    let mut record = Record { key: note.key(), headers: own.into(), origin: reason.origin(), ..message.clone() };
    if let Some(timestamp) = note.field("timestamp") {
        record.timestamp = number(timestamp);
    }
    if let Some(Value::Table(fields)) = note.field("properties") {
        record.set_properties(properties::read(fields));
    }
    Some(Rebuilt { record, reason, written: note.field("written").and_then(number), loss: note.loss(is_changed) })
}

/// Takes headers of these names out of a list, in this order; says what is left over.
fn pick(list: Vec<Header>, names: &[Value]) -> (Vec<Header>, Vec<Header>) {
    let mut places: HashMap<&[u8], VecDeque<usize>> = HashMap::new();
    for (place, (name, _)) in list.iter().enumerate() {
        places.entry(name.as_bytes()).or_default().push_back(place);
    }
    let place_of = |name: &Value| match name {
        Value::String(name) => places.get_mut(name.as_ref())?.pop_front(),
        _ => None,
    };
    let order: Vec<usize> = names.iter().filter_map(place_of).collect();
    let own = order.iter().map(|place| list[*place].clone()).collect();
    let mut is_own = vec![false; list.len()];
    order.iter().for_each(|place| is_own[*place] = true);
    let mut is_own = is_own.into_iter();
    (own, list.into_iter().filter(|_| !is_own.next().unwrap_or_default()).collect())
}

/// A note as it came: whatever is in it, nothing of it is trusted to be there.
struct Note<'a>(&'a [(ByteString, Value)]);

impl<'a> Note<'a> {
    fn of(headers: &'a Headers) -> Option<Self> {
        match headers.get(NOTE)? {
            Value::Table(fields) => Some(Self(fields)),
            _ => None,
        }
    }

    fn field(&self, name: &str) -> Option<&'a Value> {
        self.0.iter().find(|(own, _)| own == name).map(|(_, value)| value)
    }

    fn names(&self) -> Option<&'a [Value]> {
        match self.field("headers")? {
            Value::List(names) => Some(names),
            _ => None,
        }
    }

    fn count(&self) -> Option<usize> {
        match self.field("headers")? {
            Value::List(names) => Some(names.len()),
            Value::U32(count) => usize::try_from(*count).ok(),
            _ => None,
        }
    }

    fn key(&self) -> Option<Bytes> {
        match self.field("key")? {
            Value::Bytes(key) => Some(key.clone()),
            _ => None,
        }
    }

    fn own(&self) -> Vec<Header> {
        match self.field("own") {
            Some(Value::Table(fields)) => fields.clone(),
            _ => Vec::new(),
        }
    }

    fn loss(&self, is_changed: bool) -> Option<String> {
        let is_exact = self.field("exact") != Some(&Value::Bool(false));
        match self.field("left_out") {
            Some(Value::U32(count)) => {
                Some(format!("{count} of its headers and properties did not fit into the message"))
            }
            _ if !is_exact => {
                Some("AMQP could not hold all of its headers as they were, or header_mapping is not typed".to_owned())
            }
            _ => is_changed.then(|| "its headers were changed since it was written".to_owned()),
        }
    }
}

fn number(value: &Value) -> Option<i64> {
    match value {
        Value::I64(number) => Some(*number),
        _ => None,
    }
}
