//! Which letters are held, and how RabbitMQ knows them.

use std::collections::HashMap;

use gantry_sdk::{DeadLetterId, dead_letters::Marks};

/// The letters that are unacknowledged.
#[derive(Debug, Default)]
pub(super) struct Held {
    tags: HashMap<DeadLetterId, u64>,
    /// How many letters had that number; those that are equal to the last bit have streams of their own.
    seen: HashMap<u64, u64>,
}

impl Held {
    /// A letter that came with that delivery tag.
    pub(super) fn insert(&mut self, number: u64, tag: u64) -> DeadLetterId {
        let seen = self.seen.entry(number).or_default();
        let id = DeadLetterId::new(seen.to_string(), number);
        *seen += 1;
        self.tags.insert(id.clone(), tag);
        id
    }

    /// Takes letters out; returns their delivery tags, in order.
    pub(super) fn take(&mut self, letters: &Marks) -> Vec<u64> {
        let mut tags: Vec<_> = letters.iter().filter_map(|id| self.tags.remove(&id)).collect();
        tags.sort_unstable();
        tags
    }

    pub(super) fn len(&self) -> usize {
        self.tags.len()
    }
}
