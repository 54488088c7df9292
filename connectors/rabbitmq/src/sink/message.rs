//! One record as AMQP writes it, or why it cannot be written.
//!
//! What is found here is refused before it is sent: on the wire it would close the channel, or the connection, and take
//! its neighbours with it. A dead letter's properties and headers that cannot be written are left out and counted instead:
//! nothing comes after a dead letter. What it does not say of its record stands in a [`note`](crate::dead_letters::note).

use std::borrow::Cow;

use bytes::Bytes;
use bytestring::ByteString;
use gantry_sdk::{Headers, Record, Template, Value};
use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable, ShortString},
};

use super::{
    HeaderEncoding, Tombstones, headers,
    limits::Limits,
    plan::{Piece, Plan, text},
};
use crate::{
    convert::{TOMBSTONE, short_string},
    dead_letters::note::Draft,
    header_size, reserved,
};

/// What `basic.publish` takes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Message {
    pub way: Way,
    pub properties: BasicProperties,
    pub body: Bytes,
}

/// Where it goes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Way {
    pub exchange: ShortString,
    pub routing_key: ShortString,
}

impl Way {
    /// The exchange, or behind the default one the queue.
    pub(super) fn address(&self) -> ByteString {
        let name = if self.exchange.as_str().is_empty() { &self.routing_key } else { &self.exchange };
        name.as_str().into()
    }
}

/// What becomes of a record.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one at a time and on the stack: a box would be an allocation a record")]
pub(super) enum Fate {
    Publish(Message),
    /// The options say that it counts as delivered.
    Skip,
    Refuse(String),
}

/// AMQP's "persistent" (basic class, §1.8.3.5).
const PERSISTENT: u8 = 2;
/// What a person can do who keeps dead letters in RabbitMQ.
const NOWHERE_ELSE: &str = "; raise its max_message_size, or keep dead letters in Kafka or a file";

impl Plan {
    /// The record as AMQP writes it. `written` is when it became a dead letter, in milliseconds since 1970.
    pub(super) fn fate(&self, record: &Record, written: i64, limits: &Limits) -> Fate {
        match (&record.value, self.tombstones()) {
            (None, Tombstones::Skip) => return Fate::Skip,
            (None, Tombstones::DeadLetter) => {
                return Fate::Refuse("it has no body (a tombstone), and tombstones is dead_letter".to_owned());
            }
            _ => {}
        }
        match self.message(record, written, limits) {
            Ok(message) => Fate::Publish(message),
            Err(reason) => Fate::Refuse(reason),
        }
    }

    /// A dead letter has nowhere else to go.
    const fn tombstones(&self) -> Tombstones {
        if self.context.dead_letter { Tombstones::Header } else { self.options.tombstones }
    }

    fn message(&self, record: &Record, written: i64, limits: &Limits) -> Result<Message, String> {
        let way = self.way(record)?;
        let body = record.value.clone().unwrap_or_default();
        if body.len() > limits.body() {
            let remedy = if self.context.dead_letter { NOWHERE_ELSE } else { "" };
            let (bytes, most) = (body.len(), limits.body());
            return Err(format!("its body of {bytes} bytes is larger than the {most} that RabbitMQ takes{remedy}"));
        }
        let properties = self.properties(record, written, limits)?;
        Ok(Message { way, properties, body })
    }

    /// Where the record goes: a transform's choice, else the map's, else the options'.
    pub(super) fn way(&self, record: &Record) -> Result<Way, String> {
        let key = |result: Result<ShortString, String>| result.map_err(|reason| format!("its routing key {reason}"));
        if let Some(destination) = &record.destination {
            return Ok(Way { exchange: self.exchange(record)?, routing_key: key(short_string(destination))? });
        }
        if let Some(queue) = self.mapped(&record.origin.address) {
            return Ok(Way { exchange: ShortString::default(), routing_key: queue.clone() });
        }
        if !self.has_way {
            return Err(format!("the map has no queue for \"{}\"", record.origin.address));
        }
        let routing_key = match &self.routing_key {
            Some(piece) => key(piece.render(record).unwrap_or_else(|| Err(lacking(piece))))?,
            None => key(own_key(record))?,
        };
        Ok(Way { exchange: self.exchange(record)?, routing_key })
    }

    fn exchange(&self, record: &Record) -> Result<ShortString, String> {
        let name = self.exchange.render(record).unwrap_or_else(|| Err(lacking(&self.exchange)));
        name.map_err(|reason| format!("its exchange {reason}"))
    }

