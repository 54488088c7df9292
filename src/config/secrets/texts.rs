//! Every text of a tree.

use serde_json::Value as Json;

use crate::config::path;

/// Visits every text in a tree, with its path.
pub(in crate::config) fn each_text(value: &mut Json, at: &str, visit: &mut impl FnMut(&str, &mut String)) {
    match value {
        Json::String(text) => visit(at, text),
        Json::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                each_text(item, &path::index(at, index), visit);
            }
        }
        Json::Object(entries) => {
            for (key, entry) in entries {
                each_text(entry, &path::key(at, key), visit);
            }
        }
        Json::Null | Json::Bool(_) | Json::Number(_) => {}
    }
}
