//! The one list of connectors and transforms. Adding a connector is one line a list.

use gantry_sdk::plugin::{ConnectionPlugin, SinkPlugin, SourcePlugin, TransformPlugin};

/// Every source that can be named in YAML.
static SOURCES: &[SourcePlugin] = &[gantry_generate::SOURCE, gantry_kafka::SOURCE, gantry_rabbitmq::SOURCE];

/// Every sink that can be named in YAML.
static SINKS: &[SinkPlugin] =
    &[gantry_file::SINK, gantry_generate::CONSOLE, gantry_generate::NULL, gantry_kafka::SINK, gantry_rabbitmq::SINK];

/// Every kind of named connection.
static CONNECTIONS: &[ConnectionPlugin] = &[gantry_kafka::CONNECTION, gantry_rabbitmq::CONNECTION];

/// Every source that can be named in YAML.
pub const fn sources() -> &'static [SourcePlugin] {
    SOURCES
}

/// Every sink that can be named in YAML.
pub const fn sinks() -> &'static [SinkPlugin] {
    SINKS
}

/// Every kind of named connection.
pub const fn connections() -> &'static [ConnectionPlugin] {
    CONNECTIONS
}

/// Every transform that can be named in YAML.
pub const fn transforms() -> &'static [TransformPlugin] {
    crate::transform::PLUGINS
}
