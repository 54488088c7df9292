//! Which original each record of a part came from.

use std::sync::Arc;

use gantry_sdk::Record;

/// Which original each record of a part came from.
#[derive(Debug, Clone)]
pub(crate) enum Roots {
    /// Record `i` is original `i`, all of them.
    Same,
    /// The originals' indices, in the order of the records.
    Listed(Arc<[u32]>),
}

/// Originals that are marked: a bit each, made when there is one.
#[derive(Debug, Default)]
pub(super) struct Marked(Vec<u64>);

impl Roots {
    /// Of records that know their root.
    pub(crate) fn of(records: &[Record]) -> Self {
        Self::Listed(records.iter().map(|record| record.root).collect())
    }

    /// The original of the record at that place.
    pub(super) fn get(&self, index: u32) -> Option<u32> {
        match self {
            Self::Same => Some(index),
            Self::Listed(roots) => roots.get(index as usize).copied(),
        }
    }
}

// === impl Marked ===

impl Marked {
    /// Marks it. Whether it was not marked before.
    pub(super) fn mark(&mut self, index: u32) -> bool {
        let (word, bit) = ((index / 64) as usize, 1 << (index % 64));
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        let fresh = self.0[word] & bit == 0;
        self.0[word] |= bit;
        fresh
    }
}
