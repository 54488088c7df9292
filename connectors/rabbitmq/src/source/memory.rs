//! What a source has learned of its queues, for the next source of its task ([`gantry_sdk::Remembered`]).
//!
//! A reconnect is a new instance that knows nothing of the one before. That would cost two things:
//!
//! - Order, if it began with a few messages again: a quorum queue puts what a lost consumer held *behind* what earlier ones held
//!   and nobody has taken again. A consumer with the whole window at once holds all of that, so that it stays together (I5).
//! - Messages of a stream, which keeps them whatever is acknowledged: its consumer starts where it asks to (I1).

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use lapin::types::AMQPValue;

/// Of the queues that the task's last source read.
#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<Queues>);

#[derive(Debug, Default)]
struct Queues {
    /// In another one there are other queues of these names.
    vhost: Arc<str>,
    known: BTreeMap<Box<str>, Arc<QueueMemory>>,
}

/// Of one queue.
#[derive(Debug, Default)]
pub(super) struct QueueMemory(Mutex<Known>);

/// What is known of a queue.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// How its window was.
    pub(super) window: Option<Learned>,
    /// How far it was read; of a stream.
    pub(super) place: Option<Reading>,
}

/// How the window of a queue was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Learned {
    /// Messages on their way at once.
    pub(super) window: u16,
    /// The usual size of a message, in bytes.
    pub(super) average: u64,
}

/// How far a stream was read.
#[derive(Debug)]
pub(super) struct Reading {
    /// Where a person said to begin.
    pub(super) asked: AMQPValue,
    pub(super) upto: Upto,
}

/// A place in a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Upto {
    /// Nothing has come yet. When the first consumer began, in seconds since 1970.
    Since(u64),
    /// The next message that is not settled.
    Next(i64),
}

impl Memory {
    /// Of these queues, in order. All others are forgotten: who reads a queue again later, reads it for the first time.
    pub(super) fn of(&self, vhost: &Arc<str>, queues: &[&str]) -> Vec<Arc<QueueMemory>> {
        let mut memory = lock(&self.0);
        let before = std::mem::take(&mut *memory);
        let mut known = if before.vhost == *vhost { before.known } else { BTreeMap::new() };
        let own: Vec<_> = queues.iter().map(|queue| known.remove(*queue).unwrap_or_default()).collect();
        let named = queues.iter().map(|queue| Box::from(*queue));
        *memory = Queues { vhost: vhost.clone(), known: named.zip(own.iter().cloned()).collect() };
        own
    }
}

impl QueueMemory {
    /// What is known, to read and to change.
    pub(super) fn lock(&self) -> MutexGuard<'_, Known> {
        lock(&self.0)
    }
}

/// What is in there is set as a whole: usable whatever panicked while holding it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The windows that are known of these queues.
    fn windows(memory: &Memory, vhost: &str, queues: &[&str]) -> Vec<Option<u16>> {
        let own = memory.of(&vhost.into(), queues);
        own.iter().map(|queue| queue.lock().window.map(|learned| learned.window)).collect()
    }

    #[test]
    fn each_queue_has_its_own_and_those_that_are_not_read_are_forgotten() {
        let memory = Memory::default();
        for (queue, window) in memory.of(&"/".into(), &["b", "a"]).iter().zip([1, 2]) {
            queue.lock().window = Some(Learned { window, average: 100 });
        }
        assert_eq!(windows(&memory, "/", &["a", "b"]), [Some(2), Some(1)]);
        assert_eq!(windows(&memory, "/", &["c", "a"]), [None, Some(2)]);
        assert_eq!(windows(&memory, "/", &["a", "b"]), [Some(2), None]);
        assert_eq!(windows(&memory, "other", &["a"]), [None], "another queue of that name");
    }
}