    fn properties(&self, record: &Record, written: i64, limits: &Limits) -> Result<BasicProperties, String> {
        let mut taken = Taken { lenient: self.context.dead_letter, left_out: 0 };
        let (own, pieces) = (record.properties(), &self.properties);
        let mut out = BasicProperties::default();
        macro_rules! text_property {
            ($($name:ident: $own:ident, $with:ident, $said:literal;)*) => {$(
                let made = match &pieces.$name {
                    None => own.$own.as_ref().map(|own: &ByteString| short_string(own)),
                    Some(piece) => piece.render(record),
                };
                if let Some(value) = taken.take($said, made)? {
                    out = out.$with(value);
                }
            )*};
        }
        text_property! {
            content_type: content_type, with_content_type, "content type";
            content_encoding: content_encoding, with_content_encoding, "content encoding";
            correlation_id: correlation_id, with_correlation_id, "correlation id";
            reply_to: reply_to, with_reply_to, "reply-to";
            message_id: message_id, with_message_id, "message id";
            kind: message_type, with_type, "type";
            app_id: app_id, with_app_id, "app id";
        }
        // A dead letter outlives its record's time, and a restart of RabbitMQ. It is published by us, whoever made the record.
        let own_expiration = own.expiration.as_ref().filter(|_| !self.context.dead_letter);
        let own_mode = own.delivery_mode.filter(|_| !self.context.dead_letter);
        let (own_user, kept_user) = match &own.user_id {
            None => (None, None),
            Some(_) if self.context.dead_letter || pieces.user_id.is_some() => (None, None),
            // Unless it is asked for, a stranger's name is no reason to refuse the record.
            Some(user) if limits.user().is_some_and(|only| *user != *only) => (None, Some(user)),
            own => (own.as_ref(), None),
        };
        let expiration = text_or(&pieces.expiration, own_expiration, record).map(|text| text.and_then(millis));
        if let Some(expiration) = taken.take("expiration", expiration)? {
            out = out.with_expiration(expiration);
        }
        let user = text_or(&pieces.user_id, own_user, record);
        let user = user.map(|text| text.and_then(|user| allowed(user, limits.only_user())));
        if let Some(user) =
            taken.take("user id", user)?.filter(|user| !user.as_str().is_empty() || pieces.user_id.is_none())
        {
            out = out.with_user_id(user);
        }
        if let Some(id) = taken.take("cluster id", own.cluster_id.as_ref().map(|id| short_string(id)))? {
            out = out.with_cluster_id(id);
        }
        let priority = number_or(&pieces.priority, own.priority, record, "a number from 0 to 255");
        if let Some(priority) = taken.take("priority", priority)? {
            out = out.with_priority(priority);
        }
        let mode = number_or(&pieces.delivery_mode, own_mode, record, "1 or 2");
        let default = self.options.persistent.then_some(PERSISTENT);
        if let Some(mode) = taken.take("delivery mode", mode)?.or(default) {
            out = out.with_delivery_mode(mode);
        }
        if let Some(seconds) = taken.take("timestamp", self.timestamp(record))? {
            out = out.with_timestamp(seconds);
        }
        self.with_headers(record, written, limits, out, taken, kept_user)
    }

    /// AMQP counts seconds; a template yields milliseconds.
    fn timestamp(&self, record: &Record) -> Option<Result<u64, String>> {
        match &self.properties.timestamp {
            None => record.properties().timestamp.map(|time| Ok(time.seconds.cast_unsigned())),
            Some(_) => {
                let millis = number_or(&self.properties.timestamp, None::<i64>, record, "milliseconds since 1970")?;
                Some(millis.map(|millis| millis.div_euclid(1000).cast_unsigned()))
            }
        }
    }

    fn with_headers(
        &self,
        record: &Record,
        written: i64,
        limits: &Limits,
        properties: BasicProperties,
        mut taken: Taken,
        kept_user: Option<&ByteString>,
    ) -> Result<BasicProperties, String> {
        let mut table = match self.options.header_mapping {
            HeaderEncoding::None => FieldTable::default(),
            encoding => {
                let own = with_user(&record.headers, kept_user);
                // A dead letter's go into its note.
                let broker_headers = (!taken.lenient).then_some(self.options.broker_headers);
                headers::table(&own, encoding, broker_headers, |name, made| taken.header(name, made))?
            }
        };
        for (name, piece) in &self.headers {
            if let Some(value) = piece.bytes(record) {
                table.insert(name.clone(), AMQPValue::LongString(value.as_ref().into()));
            }
        }
        if record.value.is_none() && self.tombstones() == Tombstones::Header {
            table.insert(TOMBSTONE.into(), AMQPValue::Boolean(true));
        }
        if self.context.dead_letter {
            let (left_out, frame, added) = (taken.left_out, limits.frame, self.added.as_slice());
            return Ok(Draft { record, properties, table, left_out, written, frame, added }.finish());
        }
        if table.inner().is_empty() {
            return Ok(properties);
        }
        let size = header_size::size(&table);
        if limits.frame != 0 && size > header_size::room(limits.frame, &properties) {
            return Err(format!(
                "its headers of {size} bytes do not fit in a frame of {}, RabbitMQ's frame_max",
                limits.frame
            ));
        }
        Ok(properties.with_headers(table))
    }
}

