//! JSON of what is there.

use serde_json::{Map, Value as Json};

/// An object of what is there; what is not takes no place.
pub(super) fn present(fields: impl IntoIterator<Item = (&'static str, Option<Json>)>) -> Map<String, Json> {
    fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}
