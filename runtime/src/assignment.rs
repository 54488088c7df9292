//! What a task is given to live on, and what is wanted of it.

use std::{sync::Arc, time::Duration};

use gantry_sdk::Shared;
use tokio::sync::watch;

use crate::{
    budget::Share,
    definition::Definition,
    memory::Memory,
    observer::TaskObserver,
    status::{Progress, Target},
};

/// Everything that a task needs to live.
pub(super) struct Assignment {
    pub(super) id: u32,
    pub(super) definition: Arc<Definition>,
    pub(super) progress: Arc<Progress>,
    pub(super) observer: Arc<dyn TaskObserver>,
    /// Its part in what the process may hold.
    pub(super) share: Arc<Share>,
    /// What its parts have learned, and those of its predecessors.
    pub(super) memory: Memory,
    /// What the parts of all bridges have in common.
    pub(super) shared: Shared,
    pub(super) wanted: watch::Receiver<Wanted>,
}

/// What the supervisor wants of a task. State, not a queue of commands: the last word counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) target: Target,
    /// Grows with each restart that somebody asked for.
    pub(super) restarts: u64,
    /// Grows each time that somebody wants a task that waits for its next try to try now.
    pub(super) tries: u64,
    /// The task ends for good.
    pub(super) exit: bool,
    /// How long draining may take at a stop. A reload changes it without a word; look at it when the drain begins.
    pub(super) drain: Duration,
}
