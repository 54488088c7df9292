//! What the parts of a task remember from instance to instance: only carried here, and never looked into.
//!
//! Each part has its own: the source, each sink and the dead letter. The task of the same number in a successor of the bridge has
//! it next, the sinks by their position. What has no successor is forgotten with the bridge that it was of.

use gantry_sdk::Remembered;

/// Of one task. Cheap to clone; clones are the same memory.
#[derive(Debug, Clone, Default)]
pub(crate) struct Memory {
    source: Remembered,
    sinks: Vec<Remembered>,
    dead_letter: Remembered,
}

impl Memory {
    /// For a task with so many sinks, in the place of the one that had that memory.
    pub(crate) fn after(before: Option<&Self>, sinks: usize) -> Self {
        let mut memory = before.cloned().unwrap_or_default();
        memory.sinks.resize_with(sinks, Remembered::default);
        memory
    }

    pub(crate) const fn source(&self) -> &Remembered {
        &self.source
    }

    /// By its position.
    pub(crate) fn sink(&self, index: usize) -> &Remembered {
        &self.sinks[index]
    }

    pub(crate) const fn dead_letter(&self) -> &Remembered {
        &self.dead_letter
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    fn count(remembered: &Remembered) -> u64 {
        remembered.get_or_default::<AtomicU64>().fetch_add(1, Ordering::Relaxed)
    }

    #[test]
    fn sinks_are_known_by_their_position_and_those_that_went_are_forgotten() {
        let two = Memory::after(None, 2);
        assert_eq!(
            (count(two.sink(0)), count(two.sink(1)), count(two.source()), count(two.dead_letter())),
            (0, 0, 0, 0)
        );
        let one = Memory::after(Some(&two), 1);
        assert_eq!((count(one.sink(0)), count(one.source()), count(one.dead_letter())), (1, 1, 1));
        let two = Memory::after(Some(&one), 2);
        assert_eq!(
            (count(two.sink(0)), count(two.sink(1)), count(two.source()), count(two.dead_letter())),
            (2, 0, 2, 2)
        );
    }
}
