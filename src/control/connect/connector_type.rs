//! Source or sink, as Kafka Connect sees it.

use gantry_runtime::Definition;
use serde::Serialize;

/// The connector whose side decides what Connect calls source or sink: it moves records into Kafka or out of it.
pub(super) const KAFKA: &str = "kafka";

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
        let source = definition.source.plugin.name;
        if source == KAFKA && main_sink(definition) != KAFKA { Self::Sink } else { Self::Source }
    }
}

/// The sink that stands for all: the first that is not Kafka, or the first.
pub(super) fn main_sink(definition: &Definition) -> &'static str {
    let mut names = definition.sinks.iter().map(|branch| branch.sink.plugin.name);
    let first = names.clone().next().unwrap_or_default();
    names.find(|name| *name != KAFKA).unwrap_or(first)
}
