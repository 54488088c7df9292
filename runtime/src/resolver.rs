//! How secrets come into options: a definition carries the way, and nothing else here ever holds one.

use std::{fmt, path::PathBuf};

use gantry_sdk::{Result, plugin::Plugin};
use serde_json::Value as Json;

/// Reads what the references in options stand for, each time that it is asked.
pub trait Resolver: fmt::Debug + Send + Sync {
    /// Lets `make` make something of a plugin's options, with what their references bring now, and returns its error. That
    /// error, and those of references that lead nowhere, quote nothing that a reference brought. `make` does no I/O, and may
    /// be called again with other values in place of the secrets.
    fn make(&self, plugin: &dyn Plugin, options: &Json, make: &mut dyn FnMut(&Json) -> Result<()>) -> Result<()>;

    /// The options with what their references bring now, if nothing is wrong with them. To be used and dropped.
    fn checked(&self, plugin: &dyn Plugin, options: &Json) -> Result<Json>;

    /// The files that references in these options name.
    fn files(&self, options: &Json) -> Vec<PathBuf>;
}

/// For options without references: what is written is what it stands for.
impl Resolver for () {
    fn make(&self, _plugin: &dyn Plugin, options: &Json, make: &mut dyn FnMut(&Json) -> Result<()>) -> Result<()> {
        make(options)
    }

    fn checked(&self, _plugin: &dyn Plugin, options: &Json) -> Result<Json> {
        Ok(options.clone())
    }

    fn files(&self, _options: &Json) -> Vec<PathBuf> {
        Vec::new()
    }
}
