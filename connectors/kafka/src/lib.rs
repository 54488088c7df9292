//! Apache Kafka over librdkafka.
//!
//! # Code map, in reading order
//! 1. [`connection`]: how to reach a cluster; options only
//! 2. [`headers`]: message properties and typed headers as Kafka headers, and back
//! 3. [`partitioner`]: which partition a key goes to
//! 4. `sink`: options, opening, producing, delivery reports, taking back a refused batch
//! 5. `source`: options, the member of the group, partitions as lanes, commits
//! 6. `client`: what librdkafka says of itself
//! 7. `dead_letters`: reading dead letters back; `dead_letter_headers`: what else they carry
//! 8. `names`: what Kafka takes as a topic's name and a partition's number
//! 9. `error`: what its error codes mean
//! 10. `probe`: what `gantry check --connect` asks
//!
//! # Architecture invariant
//! librdkafka's blocking calls never run on an async thread, and its callbacks never block.

pub mod connection;
pub mod headers;
pub mod partitioner;

mod client;
mod dead_letter_headers;
mod dead_letters;
mod error;
mod names;
mod probe;
mod sink;
mod source;

use gantry_sdk::plugin::{ConnectionPlugin, SinkPlugin, SourcePlugin};

pub use connection::ConnectionOptions;
pub use sink::{Compression, Declare, SinkOptions};
pub use source::{IsolationLevel, OffsetReset, OnTopicRecreated, SourceOptions, Start, StartTime};

/// Named connections: `connections: { x: { kafka: … } }`.
pub const CONNECTION: ConnectionPlugin = ConnectionPlugin::of::<ConnectionOptions>("kafka")
    .with_libraries(&["librdkafka", "rdkafka", "ureq"])
    .with_example(include_str!("examples/connection.yaml"));

/// The source: `source: { kafka: … }`.
pub const SOURCE: SourcePlugin = SourcePlugin::of::<SourceOptions>(
    "kafka",
    "Reads Kafka topics in a consumer group: in order per partition, committed only when delivered.",
)
.with_example(include_str!("examples/source.yaml"));

/// The sink: `sink: { kafka: … }`.
pub const SINK: SinkPlugin = SinkPlugin::of::<SinkOptions>(
    "kafka",
    "Writes records to Kafka topics: idempotent, confirmed by all in-sync replicas, in order per partition.",
)
.with_dead_letters::<SinkOptions>()
.with_examples(include_str!("examples/sink.yaml"), include_str!("examples/dead-letter.yaml"));
