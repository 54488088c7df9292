//! A record to an envelope.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use bytestring::ByteString;
use gantry_sdk::{Headers, Properties, Record, Timestamp};
use serde::Serialize;
use serde_json::Value as Json;

use super::{key::Key, schema, value};

/// Wraps one record after the other.
pub(super) struct Wrapper {
    key: Key,
    /// The schemas of value and key as text, when they are to be written.
    schemas: Option<[String; 2]>,
}

/// The connector's struct `Message`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Message<'a> {
    /// Required there, and no record has one.
    consumer_tag: &'static str,
    envelope: Envelope<'a>,
    basic_properties: BasicProperties<'a>,
    body: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    /// Required there, and no record has one.
    delivery_tag: i64,
    is_redeliver: bool,
    exchange: Option<&'a str>,
    routing_key: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BasicProperties<'a> {
    content_type: Option<&'a str>,
    content_encoding: Option<&'a str>,
    #[serde(serialize_with = "value::write")]
    headers: &'a Headers,
    delivery_mode: Option<u8>,
    priority: Option<u8>,
    correlation_id: Option<&'a str>,
    reply_to: Option<&'a str>,
    expiration: Option<&'a str>,
    message_id: Option<&'a str>,
    /// Milliseconds since 1970.
    timestamp: Option<i64>,
    #[serde(rename = "type")]
    message_type: Option<&'a str>,
    user_id: Option<&'a str>,
    app_id: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MessageKey<'a> {
    message_id: Option<&'a str>,
}

impl Wrapper {
    pub(super) fn new(has_schemas: bool, key: Key) -> Self {
        let schemas = || [schema::message(), schema::message_key()].map(|schema: Json| schema.to_string());
        Self { key, schemas: has_schemas.then(schemas) }
    }

    pub(super) fn wrap(&self, record: &mut Record) {
        let Some(body) = &record.value else { return };
        let (origin, properties) = (&record.origin, record.properties());
        // What lay in a log was not delivered by RabbitMQ.
        let is_delivery = origin.integer("offset").is_none();
        let message = Message {
            consumer_tag: "",
            envelope: Envelope {
                delivery_tag: 0,
                is_redeliver: origin.redelivered,
                exchange: is_delivery.then(|| origin.text("exchange").map_or("", |text| text)),
                routing_key: is_delivery.then(|| origin.text("routing_key").map_or("", |text| text)),
            },
            basic_properties: BasicProperties::of(properties, &record.headers),
            body: STANDARD.encode(body),
        };
        let [message_schema, key_schema] = match &self.schemas {
            Some(schemas) => schemas.each_ref().map(|schema| Some(schema.as_str())),
            None => [None; 2],
        };
        let value = json(&message, message_schema);
        if self.key == Key::MessageKey {
            let key = MessageKey { message_id: properties.message_id.as_deref() };
            record.key = Some(json(&key, key_schema));
        }
        record.value = Some(value);
        record.headers = Headers::EMPTY;
        record.properties = None;
    }
}

impl<'a> BasicProperties<'a> {
    fn of(properties: &'a Properties, headers: &'a Headers) -> Self {
        let text = |text: &'a Option<ByteString>| text.as_deref();
        Self {
            content_type: text(&properties.content_type),
            content_encoding: text(&properties.content_encoding),
            headers,
            delivery_mode: properties.delivery_mode,
            priority: properties.priority,
            correlation_id: text(&properties.correlation_id),
            reply_to: text(&properties.reply_to),
            expiration: text(&properties.expiration),
            message_id: text(&properties.message_id),
            timestamp: properties.timestamp.and_then(Timestamp::to_millis),
            message_type: text(&properties.message_type),
            user_id: text(&properties.user_id),
            app_id: text(&properties.app_id),
        }
    }
}

/// The JSON of a struct, as `JsonConverter` writes it with that schema or without one.
fn json(payload: &impl Serialize, schema: Option<&str>) -> Bytes {
    let mut out = Vec::new();
    if let Some(schema) = schema {
        out.extend_from_slice(b"{\"schema\":");
        out.extend_from_slice(schema.as_bytes());
        out.extend_from_slice(b",\"payload\":");
    }
    // It writes into memory, and all names are text: it cannot fail.
    let _ = serde_json::to_writer(&mut out, payload);
    if schema.is_some() {
        out.push(b'}');
    }
    out.into()
}
