//! The `gantry` command.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    match gantry::cli::Cli::parse().run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("gantry: {error:#}");
            ExitCode::from(2)
        }
    }
}
