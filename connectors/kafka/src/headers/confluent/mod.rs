//! The headers that Confluent's RabbitMQ source connector writes, so that consumers made for it go on working.
//!
//! All of [`FIELDS`] always, in this order, null where the record has nothing, then the application's headers under
//! `rabbitmq.`. Values are the text that Kafka Connect's `SimpleHeaderConverter` makes of them ([`text`]). Names and order
//! are those that the connector shows in its vendor's examples. `docs/connectors/conversion.md` has the table.
//!
//! [`Reader`] is the way back. It is total: what does not read as a field is a header like any other.

mod read;
mod text;

use gantry_sdk::{Record, config::Problem};

use super::{
    HeaderMapping, Include, Out, Scratch,
    mapping::PROPERTY_PREFIX,
    out::{bytes_of, prefixed},
};

pub(super) use read::Reader;

/// What every name begins with.
const PREFIX: &str = "rabbitmq.";

/// What the connector writes of a message besides its headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    ConsumerTag,
    ContentType,
    ContentEncoding,
    DeliveryMode,
    Priority,
    CorrelationId,
    ReplyTo,
    Expiration,
    MessageId,
    Timestamp,
    Type,
    UserId,
    AppId,
    DeliveryTag,
    Redeliver,
    Exchange,
    RoutingKey,
}

/// The fields by their names, in the connector's order.
const FIELDS: [(&str, Field); 17] = [
    ("rabbitmq.consumer.tag", Field::ConsumerTag),
    ("rabbitmq.content.type", Field::ContentType),
    ("rabbitmq.content.encoding", Field::ContentEncoding),
    ("rabbitmq.delivery.mode", Field::DeliveryMode),
    ("rabbitmq.priority", Field::Priority),
    ("rabbitmq.correlation.id", Field::CorrelationId),
    ("rabbitmq.reply.to", Field::ReplyTo),
    ("rabbitmq.expiration", Field::Expiration),
    ("rabbitmq.message.id", Field::MessageId),
    ("rabbitmq.timestamp", Field::Timestamp),
    ("rabbitmq.type", Field::Type),
    ("rabbitmq.user.id", Field::UserId),
    ("rabbitmq.app.id", Field::AppId),
    ("rabbitmq.delivery.tag", Field::DeliveryTag),
    ("rabbitmq.redeliver", Field::Redeliver),
    ("rabbitmq.exchange", Field::Exchange),
    ("rabbitmq.routing.key", Field::RoutingKey),
];

/// What contradicts the encoding.
pub(super) fn check(mapping: &HeaderMapping) -> Vec<Problem> {
    let mut problems = Vec::new();
    if ![PROPERTY_PREFIX, PREFIX].contains(&mapping.property_prefix.as_str()) {
        let message = "encoding: confluent has names of its own, which begin with \"rabbitmq.\": leave it out";
        problems.push(Problem::error("property_prefix", message));
    }
    if !mapping.header_prefix.is_empty() && !mapping.header_prefix.starts_with(PREFIX) {
        let message =
            "with encoding: confluent it begins with \"rabbitmq.\": leave it out, or write \"rabbitmq.headers.\"";
        problems.push(Problem::error("header_prefix", message));
    }
    problems
}

/// The prefix of the application's headers, if they are mapped.
fn header_prefix(mapping: &HeaderMapping) -> Option<String> {
    let prefix = if mapping.header_prefix.is_empty() { PREFIX } else { &mapping.header_prefix };
    mapping.include.contains(&Include::Headers).then(|| prefix.to_owned())
}

/// A mapping in this encoding, made ready.
#[derive(Debug)]
pub(super) struct Writer {
    headers: Option<String>,
}

impl Writer {
    pub(super) fn new(mapping: &HeaderMapping) -> Self {
        Self { headers: header_prefix(mapping) }
    }

    /// How many headers [`Writer::write`] will add.
    pub(super) fn count(&self, record: &Record) -> usize {
        FIELDS.len() + if self.headers.is_some() { record.headers.len() } else { 0 }
    }

    pub(super) fn write(&self, record: &Record, scratch: &mut Scratch, out: &mut impl Out) {
        let Scratch { name, text, .. } = scratch;
        for (name, field) in FIELDS {
            out.add(name, field.of(record, text));
        }
        if let Some(prefix) = &self.headers {
            for (own, value) in &record.headers {
                out.add(prefixed(prefix, own, name), text::of(value, text));
            }
        }
    }
}

// === impl Field ===

impl Field {
    /// The field with that name.
    fn named(name: &str) -> Option<(usize, Self)> {
        let index = name.starts_with(PREFIX).then(|| FIELDS.iter().position(|(own, _)| *own == name))??;
        Some((index, FIELDS[index].1))
    }

    /// Its text for this record; null when the record has nothing there.
    fn of<'a>(self, record: &'a Record, scratch: &'a mut Vec<u8>) -> Option<&'a [u8]> {
        let (properties, origin) = (record.properties(), &record.origin);
        // What lay in a log was not delivered by RabbitMQ.
        let is_delivery = origin.get("offset").is_none();
        let text = match self {
            // Numbers of one connection and one channel: they mean nothing to anybody else, and no record has them.
            Self::ConsumerTag | Self::DeliveryTag => return None,
            Self::ContentType => &properties.content_type,
            Self::ContentEncoding => &properties.content_encoding,
            Self::CorrelationId => &properties.correlation_id,
            Self::ReplyTo => &properties.reply_to,
            Self::Expiration => &properties.expiration,
            Self::MessageId => &properties.message_id,
            Self::Type => &properties.message_type,
            Self::UserId => &properties.user_id,
            Self::AppId => &properties.app_id,
            Self::DeliveryMode => return properties.delivery_mode.map(|mode| text::number(mode, scratch)),
            Self::Priority => return properties.priority.map(|priority| text::number(priority, scratch)),
            Self::Timestamp => return properties.timestamp.map(|time| text::time(time, scratch)),
            Self::Redeliver => return is_delivery.then(|| text::boolean(origin.redelivered)),
            Self::Exchange => return is_delivery.then(|| bytes_of(origin.text("exchange"))),
            Self::RoutingKey => return is_delivery.then(|| bytes_of(origin.text("routing_key"))),
        };
        text.as_ref().map(|text| text.as_bytes().as_ref())
    }
}

#[cfg(test)]
mod tests;
