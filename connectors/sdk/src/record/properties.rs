//! Message properties: what every messaging protocol has under some name.

use bytestring::ByteString;

use super::Timestamp;

/// The properties that AMQP 0-9-1 (`basic` class, §1.8), AMQP 1.0, MQTT 5 and JMS share. Connectors map theirs to and
/// from these, so any source makes sense with any sink.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Properties {
    /// The publisher's own name for the message.
    pub message_id: Option<ByteString>,
    /// What this message answers or belongs to.
    pub correlation_id: Option<ByteString>,
    /// Where an answer should go.
    pub reply_to: Option<ByteString>,
    /// MIME type of the body.
    pub content_type: Option<ByteString>,
    /// MIME content encoding of the body (`gzip`, `utf-8`).
    pub content_encoding: Option<ByteString>,
    /// The application's name for the kind of message (AMQP `type`).
    pub message_type: Option<ByteString>,
    /// Who published it, checked by the broker (AMQP `user-id`).
    pub user_id: Option<ByteString>,
    /// Which application published it.
    pub app_id: Option<ByteString>,
    /// Time to live as the protocol writes it; AMQP 0-9-1: milliseconds as text.
    pub expiration: Option<ByteString>,
    /// Importance; AMQP 0-9-1: 0–255, by convention 0–9.
    pub priority: Option<u8>,
    /// AMQP 0-9-1 delivery mode as it came: 1 transient, 2 persistent.
    pub delivery_mode: Option<u8>,
    /// When the message was made, in the protocol's own resolution.
    pub timestamp: Option<Timestamp>,
    /// AMQP 0-9-1 `cluster-id`, deprecated but on the wire.
    pub cluster_id: Option<ByteString>,
}

impl Properties {
    /// None set.
    pub const EMPTY: Self = Self {
        message_id: None,
        correlation_id: None,
        reply_to: None,
        content_type: None,
        content_encoding: None,
        message_type: None,
        user_id: None,
        app_id: None,
        expiration: None,
        priority: None,
        delivery_mode: None,
        timestamp: None,
        cluster_id: None,
    };
}
