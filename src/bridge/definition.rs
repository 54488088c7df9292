//! What a bridge is: the typed form of its YAML, made by [`crate::config`], run by [`crate::bridge`].
//!
//! Options stay as they were written: connections are filled in, secrets are not. [`Part::resolve`] puts the secrets in
//! at each use, so a rotated password works on the next connect and nothing else ever holds one.

use std::{path::PathBuf, sync::Arc, time::Duration};

use gantry_sdk::{
    Error, Result,
    plugin::{RetryPolicy, SinkPlugin, SourcePlugin, TransformPlugin},
};
use serde_json::Value as Json;

use crate::config::secrets;

/// One bridge as a person wrote it.
#[derive(Debug, Clone)]
pub struct Definition {
    /// Its name, unique in the process.
    pub name: Arc<str>,
    /// How many tasks compete for the same input.
    pub tasks: u32,
    /// Where records come from.
    pub source: Part<SourcePlugin>,
    /// What happens to them, in order.
    pub transforms: Vec<Part<TransformPlugin>>,
    /// Where they go.
    pub sink: Part<SinkPlugin>,
    /// What to do with what fails.
    pub errors: ErrorPolicy,
    /// How much may be in flight.
    pub limits: BridgeLimits,
    /// The file that it was read from.
    pub file: PathBuf,
    /// The whole section as it was written, placeholders and all; what REST shows, secrets hidden.
    pub raw: Json,
}

/// One connector or transform of a bridge, with its options.
#[derive(Debug, Clone)]
pub struct Part<P: 'static> {
    /// Which.
    pub plugin: &'static P,
    /// Its options: connection filled in, secrets as placeholders.
    pub options: Json,
}

/// What to do with records that fail.
#[derive(Debug, Clone)]
pub struct ErrorPolicy {
    /// Where a record goes that can never be delivered. `None`: the bridge stops and the record stays at its source.
    pub dead_letter: Option<Part<SinkPlugin>>,
    /// How long and how often a sink retries by itself.
    pub retry: RetryPolicy,
    /// The pauses between attempts to start again after an error: they double from the first to the second.
    pub backoff: (Duration, Duration),
}

/// How much of a task may be in flight at once (I4), and how much one batch holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BridgeLimits {
    /// Records between source and commit.
    pub in_flight_records: usize,
    /// Their bytes.
    pub in_flight_bytes: usize,
    /// Records a batch.
    pub batch_records: usize,
    /// Bytes a batch.
    pub batch_bytes: usize,
}

impl<P> Part<P> {
    /// The options with their secrets in place; to be used and dropped.
    pub fn resolve(&self) -> Result<Json> {
        secrets::resolve(&self.options).map_err(|problem| Error::config(problem.to_string()))
    }
}
