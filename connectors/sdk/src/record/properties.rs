//! Message properties: what every messaging protocol has under some name.

use bytestring::ByteString;
use serde_json::{Map, Value as Json};

use super::{present::present, value::Timestamp};

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

    /// Those that are set, as a JSON object under the names of AMQP 0-9-1 §1.8; `time` writes a point in time.
    pub fn to_object(&self, time: impl FnOnce(Timestamp) -> Json) -> Map<String, Json> {
        let text = |text: &Option<ByteString>| text.as_deref().map(Json::from);
        present([
            ("message_id", text(&self.message_id)),
            ("correlation_id", text(&self.correlation_id)),
            ("reply_to", text(&self.reply_to)),
            ("content_type", text(&self.content_type)),
            ("content_encoding", text(&self.content_encoding)),
            ("type", text(&self.message_type)),
            ("user_id", text(&self.user_id)),
            ("app_id", text(&self.app_id)),
            ("expiration", text(&self.expiration)),
            ("priority", self.priority.map(Json::from)),
            ("delivery_mode", self.delivery_mode.map(Json::from)),
            ("timestamp", self.timestamp.map(time)),
            ("cluster_id", text(&self.cluster_id)),
        ])
    }
}
