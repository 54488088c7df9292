//! What the last consumer of a queue has learned of its messages: how large the window may be.
//!
//! A reconnect is a new instance that knows nothing of the one before, and beginning with a few messages again would cost
//! order: a quorum queue puts what a lost consumer held *behind* what earlier ones held and nobody has taken again. A
//! consumer with the whole window at once holds all of that, so that it stays together (I5).

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// How the window of a queue was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Learned {
    /// Messages on their way at once.
    pub(super) window: u16,
    /// The usual size of a message, in bytes.
    pub(super) average: u64,
}

/// More queues than this are not remembered: reloads may bring ever new ones.
const MOST: usize = 10_000;

/// By consumer and queue.
type Memory = HashMap<(String, String), Learned>;

static MEMORY: Mutex<Option<Memory>> = Mutex::new(None);

/// To be used by the next instance of that consumer.
pub(super) fn remember(consumer: &str, queue: &str, learned: Learned) {
    let mut memory = lock();
    let memory = memory.get_or_insert_default();
    let key = (consumer.to_owned(), queue.to_owned());
    if memory.len() < MOST || memory.contains_key(&key) {
        memory.insert(key, learned);
    }
}

/// What the instance before this one has learned.
pub(super) fn recall(consumer: &str, queue: &str) -> Option<Learned> {
    lock().as_ref()?.get(&(consumer.to_owned(), queue.to_owned())).copied()
}

fn lock() -> MutexGuard<'static, Option<Memory>> {
    MEMORY.lock().unwrap_or_else(PoisonError::into_inner)
}
