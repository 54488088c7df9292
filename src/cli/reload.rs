//! `gantry reload`: has a running gantry read its configuration again.

use std::process::ExitCode;

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::Value as Json;

use super::{
    client::{Address, Method},
    output::{self, printable},
};

const REFUSED: u8 = 1;
const UNREACHABLE: u8 = 2;

/// Have a running gantry read its files again. Only bridges that changed restart.
///
/// Prints what became of each bridge, once those that had to stop have drained. With an error in the new files nothing
/// changes, and every error is printed. `gantry check` tells the same before.
///
/// Exit codes:
///   0  the new configuration is in effect
///   1  it was refused; nothing was changed
///   2  nobody answers
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct ReloadArgs {
    #[command(flatten)]
    address: Address,
    /// Print the answer as JSON, for scripts.
    #[arg(long)]
    json: bool,
}

/// Asks for it, waits, and prints what came of it.
pub fn run(args: &ReloadArgs) -> anyhow::Result<ExitCode> {
    // No deadline: it takes as long as its bridges need to drain.
    let (status, answer) = match args.address.ask(Method::Put, "/v1/reload", None) {
        Ok(answer) => answer,
        Err(error) => {
            output::tell(format_args!("{error:#}"));
            return Ok(ExitCode::from(UNREACHABLE));
        }
    };
    if args.json {
        output::print_json(&answer)?;
    } else {
        let text = if status == 200 { done(&answer)? } else { refused(status, &answer) };
        output::print(text.trim_end())?;
    }
    Ok(if status == 200 { ExitCode::SUCCESS } else { ExitCode::from(REFUSED) })
}

/// What `PUT /v1/reload` answers when it is done.
#[derive(Debug, Deserialize)]
struct Done {
    started: Vec<String>,
    stopped: Vec<String>,
    restarted: Vec<String>,
    stayed: Vec<String>,
    #[serde(default)]
    tried_again: Vec<String>,
    undrained: Vec<String>,
    needs_restart: Vec<String>,
    warnings: Vec<Diagnostic>,
}

/// As `gantry check --json` shows one.
#[derive(Debug, Deserialize)]
struct Diagnostic {
    severity: String,
    path: String,
    message: String,
    file: Option<String>,
    line: Option<u64>,
    column: Option<u64>,
    variable: Option<String>,
}

fn done(answer: &Json) -> anyhow::Result<String> {
    let done = Done::deserialize(answer).context("reading the answer: is this gantry of the same version?")?;
    let mut text: String = done.warnings.iter().map(Diagnostic::line).collect();
    for (word, names) in [
        ("started", &done.started),
        ("stopped", &done.stopped),
        ("restarted", &done.restarted),
        ("stayed", &done.stayed),
        ("tried again", &done.tried_again),
    ] {
        if !names.is_empty() {
            text += &format!("{word}: {}\n", names.join(", "));
        }
    }
    for name in &done.undrained {
        text += &format!("{name} did not drain in time: what was left stayed with its source\n");
    }
    for option in &done.needs_restart {
        text += &format!("{option} changed: it needs a restart of the process\n");
    }
    Ok(if text.is_empty() { "there are no bridges\n".to_owned() } else { text })
}

fn refused(status: u16, answer: &Json) -> String {
    let diagnostics = Vec::<Diagnostic>::deserialize(&answer["diagnostics"]).unwrap_or_default();
    let reason =
        answer["message"].as_str().map_or_else(|| format!("it answered {status}"), |text| printable(text).into_owned());
    diagnostics.iter().map(Diagnostic::line).collect::<String>() + "not reloaded: " + &reason + "\n"
}

impl Diagnostic {
    /// As `gantry check` prints it.
    fn line(&self) -> String {
        let place = match (&self.file, &self.variable) {
            (Some(file), _) => {
                format!("{file}:{}:{}: ", self.line.unwrap_or_default(), self.column.unwrap_or_default())
            }
            (None, Some(variable)) => format!("environment variable {variable}: "),
            (None, None) => String::new(),
        };
        let path = if self.path.is_empty() { String::new() } else { format!("{}: ", self.path) };
        printable(&format!("{place}{}: {path}{}", self.severity, self.message)).into_owned() + "\n"
    }
}
