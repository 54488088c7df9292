//! `gantry init`: a configuration to begin with, put together from what connectors say of themselves.

use std::{fs::OpenOptions, io::Write as _, path::PathBuf, process::ExitCode};

use anyhow::{Context as _, bail};
use clap::Args;

use super::output;
use crate::{
    config::{catalog, plugins::Registered},
    registry,
};

/// Write a configuration to begin with: one bridge, with comments that say what may be changed.
///
///   gantry init rabbitmq kafka > gantry.yaml
///
/// It passes `gantry check` once the environment variables that it names are set. `gantry list` shows every connector.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct InitArgs {
    /// The connector that records come from.
    #[arg(value_name = "SOURCE")]
    source: String,
    /// The connector that they go to.
    #[arg(value_name = "SINK")]
    sink: String,
    /// Write it to this file, which must not be there yet.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Writes it.
pub fn run(args: &InitArgs) -> anyhow::Result<ExitCode> {
    let text = start(&args.source, &args.sink)?;
    let Some(file) = &args.output else {
        output::print(text.trim_end())?;
        return Ok(ExitCode::SUCCESS);
    };
    let opened = OpenOptions::new().write(true).create_new(true).open(file);
    let written = opened.and_then(|mut opened| opened.write_all(text.as_bytes()));
    written.with_context(|| format!("writing {}", file.display()))?;
    output::print(&format!("{0} is written; `gantry check {0}` says what it needs", file.display()))?;
    Ok(ExitCode::SUCCESS)
}

fn start(source: &str, sink: &str) -> anyhow::Result<String> {
    let source = find(registry::sources(), source)?;
    let sink = find(registry::sinks(), sink)?;
    let mut text = format!(
        "# Records from {} to {}. `gantry check` says what is wrong with this file, `gantry run` runs it.\n\
         # `gantry list NAME` shows every option. Secrets are written as ${{env:NAME}} or ${{file:/path}}.\n\n",
        source.name, sink.name
    );
    let connections = registry::connections().iter();
    let used: Vec<_> = connections.filter(|one| one.name == source.name || one.name == sink.name).collect();
    if !used.is_empty() {
        text += "# Brokers by name, so that bridges share them.\nconnections:\n";
        for connection in used {
            text += &format!("  {}:\n", connection.name);
            text += &section(4, connection.name, connection.example);
        }
        text.push('\n');
    }
    text += "bridges:\n  # A name of your choice: it stands in metrics, in logs and in the REST API.\n  orders:\n    source:\n";
    text += &section(6, source.name, source.example);
    text += "    # What happens to records on their way, in order. `gantry list` shows the transforms.\n\
             \x20   # transforms:\n    #   - filter: { drop: { field: header.test, exists: true } }\n    sink:\n";
    text += &section(6, sink.name, sink.example);
    if !sink.dead_letter_example.is_empty() {
        text += "    errors:\n      # Where a record goes that can never be delivered. Without it the bridge would stop there.\n      \
                 dead_letter:\n";
        text += &section(8, sink.name, sink.dead_letter_example);
    }
    Ok(text)
}

fn find<P: Registered>(plugins: &'static [P], name: &str) -> anyhow::Result<&'static P> {
    if let Some(plugin) = plugins.iter().find(|plugin| plugin.name() == name) {
        return Ok(plugin);
    }
    let kind = P::KIND.word();
    let entries: Vec<_> = catalog::entries().into_iter().filter(|entry| entry.kind == kind).collect();
    bail!("there is no {kind} \"{name}\"; {}", catalog::unknown(&entries, name).unwrap_or_default());
}

/// `NAME:` and its options below, that far to the right.
fn section(indent: usize, name: &str, options: &str) -> String {
    if options.is_empty() {
        return format!("{:indent$}{name}: {{}}\n", "");
    }
    let below = indent + 2;
    let lines: String = options.lines().map(|line| format!("{:below$}{line}\n", "")).collect();
    format!("{:indent$}{name}:\n{lines}", "")
}
