//! How many records wait in the queues that a source reads.
//!
//! State, not events, like [`Lag`](crate::Lag): the last word counts. A source that is a log has a lag instead.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytestring::ByteString;

/// How many records wait in one queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueDepth {
    /// The queue.
    pub queue: ByteString,
    /// Records that nobody holds; those on their way to a consumer do not count.
    pub records: u64,
}

/// Given to a source when it is made; cheap to clone, usable from any thread. Its lock is held for a copy of the list.
#[derive(Debug, Clone, Default)]
pub struct Depth {
    queues: Arc<Mutex<Vec<QueueDepth>>>,
}

impl Depth {
    /// Says how things are: all queues that the source knows of now. Those that are not named are not known any more.
    pub fn set(&self, queues: Vec<QueueDepth>) {
        *self.lock() = queues;
    }

    /// How things are.
    pub fn get(&self) -> Vec<QueueDepth> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<QueueDepth>> {
        // Plain numbers: usable whatever panicked while holding them.
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
