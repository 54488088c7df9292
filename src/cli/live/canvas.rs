//! The lines at the bottom of the terminal. Whoever else writes to it does so while they are gone.
//!
//! A terminal that becomes narrower breaks the lines that are there already into several rows. So when they are wiped
//! their rows are counted by the width that the terminal has by then.

use std::{
    io::{self, IsTerminal as _, Write as _},
    sync::{Mutex, MutexGuard, PoisonError},
};

use console::{Term, measure_text_width};

use crate::telemetry::log;

/// What is on the terminal.
#[derive(Debug, Default)]
pub(super) struct Canvas {
    drawn: Mutex<Vec<String>>,
}

impl Canvas {
    /// These lines in place of those that are there.
    pub(super) fn show(&self, lines: Vec<String>) {
        let mut drawn = self.lock();
        // In one piece: nothing flickers.
        write(&(wiping(&drawn, width()) + &lines.join("\n")));
        *drawn = lines;
    }

    fn lock(&self) -> MutexGuard<'_, Vec<String>> {
        self.drawn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the terminal was closed: nothing can be drawn any more.
pub(super) fn is_gone() -> bool {
    !std::io::stderr().is_terminal()
}

impl log::Display for Canvas {
    fn step_aside(&self, write_line: &mut dyn FnMut()) {
        let drawn = self.lock();
        if drawn.is_empty() || is_gone() {
            return write_line();
        }
        write(&wiping(&drawn, width()));
        write_line();
        write(&drawn.join("\n"));
    }
}

/// What wipes these lines, with the cursor behind the last of them, on a terminal of that width.
fn wiping(drawn: &[String], width: usize) -> String {
    let rows: usize = drawn.iter().map(|line| measure_text_width(line).div_ceil(width).max(1)).sum();
    match rows {
        0 => String::new(),
        1 => "\r\x1b[J".to_owned(),
        _ => format!("\r\x1b[{}A\x1b[J", rows - 1),
    }
}

fn width() -> usize {
    Term::stderr().size_checked().map_or(80, |(_, width)| usize::from(width)).max(1)
}

/// A terminal that went away is nobody's loss.
fn write(text: &str) {
    let mut stderr = io::stderr().lock();
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_a_narrower_terminal_has_broken_are_wiped_whole() {
        let drawn = ["a".repeat(70), format!("\x1b[31m{}\x1b[0m", "b".repeat(30)), String::new()];
        assert_eq!(wiping(&drawn, 80), "\r\x1b[2A\x1b[J");
        assert_eq!(wiping(&drawn, 40), "\r\x1b[3A\x1b[J");
        assert_eq!(wiping(&drawn, 20), "\r\x1b[6A\x1b[J");
        assert_eq!((wiping(&[], 80).as_str(), wiping(&drawn[..1], 80).as_str()), ("", "\r\x1b[J"));
    }
}
