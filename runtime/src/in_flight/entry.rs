//! What comes in, and what of it can never be delivered.

use std::sync::Arc;

use gantry_sdk::{Answers, Failure, Lane, Position, Record};
use tokio::time::Instant;

/// A batch as it comes in.
pub(crate) struct Entry {
    pub(crate) lane: Lane,
    pub(crate) last: Position,
    pub(crate) originals: Arc<Vec<Record>>,
    pub(crate) received: Instant,
    /// Originals of which nothing goes anywhere, by a rule.
    pub(crate) filtered: Vec<u32>,
    /// Originals that can never be delivered.
    pub(crate) refused: Vec<u32>,
    /// Who waits for what becomes of each original.
    pub(crate) answers: Option<Box<dyn Answers>>,
}

/// A record that can never be delivered, as the source gave it, with why.
pub(crate) struct Condemned {
    /// Its index in the source's batch.
    pub(crate) root: u32,
    /// Which of the bridge's sinks refused it; `None`: none got it.
    pub(crate) sink: Option<u16>,
    pub(crate) record: Record,
    pub(crate) failure: Failure,
}
