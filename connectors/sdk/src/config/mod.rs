//! What configuration is made of: durations and sizes with units, secrets, and problems with a place.

mod duration;
mod path;
mod problem;
mod secret;
mod size;

use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;

pub use duration::DurationText;
pub use path::{KeyPath, Step};
pub use problem::{Problem, Severity};
pub use secret::Secret;
pub use size::Size;

/// Deserialises options into a config type. The problem says where, and never quotes a value: it could be a secret.
pub fn deserialize<T: DeserializeOwned>(options: &serde_json::Value) -> Result<T, Problem> {
    serde_path_to_error::deserialize(options).map_err(|error| {
        let path: KeyPath = error.path().iter().map_while(step).collect();
        Problem::error(&path, error.into_inner().to_string())
    })
}

/// A key that is no text says nothing to a person: the path leads to the map.
fn step(segment: &Segment) -> Option<Step> {
    match segment {
        Segment::Seq { index } => Some(Step::Index(*index)),
        Segment::Map { key } | Segment::Enum { variant: key } => Some(Step::Key(key.clone())),
        Segment::Unknown => None,
    }
}
