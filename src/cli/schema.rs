//! `gantry schema`: the JSON Schema of the configuration, so that editors complete and check it.

use std::process::ExitCode;

use clap::Args;

use super::output;
use crate::config;

/// What `gantry schema` takes: nothing.
#[derive(Debug, Args)]
pub struct SchemaArgs {}

/// Prints it.
pub fn run(_: &SchemaArgs) -> anyhow::Result<ExitCode> {
    output::print_json(&config::schema())?;
    Ok(ExitCode::SUCCESS)
}
