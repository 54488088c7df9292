//! The `gantry` command.

mod authorities;

use std::{
    env,
    os::unix::process::CommandExt as _,
    process::{Command, ExitCode},
};

use clap::Parser as _;

fn main() -> ExitCode {
    authorities::ensure_found();
    ensure_deep_stacks();
    match gantry::cli::Cli::parse().run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("gantry: {error:#}");
            ExitCode::from(2)
        }
    }
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
    eprintln!("gantry: starting with deep stacks: {error}; a message with deeply nested headers may end the process");
}
