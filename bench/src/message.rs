//! What is sent: bodies of some size, with and without properties and headers.

use std::{collections::BTreeMap, fmt};

use gantry_generate::payload;
use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable, ShortString},
};
use rdkafka::message::{Header, OwnedHeaders};
use serde::Serialize;

/// Persistent, as people's messages are; RabbitMQ may then write them to disk.
const PERSISTENT: u8 = 2;
/// A fixed time: every run sends the same bytes.
const TIMESTAMP: u64 = 1_750_000_000;

/// One kind of message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Message {
    /// Bytes of the body.
    pub(crate) size: usize,
    /// With four properties and five headers; on the way from Kafka with five headers.
    pub(crate) headers: bool,
}

impl Message {
    /// The body of message number `sequence`: JSON that looks random, in which every byte can be checked.
    pub(crate) fn body(self, sequence: u64) -> Vec<u8> {
        let mut body = Vec::with_capacity(self.size);
        payload::write(sequence, self.size, &mut body);
        body
    }

    /// The properties and headers of message number `sequence`.
    pub(crate) fn properties(self, sequence: u64) -> BasicProperties {
        let properties = BasicProperties::default().with_delivery_mode(PERSISTENT);
        if !self.headers {
            return properties;
        }
        properties
            .with_message_id(format!("6f9b1c52-3d07-4c6a-9a51-{sequence:012x}").into())
            .with_correlation_id(format!("order-{sequence}").into())
            .with_content_type("application/json".into())
            .with_timestamp(TIMESTAMP)
            .with_headers(headers(sequence))
    }

    /// The headers of record number `sequence`: the same as text.
    pub(crate) fn kafka_headers(self, sequence: u64) -> Option<OwnedHeaders> {
        let trace = trace_id(sequence);
        let fields = [
            ("tenant", "acme"),
            ("trace-id", &trace),
            ("source", "shop/checkout"),
            ("attempt", "1"),
            ("test", "false"),
        ];
        let all = || {
            let headers = OwnedHeaders::new_with_capacity(fields.len());
            fields.into_iter().fold(headers, |headers, (key, text)| headers.insert(Header { key, value: Some(text) }))
        };
        self.headers.then(all)
    }
}

fn trace_id(sequence: u64) -> String {
    format!("4bf92f3577b34da6{sequence:016x}")
}

fn headers(sequence: u64) -> FieldTable {
    let text = |text: &str| AMQPValue::LongString(text.into());
    let fields: [(&str, AMQPValue); 5] = [
        ("tenant", text("acme")),
        ("trace-id", text(&trace_id(sequence))),
        ("source", text("shop/checkout")),
        ("attempt", AMQPValue::LongInt(1)),
        ("test", AMQPValue::Boolean(false)),
    ];
    let fields: BTreeMap<ShortString, AMQPValue> =
        fields.into_iter().map(|(name, value)| (name.into(), value)).collect();
    fields.into()
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = if self.size.is_multiple_of(1024) {
            format!("{} KiB", self.size / 1024)
        } else {
            format!("{} B", self.size)
        };
        write!(f, "{size}, {}", if self.headers { "headers" } else { "no headers" })
    }
}
