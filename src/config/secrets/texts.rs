//! Every text of a tree.

use gantry_sdk::config::{KeyPath, Step};
use serde_json::Value as Json;

/// Visits every text in a tree, with its path.
pub(in crate::config) fn each_text(value: &mut Json, mut visit: impl FnMut(&KeyPath, &mut String)) {
    walk(value, &mut KeyPath::root(), &mut visit);
}

fn walk(value: &mut Json, at: &mut KeyPath, visit: &mut impl FnMut(&KeyPath, &mut String)) {
    match value {
        Json::String(text) => visit(at, text),
        Json::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                at.within(Step::Index(index), |at| walk(item, at, visit));
            }
        }
        Json::Object(entries) => {
            for (key, entry) in entries {
                at.within(Step::Key(key.clone()), |at| walk(entry, at, visit));
            }
        }
        Json::Null | Json::Bool(_) | Json::Number(_) => {}
    }
}
