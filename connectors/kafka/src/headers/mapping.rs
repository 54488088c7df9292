//! What a person writes about headers.

use schemars::JsonSchema;
use serde::Deserialize;

/// How message properties and headers become Kafka headers.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HeaderMapping {
    /// How values are written. Default: `text`, and `typed` for dead letters, so that they can be replayed as they were.
    pub encoding: Option<Encoding>,
    /// What becomes headers.
    pub include: Vec<Include>,
    /// What the names of property and origin headers begin with.
    pub property_prefix: String,
    /// What the names of the application's headers begin with.
    pub header_prefix: String,
}

/// How header values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// As text that other tools expect; the types are lost.
    #[default]
    Text,
    /// The same text, and one more header, `gantry.types`, from which the original can be rebuilt bit for bit.
    Typed,
    /// As Confluent's RabbitMQ source connector writes them: 17 headers `rabbitmq.…` on every record, null where it has
    /// nothing, then the application's headers under `rabbitmq.`. The types are lost.
    Confluent,
}

/// What can become headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Include {
    /// The message properties: message id, content type and so on.
    Properties,
    /// The application's own headers.
    Headers,
    /// Exchange, routing key and queue (or topic) that the record came from.
    Origin,
}

/// The default of [`HeaderMapping::property_prefix`].
pub(super) const PROPERTY_PREFIX: &str = "amqp.";

impl Default for HeaderMapping {
    fn default() -> Self {
        Self {
            encoding: None,
            include: vec![Include::Properties, Include::Headers],
            property_prefix: PROPERTY_PREFIX.to_owned(),
            header_prefix: String::new(),
        }
    }
}
