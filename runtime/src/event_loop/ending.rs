//! How an incarnation of a task's data path ends.

use gantry_sdk::Error;

use crate::liveness::Broken;

/// How an incarnation ended.
#[derive(Debug)]
pub(crate) enum IncarnationEnd {
    /// Something else is wanted of the task.
    Wanted,
    /// The source is exhausted and everything is delivered.
    Exhausted,
    /// It must not start again by itself: a record was refused and has nowhere to go. It stays at its source, and each
    /// new try would only burn one of its deliveries.
    Halted(Error),
    /// Something ended or failed; it may start again.
    Failed(Error),
    /// Nothing moved although it could; it may start again.
    Stalled(Error),
}

impl From<Broken> for IncarnationEnd {
    fn from(broken: Broken) -> Self {
        if broken.is_stall() { Self::Stalled(broken.error()) } else { Self::Failed(broken.error()) }
    }
}
