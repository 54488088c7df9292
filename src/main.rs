//! The `gantry` command.

#![warn(clippy::print_stdout, clippy::print_stderr)]

mod authorities;

use std::{
    env,
    io::{self, Write as _},
    os::unix::process::CommandExt as _,
    process::{Command, ExitCode},
};

use clap::Parser as _;
use gantry::cli::{Cli, output};

/// Wrong arguments, and what nobody expected.
const FAILED: u8 = 2;

fn main() -> ExitCode {
    authorities::ensure_found();
    ensure_deep_stacks();
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

/// What Rust's standard library calls the stack size of threads that name none; read once, at the first thread.
const STACK_VARIABLE: &str = "RUST_MIN_STACK";

/// Enough for tables nested as deep as an AMQP frame of 128 KiB can say: about 18,000 levels. It is address space; memory
/// is taken only as deep as a thread really goes.
const STACK_BYTES: &str = "67108864";

/// The AMQP client parses nested header tables by recursion, on a thread whose stack nobody can choose but by this
/// variable. With the usual 2 MiB one message with 5,000 levels ends the process, with all its bridges, and again after
/// each restart. So the process starts itself once more with the variable set; where that fails it goes on without.
fn ensure_deep_stacks() {
    if env::var_os(STACK_VARIABLE).is_some() {
        return;
    }
    let Ok(program) = env::current_exe() else { return };
    let mut arguments = env::args_os();
    let mut command = Command::new(program);
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    let error = command.args(arguments).env(STACK_VARIABLE, STACK_BYTES).exec();
    output::tell(format_args!(
        "gantry: starting with deep stacks: {error}; a message with deeply nested headers may end the process"
    ));
}
