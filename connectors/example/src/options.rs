//! What a person writes: `{ mailbox: { name: orders } }`.

use gantry_sdk::{Description, Endpoint, Error, config::Problem};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::mailbox::Gone;

/// The options of the source and of the sink. These comments are what `gantry list` and the editor show.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// The mailbox's name.
    pub name: String,
}

impl Options {
    /// Found without I/O, all at once, each with the path of its option.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        if self.name.is_empty() {
            return vec![Problem::error("name", "name a mailbox")];
        }
        Vec::new()
    }

    /// For the graph and the check of loops.
    pub(crate) fn description(&self) -> Description {
        Description { endpoints: vec![Endpoint::exact("mailbox", self.name.clone())], ..Description::default() }
    }
}

/// What was being done to what; the kind says what the runtime does about it.
pub(crate) fn ended(doing: &str, name: &str, gone: Gone) -> Error {
    Error::with_source(gantry_sdk::ErrorKind::Disconnected, format!("{doing} mailbox {name}"), gone)
}
