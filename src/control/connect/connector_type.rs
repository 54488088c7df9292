//! Source or sink, as Kafka Connect sees it: it moves records into Kafka or out of it, and which side that is decides.

use gantry_runtime::Definition;
use gantry_sdk::plugin::SinkPlugin;
use serde::Serialize;

/// What a connector is to Connect: its type, seen from Kafka.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum ConnectorType {
    Source,
    Sink,
}

impl ConnectorType {
    /// `sink` for what leaves Kafka for elsewhere, `source` for the rest.
    pub(super) fn of(definition: &Definition) -> Self {
        let leaves = definition.source.plugin.is_kafka && main_sink(definition).is_some_and(|sink| !sink.is_kafka);
        if leaves { Self::Sink } else { Self::Source }
    }
}

/// The sink that stands for all: the first that is not Kafka, or the first. A bridge has at least one.
pub(super) fn main_sink(definition: &Definition) -> Option<&'static SinkPlugin> {
    let mut sinks = definition.sinks.iter().map(|branch| branch.sink.plugin);
    let first = sinks.clone().next();
    sinks.find(|sink| !sink.is_kafka).or(first)
}
