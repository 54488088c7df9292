//! Whose letters, and out of which store.

use std::{path::PathBuf, sync::Arc};

use anyhow::bail;
use clap::Args;
use gantry_runtime::{Definition, Part, definition::DeadLetterTarget};
use gantry_sdk::{Context, DeadLetter, DeadLetters, plugin::SinkPlugin};

use super::super::output;
use crate::config::{self, Settings};

/// Whose letters.
#[derive(Debug, Args)]
pub(super) struct Target {
    /// The bridge whose dead letters are meant.
    #[arg(value_name = "BRIDGE")]
    pub(super) bridge: String,

    /// The files of the configuration; later ones add to and override earlier ones.
    #[arg(short = 'c', long = "config", required = true, num_args = 1.., value_name = "CONFIG")]
    files: Vec<PathBuf>,
}

/// A bridge and where its letters are.
pub(super) struct Store {
    pub(super) settings: Settings,
    pub(super) definition: Arc<Definition>,
    pub(super) sink: Part<SinkPlugin>,
}

impl Target {
    /// Reads the configuration. The error says what is wrong with it, or why the bridge's letters cannot be read back.
    pub(super) fn store(&self) -> anyhow::Result<Store> {
        let loaded = config::load(&self.files).map_err(|diagnostics| {
            output::tell_diagnostics(&diagnostics);
            anyhow::anyhow!("the configuration is wrong; `gantry check` says the same")
        })?;
        let Some(definition) = loaded.bridges.iter().find(|bridge| *bridge.name == *self.bridge) else {
            let names: Vec<&str> = loaded.bridges.iter().map(|bridge| &*bridge.name).collect();
            bail!("there is no bridge \"{}\"; there is {}", self.bridge, names.join(", "));
        };
        let sink = match &definition.errors.dead_letter {
            Some(DeadLetterTarget::Sink(sink)) => sink.clone(),
            Some(DeadLetterTarget::Reject) => bail!(
                "the dead letters of \"{0}\" go to the source's own broker (reject): read them there; Gantry can bridge that \
                 queue like any other",
                self.bridge
            ),
            None => bail!("the bridge \"{}\" has no errors.dead_letter", self.bridge),
        };
        if sink.plugin.dead_letters.is_none() {
            let name = sink.plugin.name;
            bail!("the dead letters of \"{}\" go to {name}, from where they cannot be read back", self.bridge);
        }
        Ok(Store { settings: loaded.settings, definition: definition.clone(), sink })
    }
}

impl Store {
    /// Opens it: what is written later is not read.
    pub(super) async fn open(&self) -> anyhow::Result<Box<dyn DeadLetters>> {
        let letters = open(&self.sink, context(&self.definition)).await;
        letters.map_err(|error| anyhow::anyhow!(error.chain()))
    }
}

fn context(definition: &Definition) -> Context {
    Context { dead_letter: true, ..Context::new(definition.name.clone(), definition.limits.in_flight_bytes) }
}

/// Opens what a sink has written as a dead letter.
pub(super) async fn open(sink: &Part<SinkPlugin>, context: Context) -> gantry_sdk::Result<Box<dyn DeadLetters>> {
    let Some(letters) = sink.plugin.dead_letters else {
        return Err(gantry_sdk::Error::config(format!("dead letters cannot be read back from {}", sink.plugin.name)));
    };
    sink.make(|options| letters(options, context.clone()))?.await
}

/// The next one, its error with all causes.
pub(super) async fn next(letters: &mut dyn DeadLetters) -> anyhow::Result<Option<DeadLetter>> {
    letters.next().await.map_err(|error| anyhow::anyhow!(error.chain()))
}
