//! Apache Kafka over librdkafka.
//!
//! # Code map, in reading order
//! 1. [`connection`]: how to reach a cluster; options only
//! 2. [`headers`]: message properties and typed headers as Kafka headers, and back
//! 3. [`partitioner`]: which partition a key goes to
//! 4. `sink`: options, opening, producing, delivery reports, taking back a refused batch
//! 5. `client`: what librdkafka says of itself
//! 6. `letters`: reading dead letters back
//! 7. `error`: what its error codes mean
//!
//! # Architecture invariant
//! librdkafka's blocking calls never run on an async thread, and its callbacks never block.

pub mod connection;
pub mod headers;
pub mod partitioner;

mod client;
mod error;
mod letters;
mod sink;

use gantry_sdk::plugin::{ConnectionPlugin, SinkPlugin};

pub use connection::ConnectionOptions;
pub use sink::{Compression, Declare, SinkOptions};

/// Named connections: `connections: { x: { kafka: … } }`.
pub const CONNECTION: ConnectionPlugin = ConnectionPlugin::of::<ConnectionOptions>("kafka");

/// The sink: `sink: { kafka: … }`.
pub const SINK: SinkPlugin = SinkPlugin::of::<SinkOptions>(
    "kafka",
    "Writes records to Kafka topics: idempotent, confirmed by all in-sync replicas, in order per partition.",
)
.with_letters::<SinkOptions>();
