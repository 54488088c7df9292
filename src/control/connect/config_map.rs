//! A bridge's YAML as Kafka Connect's map of text: nested keys joined by dots, secrets hidden, placeholders as written.
//!
//! `name`, `connector.class` and `tasks.max` are what every client looks for; the rest is the section as it stands in
//! the file, without defaults.

use std::collections::BTreeMap;

use gantry_runtime::Definition;
use serde_json::Value as Json;

use super::connector_type::{ConnectorType, main_sink};
use crate::config;

/// The whole map of a bridge.
pub(in crate::control) fn of(definition: &Definition) -> BTreeMap<String, String> {
    let mut map = BTreeMap::new();
    flatten("", &config::redacted(definition), &mut map);
    map.remove("tasks");
    map.insert("name".to_owned(), definition.name.to_string());
    map.insert("connector.class".to_owned(), class_of(definition));
    map.insert("tasks.max".to_owned(), definition.tasks.to_string());
    map
}

/// The class that a bridge's connector has: that of the side which is not Kafka.
pub(super) fn class_of(definition: &Definition) -> String {
    match ConnectorType::of(definition) {
        ConnectorType::Source => source_class(definition.source.plugin.name),
        ConnectorType::Sink => sink_class(main_sink(definition).map_or("", |sink| sink.name)),
    }
}

/// `rabbitmq` → `gantry.RabbitmqSourceConnector`. Clients take the last part alone, so it must be unique.
pub(super) fn source_class(plugin: &str) -> String {
    format!("gantry.{}SourceConnector", pascal(plugin))
}

/// `kafka` → `gantry.KafkaSinkConnector`.
pub(super) fn sink_class(plugin: &str) -> String {
    format!("gantry.{}SinkConnector", pascal(plugin))
}

/// `filter` → `gantry.transforms.Filter`.
pub(super) fn transform_class(plugin: &str) -> String {
    format!("gantry.transforms.{}", pascal(plugin))
}

fn pascal(name: &str) -> String {
    let word = |word: &str| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect::<String>()
    };
    name.split(['_', '-']).map(word).collect()
}

/// Lists of plain values join with commas, as Connect's lists do; others count their elements. Nulls are left out.
fn flatten(path: &str, value: &Json, map: &mut BTreeMap<String, String>) {
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match value {
        Json::Null => {}
        Json::Object(fields) => fields.iter().for_each(|(key, value)| flatten(&below(key), value, map)),
        Json::Array(items) if items.iter().any(|item| item.is_object() || item.is_array()) => {
            items.iter().enumerate().for_each(|(index, item)| flatten(&below(&index.to_string()), item, map));
        }
        Json::Array(items) => {
            map.insert(path.to_owned(), items.iter().map(text).collect::<Vec<_>>().join(","));
        }
        scalar => {
            map.insert(path.to_owned(), text(scalar));
        }
    }
}

fn text(value: &Json) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_keys_join_by_dots() {
        let section = serde_json::json!({
            "source": { "rabbitmq": { "connection": "rabbit", "queues": ["a", "b"], "prefetch": 2000, "exclusive": false } },
            "transforms": [{ "filter": { "header": "tenant" } }, { "drop": null }],
            "sink": { "null": {} },
        });
        let mut map = BTreeMap::new();
        flatten("", &section, &mut map);
        let expected = [
            ("source.rabbitmq.connection", "rabbit"),
            ("source.rabbitmq.exclusive", "false"),
            ("source.rabbitmq.prefetch", "2000"),
            ("source.rabbitmq.queues", "a,b"),
            ("transforms.0.filter.header", "tenant"),
        ];
        assert_eq!(map, expected.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
    }

    #[test]
    fn classes_differ_in_their_last_part() {
        assert_eq!(source_class("rabbitmq"), "gantry.RabbitmqSourceConnector");
        assert_eq!(sink_class("rabbitmq_stream"), "gantry.RabbitmqStreamSinkConnector");
        assert_eq!(transform_class("header"), "gantry.transforms.Header");
    }
}
