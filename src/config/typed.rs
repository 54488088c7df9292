//! Text that stands for a number, a truth value, a list or a map.
//!
//! Environment variables and references are text; only the schema knows what their place takes. Where it takes text they
//! stay text (a password of digits is no number), else they are read as YAML.

use serde_json::Value as Json;

use super::{
    node::{Kind, Node},
    schema::Slot,
    secrets, stand_in, yaml,
};

/// Gives the values of environment variables the type that their place takes. `node` is the value with its places.
pub(super) fn variables(slot: &Slot<'_>, node: &Node, value: &mut Json) {
    match (&node.kind, value) {
        (Kind::Map(nodes), Json::Object(entries)) => {
            for (key, entry) in entries {
                if let (Some(below), Some(node)) = (slot.key(key), nodes.get(key)) {
                    variables(&below, node, entry);
                }
            }
        }
        (Kind::List(nodes), Json::Array(items)) => {
            if let Some(below) = slot.item() {
                for (node, item) in nodes.iter().zip(items) {
                    variables(&below, node, item);
                }
            }
        }
        (Kind::Single(Json::String(text)), value) if node.is_variable() => {
            if let Some(read) = read(slot, text) {
                *value = read;
            }
        }
        _ => {}
    }
}

/// Gives what references brought the type that their place takes: a number, or true or false. A reference stands for a
/// single value, never for a list or a map. What was not read gets a stand-in.
pub(super) fn references(slot: &Slot<'_>, written: &Json, resolved: &mut Json) {
    match (written, resolved) {
        (Json::Object(written), Json::Object(resolved)) => {
            for (key, resolved) in resolved {
                if let (Some(below), Some(written)) = (slot.key(key), written.get(key)) {
                    references(&below, written, resolved);
                }
            }
        }
        (Json::Array(written), Json::Array(resolved)) => {
            if let Some(below) = slot.item() {
                for (written, resolved) in written.iter().zip(resolved) {
                    references(&below, written, resolved);
                }
            }
        }
        (Json::String(written), resolved @ Json::String(_)) if written.contains("${") => {
            let brought = resolved.as_str().unwrap_or_default();
            let value = match brought == written && !secrets::references(written).is_empty() {
                true => stand_in::for_text(slot, written),
                false => read(slot, brought).filter(|value| value.is_number() || value.is_boolean()),
            };
            if let Some(value) = value {
                *resolved = value;
            }
        }
        _ => {}
    }
}

fn read(slot: &Slot<'_>, text: &str) -> Option<Json> {
    if slot.accepts(&Json::from(text)) {
        return None;
    }
    let value = yaml::parse_value(text)?.to_json();
    slot.accepts(&value).then_some(value)
}
