//! How far a source that is a log is behind, partition by partition.
//!
//! State, not events, like [`Health`](crate::Health): the last word counts.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytestring::ByteString;

/// How many records of one partition the source has not handed out yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionLag {
    /// The topic or stream.
    pub topic: ByteString,
    /// Which part of it.
    pub partition: i32,
    /// Records between what was handed out last and the end, as far as the source may read.
    pub records: u64,
}

/// Given to a source when it is made; cheap to clone, usable from any thread. Its lock is held for a copy of the list.
#[derive(Debug, Clone, Default)]
pub struct Lag {
    partitions: Arc<Mutex<Vec<PartitionLag>>>,
}

impl Lag {
    /// Says how things are: all partitions that the source has now. Those that are not named are gone.
    pub fn set(&self, partitions: Vec<PartitionLag>) {
        *self.lock() = partitions;
    }

    /// How things are.
    pub fn get(&self) -> Vec<PartitionLag> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<PartitionLag>> {
        // Plain numbers: usable whatever panicked while holding them.
        self.partitions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
