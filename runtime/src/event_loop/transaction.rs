//! The transaction that is open, of a bridge that delivers exactly once.
//!
//! It begins before the first batch after the last commit, and is committed when it has lasted for a moment, when there is no room
//! for more, or when nothing more comes. Until then the source is told nothing. To commit, nothing is polled until every record
//! has its place in it; so a commit covers whole batches.

use std::time::Duration;

use tokio::time::Instant;

/// How long a transaction gathers records. Longer ones cost less, and readers of what is committed wait longer.
const GATHERING: Duration = Duration::from_millis(100);

/// Whether a transaction is open, and until when it gathers.
#[derive(Debug, Default)]
pub(super) struct Transaction {
    due: Option<Instant>,
}

impl Transaction {
    pub(super) const fn is_open(&self) -> bool {
        self.due.is_some()
    }

    pub(super) fn begin(&mut self) {
        self.due = Some(Instant::now() + GATHERING);
    }

    pub(super) const fn end(&mut self) {
        self.due = None;
    }

    /// Nothing more comes, or there is no room for it.
    pub(super) fn end_gathering(&mut self) {
        self.due = self.due.map(|due| due.min(Instant::now()));
    }

    /// When it is to be committed.
    pub(super) const fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Whether it gathers no more.
    pub(super) fn is_due(&self) -> bool {
        self.due.is_some_and(|due| due <= Instant::now())
    }
}
