//! `gantry list`: connectors, transforms and sections, or the options of one, out of the schemas they are read by.

use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use gantry_sdk::template::{FUNCTIONS, FunctionInfo};
use serde_json::{Value as Json, json};

use super::output;
use crate::config::catalog::{self, Entry, OptionRow};

/// What `gantry list` takes.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Show the options of this connector or transform, or of this section of the configuration.
    name: Option<String>,
    /// Print JSON, with the JSON Schema of the options.
    #[arg(long)]
    json: bool,
}

/// Lists all of them, or the options of one.
pub fn run(args: &ListArgs) -> anyhow::Result<ExitCode> {
    let mut entries = catalog::entries();
    if let Some(name) = &args.name {
        if let Some(instead) = catalog::unknown(&entries, name) {
            bail!("there is no connector, transform or section \"{name}\"; {instead}");
        }
        entries.retain(|entry| entry.name == name);
    }
    if args.json {
        output::print_json(&entries.iter().map(to_json).collect())?;
        return Ok(ExitCode::SUCCESS);
    }
    let text =
        if args.name.is_some() { entries.iter().map(options).collect::<Vec<_>>().join("\n") } else { names(&entries) };
    output::print(text.trim_end())?;
    Ok(ExitCode::SUCCESS)
}

fn to_json(entry: &Entry) -> Json {
    let Entry { kind, name, summary, capabilities, schema } = entry;
    let mut json = json!({ "kind": kind, "name": name, "summary": summary, "schema": schema });
    if !capabilities.is_empty() {
        json["capabilities"] = capabilities.iter().map(|(name, can)| ((*name).to_owned(), Json::from(*can))).collect();
    }
    json
}

/// What it can do, in words: `keeps order, can reject`.
fn abilities(entry: &Entry) -> String {
    let words = entry.capabilities.iter().filter(|(_, can)| *can).map(|(name, _)| name.replace('_', " "));
    words.collect::<Vec<_>>().join(", ")
}

fn names(entries: &[Entry]) -> String {
    let width = entries.iter().map(|entry| entry.name.len()).max().unwrap_or_default();
    let mut text = String::new();
    for kind in ["source", "sink", "transform", "section"] {
        text += &format!("{kind}s\n");
        for entry in entries.iter().filter(|entry| entry.kind == kind) {
            text += &format!("  {:width$}  {}\n", entry.name, entry.summary);
            let abilities = abilities(entry);
            if !abilities.is_empty() {
                text += &format!("  {:width$}  {abilities}\n", "");
            }
        }
        text.push('\n');
    }
    text += "functions in templates\n";
    let width = FUNCTIONS.iter().map(|function| function.usage.chars().count()).max().unwrap_or_default();
    for FunctionInfo { usage, summary, .. } in FUNCTIONS {
        text += &format!("  {usage:width$}  {summary}\n");
    }
    text.push('\n');
    text + "gantry list NAME shows the options of one."
}

fn options(entry: &Entry) -> String {
    let mut text = format!("{} {}", entry.kind, entry.name);
    if !entry.summary.is_empty() {
        text += &format!(": {}", entry.summary);
    }
    let abilities = abilities(entry);
    if !abilities.is_empty() {
        text += &format!("\n{abilities}");
    }
    text += "\n\n";
    for OptionRow { path, kind, required, default, description } in catalog::options(entry) {
        let required = if required { ", required" } else { "" };
        let default = default.map_or_else(String::new, |default| format!(", default {default}"));
        text += &format!("  {path} ({kind}{required}{default})\n");
        for line in description.lines().filter(|line| !line.is_empty()) {
            text += &format!("      {line}\n");
        }
    }
    text
}
