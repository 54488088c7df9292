//! `gantry dlq`: dead letters, to look at, to send through their bridge again, and to discard.
//!
//! Needs no running gantry, and minds none: it reads the store itself, with the configuration of the bridge. In reading
//! order: `store` (which letters), `selection` (which of them), `groups` (how many of which kind), [`list`], [`show`],
//! `source` (the letters as a source like any other), `ask`, [`replay`], [`discard`].

mod ask;
pub mod discard;
mod groups;
pub mod list;
pub mod replay;
mod selection;
pub mod show;
mod source;
mod store;
mod text;

use std::process::ExitCode;

use clap::{Args, Subcommand};

/// What `gantry dlq` takes.
#[derive(Debug, Args)]
pub struct DlqArgs {
    #[command(subcommand)]
    command: Command,
}

// Each shows the text of its own options.
#[derive(Debug, Subcommand)]
enum Command {
    List(list::ListArgs),
    Show(show::ShowArgs),
    Replay(replay::ReplayArgs),
    /// Discard dead letters that nobody wants any more.
    Discard(discard::DiscardArgs),
}

/// Carries out the command.
pub fn run(args: &DlqArgs) -> anyhow::Result<ExitCode> {
    match &args.command {
        Command::List(args) => list::run(args),
        Command::Show(args) => show::run(args),
        Command::Replay(args) => replay::run(args),
        Command::Discard(args) => discard::run(args),
    }
}
