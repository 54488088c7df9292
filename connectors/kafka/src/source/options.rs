//! The source's options.

use gantry_sdk::{Timestamp, config::DurationText};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};
use serde_json::Value as Json;

use crate::{
    connection::{ConnectionOptions, Properties},
    headers::HeaderMapping,
};

/// What `source: { kafka: … }` holds.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceOptions {
    /// The cluster: the name of a connection, or its options.
    pub connection: ConnectionOptions,
    /// The topic to read.
    #[serde(default)]
    pub topic: Option<String>,
    /// Several topics to read, instead of `topic`. Each partition keeps its own order; between them there is none.
    #[serde(default)]
    pub topics: Vec<String>,
    /// Reads every topic whose name matches, also those that come later, instead of `topic`. Begins with `^`.
    #[serde(default)]
    pub topics_regex: Option<String>,
    /// The consumer group. All tasks of a bridge share it, and whoever else uses the same name. Default: `gantry-BRIDGE`.
    #[serde(default)]
    pub group: Option<String>,
    /// Where to begin in a partition for which the group has no offset, or one that is not there any more.
    #[serde(default)]
    pub offset_reset: OffsetReset,
    /// Where to begin in partitions for which the group has no offset, instead of `offset_reset`.
    #[serde(default)]
    pub start: Option<Start>,
    /// What to do when a topic was deleted and created again under the same name: what the group has committed says nothing
    /// about the new one.
    #[serde(default)]
    pub on_topic_recreated: OnTopicRecreated,
    /// Whether records of transactions that were aborted, or are still open, are read.
    #[serde(default)]
    pub isolation_level: IsolationLevel,
    /// Makes the tasks static members of the group: one that is back within the session time-out gets its partitions again,
    /// without a rebalance. The first task has this name, the others `-1`, `-2` and so on behind it.
    #[serde(default)]
    pub group_instance_id: Option<String>,
    /// How often offsets are committed. They are committed too when a partition is taken away, and at the end.
    #[serde(default = "default_commit_interval")]
    pub commit_interval: DurationText,
    /// How long a partition that is taken away may take to settle what is in flight, so that its next owner repeats
    /// nothing. At most half of `max.poll.interval.ms`.
    #[serde(default = "default_revoke_timeout")]
    pub revoke_timeout: DurationText,
    /// How Kafka headers become message properties and headers. `encoding: typed`, the default here, rebuilds what a sink with
    /// the same encoding wrote; headers that no such sink wrote are read as text. `confluent` reads what Confluent's RabbitMQ
    /// source wrote.
    #[serde(default)]
    pub header_mapping: HeaderMapping,
    /// Any other librdkafka property by its own name; wins over the connection's.
    #[serde(default)]
    pub properties: Properties,
}

/// Where to begin without an offset of the group's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OffsetReset {
    /// At the first record that is there.
    #[default]
    Earliest,
    /// Behind the last record that is there.
    Latest,
    /// Nowhere: it is an error.
    Error,
}

/// What becomes of a topic that is another than the one that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnTopicRecreated {
    /// It is read from its first record.
    #[default]
    Earliest,
    /// The bridge fails until somebody has set the group's offsets.
    Fail,
}

/// Where to begin in a partition that the group has not read yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// At this offset, in each partition.
    Offset(u64),
    /// At the first record that is not older, in each partition.
    Timestamp(StartTime),
}

/// A time as RFC 3339 or in milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StartTime(pub i64);

/// What of transactions is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IsolationLevel {
    /// What is committed, and what was written without a transaction.
    #[default]
    ReadCommitted,
    /// Everything, also what is aborted later.
    ReadUncommitted,
}

// A commit is one small request for all partitions together. After a crash at most so much is read again.
const fn default_commit_interval() -> DurationText {
    DurationText::seconds(5)
}

// Longer than a sink that is well takes, shorter than anybody waits for a rebalance.
const fn default_revoke_timeout() -> DurationText {
    DurationText::seconds(30)
}

impl SourceOptions {
    /// The topics that are named, whichever way.
    pub(crate) fn named(&self) -> impl Iterator<Item = &str> {
        self.topic.iter().chain(&self.topics).map(String::as_str)
    }
}

// === impl StartTime ===

impl<'de> Deserialize<'de> for StartTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const EXPECTED: &str = "expected a time like 2026-01-02T03:04:05Z, or milliseconds since 1970";
        let text = match Json::deserialize(deserializer)? {
            Json::String(text) => text,
            Json::Number(number) => number.to_string(),
            _ => return Err(de::Error::custom(EXPECTED)),
        };
        if let Ok(millis) = text.parse::<i64>() {
            return Ok(Self(millis));
        }
        let millis = text.parse::<Timestamp>().ok().and_then(Timestamp::to_millis);
        millis.map(Self).ok_or_else(|| de::Error::custom(EXPECTED))
    }
}

impl JsonSchema for StartTime {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "StartTime".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "integer"], "examples": ["2026-01-02T03:04:05Z", 1_767_323_045_000_i64] })
    }

    fn inline_schema() -> bool {
        true
    }
}

// === impl OffsetReset ===

impl OffsetReset {
    /// librdkafka's name for it.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Earliest => "earliest",
            Self::Latest => "latest",
            Self::Error => "error",
        }
    }
}

// === impl IsolationLevel ===

impl IsolationLevel {
    /// librdkafka's name for it.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::ReadCommitted => "read_committed",
            Self::ReadUncommitted => "read_uncommitted",
        }
    }
}
