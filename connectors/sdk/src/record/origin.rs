//! Where a record came from.

use bytestring::ByteString;
use serde_json::{Map, Value as Json};

use super::present::present;

/// Where a record came from, in the words of its protocol. What a protocol does not have stays empty or `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// What the source reads from: a queue, a topic, a subject, a stream.
    pub address: ByteString,
    /// AMQP: the exchange that it was published to; empty for the default exchange.
    pub exchange: ByteString,
    /// AMQP: the routing key that it was published with.
    pub routing_key: ByteString,
    /// Kafka: the partition.
    pub partition: Option<i32>,
    /// Kafka and streams: the offset.
    pub offset: Option<i64>,
    /// The broker has delivered it before.
    pub redelivered: bool,
}

impl Origin {
    /// As a JSON object under the names of its fields; what is empty or not there is left out.
    pub fn to_object(&self) -> Map<String, Json> {
        let text = |text: &ByteString| (!text.is_empty()).then(|| Json::from(&**text));
        present([
            ("address", text(&self.address)),
            ("exchange", text(&self.exchange)),
            ("routing_key", text(&self.routing_key)),
            ("partition", self.partition.map(Json::from)),
            ("offset", self.offset.map(Json::from)),
            ("redelivered", self.redelivered.then_some(Json::Bool(true))),
        ])
    }
}
