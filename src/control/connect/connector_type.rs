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
        let (source, sink) = (definition.source.plugin.name, definition.sinks[0].sink.plugin.name);
        if source == KAFKA && sink != KAFKA { Self::Sink } else { Self::Source }
    }
}
