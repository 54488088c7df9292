//! Where a record came from.

use bytestring::ByteString;

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
