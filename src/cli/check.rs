//! `gantry check`: everything that is wrong with a configuration, and what will hurt, like a compiler says it.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;
use gantry_runtime::definition::{Branch, Definition};
use gantry_sdk::config::Severity;
use serde_json::json;

use super::{connect, output, runtime};
use crate::config::{self, Log, Secrets};

/// What is said of a bridge with several sinks. It is no warning: it comes with what was asked for, and nothing mends it.
const SLOWEST: &str = "; the slowest of its sinks sets the pace, and one that is away holds all of it up";

/// What `gantry check` takes.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The files of the configuration, or directories of them; a later one overrides an earlier one.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Take warnings for errors.
    #[arg(long)]
    strict: bool,
    /// Also log in to every broker and look at everything that the bridges need there. Nothing is moved or made; all that is
    /// missing is told, with the commands that create it.
    #[arg(long, conflicts_with = "no_secrets")]
    connect: bool,
    /// Print JSON, for editors and scripts.
    #[arg(long)]
    json: bool,
    /// Do not look for what references (`${env:…}`, `${file:…}`, `${dir:…}`) bring: for CI, which has no secrets.
    #[arg(long)]
    no_secrets: bool,
}

impl CheckArgs {
    const fn secrets(&self) -> Secrets {
        if self.no_secrets { Secrets::Unread } else { Secrets::Required }
    }
}

/// Checks; exit code 0 when it would run, 1 when not.
pub fn run(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let (mut diagnostics, bridges, log) = match config::check(&args.files, args.secrets()) {
        Ok(loaded) => (loaded.warnings, loaded.bridges, loaded.settings.log),
        Err(diagnostics) => (diagnostics, Vec::new(), Log::default()),
    };
    let mut commands = Vec::new();
    if args.connect && !bridges.is_empty() {
        let answers = runtime::block_on(&log, None, async { Ok(connect::ask(&bridges).await) })?;
        diagnostics.extend(answers.diagnostics);
        commands = answers.commands;
    }
    let count = |severity| diagnostics.iter().filter(|one| one.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let passed = errors == 0 && (warnings == 0 || !args.strict);
    if args.json {
        let report = json!({
            "ok": passed,
            "errors": errors,
            "warnings": warnings,
            "diagnostics": diagnostics,
            "commands": commands,
        });
        output::print_json(&report)?;
    } else {
        let mut lines: Vec<String> =
            diagnostics.iter().map(|one| output::printable(&one.to_string()).into_owned()).collect();
        lines.extend(bridges.iter().map(|bridge| line(bridge)));
        let unread = if args.no_secrets { "; what references bring was not looked at" } else { "" };
        if !commands.is_empty() {
            lines.push("these commands mend it; look at each before you run it:".to_owned());
            lines.extend(commands.iter().map(|command| format!("  {}", output::printable(command))));
        }
        lines.push(summary(passed, errors, warnings, bridges.len()) + unread);
        output::print(&lines.join("\n"))?;
    }
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// `orders: rabbitmq -> filter -> kafka, dead letters -> kafka`.
fn line(bridge: &Definition) -> String {
    let mut stages = vec![bridge.source.plugin.name];
    stages.extend(bridge.transforms.iter().map(|transform| transform.plugin.name));
    let (to, remark) = match bridge.sinks.as_slice() {
        [one] => (branch(one), ""),
        several => (format!("[{}]", several.iter().map(branch).collect::<Vec<_>>().join(", ")), SLOWEST),
    };
    stages.push(&to);
    let tasks = if bridge.tasks == 1 { String::new() } else { format!(", {} tasks", bridge.tasks) };
    let dead_letter = bridge.errors.dead_letter.as_ref();
    let dead_letter = dead_letter.map_or_else(String::new, |letter| format!(", dead letters -> {}", letter.name()));
    format!("{}: {}{tasks}{dead_letter}{remark}", bridge.name, stages.join(" -> "))
}

/// `kafka`, or `kafka if …` for one with a condition.
fn branch(branch: &Branch) -> String {
    let condition = if branch.when.is_some() { " if …" } else { "" };
    format!("{}{condition}", branch.sink.plugin.name)
}

fn summary(passed: bool, errors: usize, warnings: usize, bridges: usize) -> String {
    let count = |number: usize, word: &str| match number {
        0 => format!("no {word}s"),
        1 => format!("1 {word}"),
        _ => format!("{number} {word}s"),
    };
    let found = format!("{}, {}", count(errors, "error"), count(warnings, "warning"));
    match (passed, errors) {
        (true, _) => format!("ok: {}, {found}", count(bridges, "bridge")),
        (false, 0) => format!("not ok: {found}, and --strict takes warnings for errors"),
        (false, _) => format!("not ok: {found}"),
    }
}