/// How strictly what cannot be written is taken.
struct Taken {
    /// It is left out and counted, not refused.
    lenient: bool,
    left_out: u32,
}

impl Taken {
    fn take<T>(&mut self, name: &str, made: Option<Result<T, String>>) -> Result<Option<T>, String> {
        match made {
            Some(Ok(value)) => Ok(Some(value)),
            None => Ok(None),
            Some(Err(_)) if self.lenient => {
                self.left_out += 1;
                Ok(None)
            }
            Some(Err(reason)) => Err(format!("its {name} {reason}")),
        }
    }

    fn header(
        &mut self,
        name: &str,
        mut made: Result<(ShortString, AMQPValue), String>,
    ) -> Result<Option<(ShortString, AMQPValue)>, String> {
        // RabbitMQ does nothing because of a dead letter. Its note has the header.
        if self.lenient && reserved::is_reserved(name) {
            return Ok(None);
        }
        if reserved::ROUTES.contains(&name) {
            made = made.and_then(|(name, value)| headers::routes(&value).map(|()| (name, value)));
        }
        let shown = || name.chars().take(64).collect::<String>();
        self.take("header", Some(made.map_err(|reason| format!("\"{}\" cannot be written: {reason}", shown()))))
    }
}

/// The headers, and the name of the record's user if the property cannot have it.
fn with_user<'a>(headers: &'a Headers, user: Option<&ByteString>) -> Cow<'a, Headers> {
    let Some(user) = user else { return Cow::Borrowed(headers) };
    let mut headers = headers.clone();
    headers.push(reserved::KEPT_USER, Value::text(user.clone()));
    Cow::Owned(headers)
}

/// The routing key that a record brings along.
fn own_key(record: &Record) -> Result<ShortString, String> {
    let origin = &record.origin;
    match (origin.text("routing_key"), &record.key) {
        (Some(own), _) if !own.is_empty() => short_string(own),
        (_, Some(key)) => text(key),
        _ => short_string(&origin.address),
    }
}

fn lacking(piece: &Piece) -> String {
    match piece {
        Piece::Made(template) => made_nothing(template),
        Piece::Fixed(_) => String::new(),
    }
}

fn made_nothing(template: &Template) -> String {
    format!("\"{template}\" cannot be made: the record lacks a field that it asks for")
}

fn text_or(piece: &Option<Piece>, own: Option<&ByteString>, record: &Record) -> Option<Result<ShortString, String>> {
    match piece {
        None => own.map(|own| short_string(own)),
        Some(piece) => piece.render(record),
    }
}

fn number_or<T: std::str::FromStr>(
    piece: &Option<Piece>,
    own: Option<T>,
    record: &Record,
    expected: &str,
) -> Option<Result<T, String>> {
    let Some(piece) = piece else { return own.map(Ok) };
    let made = piece.render(record)?;
    Some(made.and_then(|text| text.as_str().parse().map_err(|_| not(text.as_str(), expected))))
}

fn not(text: &str, expected: &str) -> String {
    format!("is \"{}\", which is not {expected}", text.chars().take(64).collect::<String>())
}

/// RabbitMQ closes the channel for anything else (`rabbit_basic:parse_expiration`).
fn millis(text: ShortString) -> Result<ShortString, String> {
    match text.as_str().parse::<u32>() {
        Ok(_) => Ok(text),
        Err(_) => Err(not(text.as_str(), "a number of milliseconds")),
    }
}

/// RabbitMQ takes no other `user_id` than that of the connection (its "validated user-id" guide).
fn allowed(user: ShortString, only: Option<&str>) -> Result<ShortString, String> {
    match only {
        Some(only) if !user.as_str().is_empty() && user.as_str() != only => {
            Err(format!("is \"{user}\", and RabbitMQ takes only \"{only}\" on this connection"))
        }
        _ => Ok(user),
    }
}

#[cfg(test)]
mod tests;
