//! The variables that libraries in this process read, and that only an environment can tell them.
//!
//! A process cannot safely change its own environment, so it starts itself once more with what is missing; where that fails
//! it goes on without, and says so.

use std::{
    env,
    ffi::{OsStr, OsString},
    os::unix::process::CommandExt as _,
    process::Command,
};

use gantry::cli::output;

use crate::authorities;

/// What Rust's standard library calls the stack size of threads that name none; read once, at the first thread.
const STACK_VARIABLE: &str = "RUST_MIN_STACK";

/// Enough for tables nested as deep as an AMQP frame of 128 KiB can say: about 18,000 levels. It is address space; memory
/// is taken only as deep as a thread really goes.
///
/// The AMQP client parses nested header tables by recursion, on a thread whose stack nobody can choose but by this
/// variable. With the usual 2 MiB one message with 5,000 levels ends the process, with all its bridges, and again after
/// each restart (ADR 0011).
const STACK_BYTES: &str = "67108864";

/// Starts over with the variables that are missing, if any are. To be called before there is a second thread.
pub(crate) fn complete() {
    let missing = missing(|name| env::var_os(name).is_some());
    if missing.is_empty() {
        return;
    }
    let Ok(program) = env::current_exe() else { return };
    let mut arguments = env::args_os();
    let mut command = Command::new(program);
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    let error = command.args(arguments).envs(missing).exec();
    output::tell(format_args!(
        "gantry: starting with deep stacks: {error}; a message with deeply nested headers may end the process"
    ));
}

/// What a person has set stays as it is.
fn missing(is_set: impl Fn(&OsStr) -> bool) -> Vec<(&'static str, OsString)> {
    let mut missing = Vec::new();
    if !is_set(STACK_VARIABLE.as_ref()) {
        missing.push((STACK_VARIABLE, OsString::from(STACK_BYTES)));
    }
    let authorities = authorities::variables();
    if !authorities.iter().any(|(name, _)| is_set(name.as_ref())) {
        missing.extend(authorities);
    }
    missing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_start_finds_nothing_missing() {
        let first = missing(|_| false);
        assert!(first.iter().any(|(name, _)| *name == STACK_VARIABLE), "{first:?}");
        assert_eq!(missing(|name| first.iter().any(|(set, _)| name == *set)), []);
    }
}
