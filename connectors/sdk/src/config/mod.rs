//! What configuration is made of: durations and sizes with units, secrets, and problems with a place.

mod duration;
mod problem;
mod secret;
mod size;

use serde::de::DeserializeOwned;

pub use duration::DurationText;
pub use problem::{Problem, Severity};
pub use secret::Secret;
pub use size::Size;

/// Deserialises options into a config type. The problem says where, and never quotes a value: it could be a secret.
pub fn deserialize<T: DeserializeOwned>(options: &serde_json::Value) -> Result<T, Problem> {
    serde_path_to_error::deserialize(options).map_err(|error| {
        let path = error.path().to_string().replace('?', "");
        Problem::error(path.trim_matches('.').to_owned(), error.into_inner().to_string())
    })
}
