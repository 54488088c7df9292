//! What commands print. The only way to standard output and standard error.
//!
//! # Contract
//! - Nothing panics. Whoever reads may stop early (`gantry schema | head`): that is no error. A device that is full is one
//!   of standard output; standard error is told as much as it takes.
//! - Text comes out [`printable`]: what a broker or a file says moves no cursor and paints nothing. What may hold a line
//!   break of theirs goes through [`printable`] before it is laid out.

use std::{
    fmt::Display,
    io::{self, Write as _},
};

use serde_json::Value as Json;

pub(super) use crate::printable::printable;
use crate::{
    config::Diagnostic,
    printable::{printable_json, printable_lines},
};

/// Writes the text and a line break.
pub(super) fn print(text: &str) -> io::Result<()> {
    print_as_it_is(&printable_lines(text))
}

/// Writes JSON, laid out, and a line break.
pub(super) fn print_json(json: &Json) -> io::Result<()> {
    print_as_it_is(&printable_json(&format!("{json:#}")))
}

/// The same with colours and all; every part of it that is from elsewhere is [`printable`] already.
pub(super) fn print_as_it_is(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Tells on standard error, on one line. What it does not take is lost: there is nobody left to tell.
pub fn tell(text: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{}", printable(&text.to_string()));
}

/// Asks on standard error; the answer comes on the same line.
pub(super) fn ask(question: &str) -> io::Result<()> {
    let mut err = io::stderr().lock();
    write!(err, "{} ", printable(question))?;
    err.flush()
}

/// What is wrong with a configuration, a line each.
pub(super) fn tell_diagnostics(diagnostics: &[Diagnostic]) {
    diagnostics.iter().for_each(tell);
}
