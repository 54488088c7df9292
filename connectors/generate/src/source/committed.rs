//! How far each queue was consumed, for as long as the process lives.
//!
//! A source that reconnects is a new instance; a real broker would remember for it, so this does.

use std::{
    collections::HashMap,
    sync::{
        Arc, LazyLock, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

type Queues = HashMap<(Arc<str>, u32), Arc<AtomicU64>>;

/// One small entry for each task of each bridge that ever generated; never removed.
static QUEUES: LazyLock<Mutex<Queues>> = LazyLock::new(Mutex::default);

/// The number of the last record of one queue that is settled; 0 for none.
#[derive(Debug)]
pub(super) struct Committed(Arc<AtomicU64>);

impl Committed {
    /// That of this bridge's task.
    pub(super) fn of(bridge: &Arc<str>, task: u32) -> Self {
        // A panic cannot leave the map half changed.
        let mut queues = QUEUES.lock().unwrap_or_else(PoisonError::into_inner);
        Self(queues.entry((bridge.clone(), task)).or_default().clone())
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    /// Only ever grows, whoever calls (I2).
    pub(super) fn set(&self, number: u64) {
        self.0.fetch_max(number, Ordering::AcqRel);
    }
}
