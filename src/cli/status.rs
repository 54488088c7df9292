//! `gantry status`: asks a running gantry how its bridges are.
//!
//! A row a task, those first that need a person, and below them the reasons.
//!
//! Exit code 0: every bridge does what is wanted of it. 1: one does not. 2: nobody answers.

mod overview;
mod table;

use std::{process::ExitCode, time::Duration};

use anyhow::{Context as _, bail};
use console::Term;
use serde::Deserialize;
use serde_json::Value as Json;

use super::{
    client::{Address, Method, refusal},
    display::Screen,
    output,
};
use overview::Overview;

/// A control port answers from memory; one that takes longer is not there.
const PATIENCE: Duration = Duration::from_secs(5);

const NOT_READY: u8 = 1;
const UNREACHABLE: u8 = 2;

/// Options of `gantry status`.
#[derive(Debug, clap::Args)]
pub struct StatusArgs {
    #[command(flatten)]
    address: Address,
    /// Print the answer as JSON, for scripts.
    #[arg(long)]
    json: bool,
}

/// Prints how the bridges are.
pub fn run(args: &StatusArgs) -> anyhow::Result<ExitCode> {
    let answer = match ask(&args.address) {
        Ok(answer) => answer,
        Err(error) => {
            output::tell(format_args!("{error:#}"));
            return Ok(ExitCode::from(UNREACHABLE));
        }
    };
    let overview = Overview::deserialize(&answer).context("reading the answer: is this gantry of the same version?")?;
    if args.json {
        output::print_json(&answer)?;
    } else {
        let screen = Screen::of(&std::io::stdout(), &Term::stdout());
        output::print_as_it_is(&table::lines(&overview, screen).join("\n"))?;
    }
    let ready = overview.bridges.iter().all(|bridge| bridge.ready);
    Ok(if ready { ExitCode::SUCCESS } else { ExitCode::from(NOT_READY) })
}

fn ask(address: &Address) -> anyhow::Result<Json> {
    match address.ask(Method::Get, "/v1/bridges", Some(PATIENCE))? {
        (200, answer) => Ok(answer),
        (status, answer) => bail!("asking for /v1/bridges: {}", refusal(status, &answer)),
    }
}

#[cfg(test)]
mod tests;
