//! Text that stands for a number, a truth value, a list or a map.
//!
//! Environment variables and references are text; only the schema knows what their place takes. Where it takes text they
//! stay text (a password of digits is no number), else they are read as YAML.

use serde_json::Value as Json;

use super::{
    layers::{Tree, to_json},
    path,
    schema::Slot,
    yaml,
};

/// Gives the values of environment variables the type that their place takes.
pub(super) fn variables(slot: &Slot<'_>, value: &mut Json, at: &str, tree: &Tree) {
    match value {
        Json::Object(entries) => {
            for (key, entry) in entries {
                if let Some(below) = slot.key(key) {
                    variables(&below, entry, &path::key(at, key), tree);
                }
            }
        }
        Json::Array(items) => {
            if let Some(below) = slot.item() {
                for (index, item) in items.iter_mut().enumerate() {
                    variables(&below, item, &path::index(at, index), tree);
                }
            }
        }
        Json::String(text) if tree.is_variable(at) => {
            if let Some(read) = read(slot, text) {
                *value = read;
            }
        }
        _ => {}
    }
}

/// Puts in the value of a reference where a place takes no text, in `written` too: a number is no secret.
pub(super) fn references(slot: &Slot<'_>, written: &mut Json, resolved: &mut Json) {
    match (written, resolved) {
        (Json::Object(written), Json::Object(resolved)) => {
            for (key, resolved) in resolved {
                if let (Some(below), Some(written)) = (slot.key(key), written.get_mut(key)) {
                    references(&below, written, resolved);
                }
            }
        }
        (Json::Array(written), Json::Array(resolved)) => {
            if let Some(below) = slot.item() {
                for (written, resolved) in written.iter_mut().zip(resolved) {
                    references(&below, written, resolved);
                }
            }
        }
        (written @ Json::String(_), resolved @ Json::String(_)) if written != resolved => {
            if let Some(read) = resolved.as_str().and_then(|text| read(slot, text)) {
                *written = read.clone();
                *resolved = read;
            }
        }
        _ => {}
    }
}

fn read(slot: &Slot<'_>, text: &str) -> Option<Json> {
    if slot.accepts(&Json::from(text)) {
        return None;
    }
    let value = to_json(&yaml::parse_value(text)?);
    slot.accepts(&value).then_some(value)
}
