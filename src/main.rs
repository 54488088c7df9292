//! The `gantry` command.

#![warn(clippy::print_stdout, clippy::print_stderr)]

mod authorities;
mod environment;

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use clap::Parser as _;
use gantry::cli::{Cli, output};

/// Wrong arguments, and what nobody expected.
const FAILED: u8 = 2;

fn main() -> ExitCode {
    environment::complete();
    raise_descriptor_limit();
    let done = match Cli::try_parse() {
        Ok(cli) => cli.run(),
        Err(told) => tell(&told).map_err(Into::into),
    };
    done.unwrap_or_else(|error| {
        output::tell(format_args!("gantry: {error:#}"));
        ExitCode::from(FAILED)
    })
}

/// Help, the version, or what is wrong with the arguments.
fn tell(told: &clap::Error) -> io::Result<ExitCode> {
    let code = ExitCode::from(u8::try_from(told.exit_code()).unwrap_or(FAILED));
    match told.print().and_then(|()| io::stdout().flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe && !told.use_stderr() => Err(error),
        _ => Ok(code),
    }
}

/// Every connection and every file takes a descriptor. Systems start programs with few and let them have more.
fn raise_descriptor_limit() {
    // Where it fails the limit stays as it is, and the control port takes no more than its share.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
}
