//! When the source is to tell its broker that what is out is still worked on.

use std::time::Duration;

use tokio::time::Instant;

/// The clock of a source that holds what is out.
#[derive(Debug)]
pub(super) struct Hold {
    /// `None`: its broker waits by itself.
    period: Option<Duration>,
    /// `None`: nothing is out.
    due: Option<Instant>,
}

impl Hold {
    pub(super) const fn new(period: Option<Duration>) -> Self {
        Self { period, due: None }
    }

    /// When it is due, now that something is `out` or not.
    pub(super) fn due(&mut self, out: bool) -> Option<Instant> {
        let period = self.period?;
        self.due = if out { Some(self.due.unwrap_or_else(|| Instant::now() + period)) } else { None };
        self.due
    }

    pub(super) fn is_due(&self) -> bool {
        self.due.is_some_and(|due| due <= Instant::now())
    }

    /// The broker was told.
    pub(super) const fn done(&mut self) {
        self.due = None;
    }
}
