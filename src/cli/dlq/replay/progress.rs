//! The progress bar: on a terminal only, and log lines pass above it.

use std::{io::IsTerminal as _, sync::Arc};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::{printable::printable, telemetry::log};

/// A bar on stderr; where that is no terminal it shows nothing.
#[derive(Debug)]
pub(super) struct Bar {
    progress: MultiProgress,
    bar: ProgressBar,
}

/// Lets log lines pass.
struct Above(MultiProgress);

impl log::Display for Above {
    fn step_aside(&self, write: &mut dyn FnMut()) {
        // The library panics when it cannot clear the bar, as on a terminal that was closed.
        if std::io::stderr().is_terminal() { self.0.suspend(write) } else { write() }
    }
}

impl Bar {
    /// Shows nothing yet.
    pub(super) fn new() -> Self {
        Self { progress: MultiProgress::new(), bar: ProgressBar::no_length() }
    }

    /// The way for log lines to pass.
    pub(super) fn display(&self) -> Arc<dyn log::Display> {
        Arc::new(Above(self.progress.clone()))
    }

    /// Begins to show.
    pub(super) fn begin(&self, total: u64) {
        let style = ProgressStyle::with_template("{bar:40} {pos}/{len} {per_sec} {eta} left {wide_msg}");
        self.bar.set_length(total);
        self.progress.add(self.bar.clone());
        // It is a constant, and right.
        self.bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    }

    /// How many are done, and what holds it up.
    pub(super) fn show(&self, done: u64, complaint: Option<&str>) {
        self.bar.set_position(done);
        self.bar.set_message(printable(complaint.unwrap_or_default()).into_owned());
    }

    /// Wipes it.
    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }
}
