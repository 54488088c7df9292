//! The sink's options.

use std::collections::BTreeMap;

use gantry_sdk::{
    Template,
    config::{DurationText, Size},
};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    connection::{ConnectionOptions, Properties},
    headers::HeaderMapping,
    partitioner::Partitioner,
};

/// What `sink: { kafka: … }` holds.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SinkOptions {
    /// The cluster: the name of a connection, or its options.
    pub connection: ConnectionOptions,
    /// The topic to write to. A destination that a transform gave the record wins over it.
    pub topic: Template,
    /// The key. A template that yields nothing gives no key. Default: the key that the record has.
    #[serde(default)]
    pub key: Option<Template>,
    /// The partition, a number. Default, and where the template yields nothing: what the partitioner says.
    #[serde(default)]
    pub partition: Option<Template>,
    /// The timestamp in milliseconds since 1970. Default: the record's own, else Kafka's clock.
    #[serde(default)]
    pub timestamp: Option<Template>,
    /// More headers by name. Where a template yields nothing, the header is left out.
    #[serde(default)]
    pub headers: BTreeMap<String, Template>,
    /// How message properties and headers become Kafka headers.
    #[serde(default)]
    pub header_mapping: HeaderMapping,
    /// How a key becomes a partition.
    #[serde(default)]
    pub partitioner: Partitioner,
    /// How batches are compressed.
    #[serde(default)]
    pub compression: Compression,
    /// How long a record may wait for others to share its request.
    #[serde(default = "default_linger")]
    pub linger: DurationText,
    /// The most bytes that share a request to one partition.
    #[serde(default = "default_batch_size")]
    pub batch_size: Size,
    /// The most records that share a request to one partition.
    #[serde(default = "default_batch_records")]
    pub batch_records: u32,
    /// Creates topics that are missing, with these settings. Without it a missing topic is an error.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Declare")]
    pub declare: Option<Declare>,
    /// With `delivery: exactly_once`: the name of its transactions at the broker, instead of `gantry-BRIDGE`. Each task adds its number.
    #[serde(default)]
    pub transactional_id: Option<String>,
    /// With `delivery: exactly_once`: the topic that keeps how far each lane is. Default: `gantry-checkpoints`; created if missing.
    #[serde(default)]
    pub checkpoints_topic: Option<String>,
    /// Any other librdkafka property by its own name; wins over the connection's.
    #[serde(default)]
    pub properties: Properties,
}

/// How a missing topic is created.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Declare {
    /// How many partitions. Default: the broker's `num.partitions`.
    pub partitions: Option<i32>,
    /// How many brokers hold each partition. Default: the broker's `default.replication.factor`.
    pub replication: Option<i32>,
    /// Topic settings by Kafka's names, like `retention.ms`.
    pub config: BTreeMap<String, String>,
}

/// How batches are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// Small and slow; every client reads it.
    Gzip,
    /// Fast.
    Snappy,
    /// Fastest.
    Lz4,
    /// Smallest; brokers since 2.1.
    Zstd,
}

// librdkafka's own default: long enough to fill requests under load, too short to be noticed without.
const fn default_linger() -> DurationText {
    DurationText::millis(5)
}

// librdkafka's own default.
const fn default_batch_size() -> Size {
    Size(1_000_000)
}

// librdkafka's own default.
const fn default_batch_records() -> u32 {
    10_000
}

/// `declare:` with nothing after it would otherwise read as "do not declare".
fn present<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

// === impl Compression ===

impl Compression {
    /// librdkafka's name for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }
}
