//! gantry's configuration for a run.
//!
//! Everything is at its default, but for what the floor does not do either: where messages have no headers it maps none.

use serde_json::{Map, Value as Json, json};

use crate::{direction::Direction, message::Message, route::Ends};

/// How headers are mapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mapping {
    /// As gantry does by itself.
    Default,
    /// Not at all.
    None,
}

impl Mapping {
    /// Of such messages, so that both programs do the same.
    pub(crate) const fn of(message: Message) -> Self {
        if message.headers { Self::Default } else { Self::None }
    }
}

/// The text of a configuration: `bridge-0`, `bridge-1` …, and the control port.
pub(crate) fn text(connections: &Json, port: u16, bridges: impl IntoIterator<Item = Json>) -> String {
    let bridges: Map<String, Json> =
        bridges.into_iter().enumerate().map(|(number, bridge)| (name(number), bridge)).collect();
    let configuration = json!({
        "control": { "listen": format!("127.0.0.1:{port}") },
        "connections": connections,
        "bridges": bridges,
    });
    // JSON is YAML.
    configuration.to_string()
}

/// The name of a bridge.
pub(crate) fn name(number: usize) -> String {
    format!("bridge-{number}")
}

/// One bridge.
pub(crate) fn bridge(direction: Direction, ends: &Ends, mapping: Mapping) -> Json {
    let Ends { sources, target } = ends;
    let (one, several) = match direction {
        Direction::ToKafka => ("queue", "queues"),
        Direction::ToRabbitmq => ("topic", "topics"),
    };
    let (mut source, mut sink) = match direction {
        Direction::ToKafka => (
            json!({ "connection": "rabbit", "prefetch": 2000 }),
            json!({ "connection": "events", "topic": target, "linger": "5ms" }),
        ),
        Direction::ToRabbitmq => {
            (json!({ "connection": "events", "group": target }), json!({ "connection": "rabbit", "queue": target }))
        }
    };
    match &sources[..] {
        [only] => source[one] = json!(only),
        sources => source[several] = json!(sources),
    }
    let kafka = match direction {
        Direction::ToKafka => &mut sink,
        Direction::ToRabbitmq => &mut source,
    };
    if mapping == Mapping::None {
        kafka["header_mapping"] = json!({ "include": [] });
    }
    match direction {
        Direction::ToKafka => json!({ "source": { "rabbitmq": source }, "sink": { "kafka": sink } }),
        Direction::ToRabbitmq => json!({ "source": { "kafka": source }, "sink": { "rabbitmq": sink } }),
    }
}
