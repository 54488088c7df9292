//! Turns outcomes that arrive in any order into commits that are in order.
//!
//! One ledger a lane and epoch, owned by the lane's task, so it needs no lock. It upholds:
//!
//! - **I1** [`Ledger::advance`] yields a position only when every record at or before it is settled
//! - **I2** the positions it yields never go back
//! - **I3** an outcome of another epoch changes nothing
//!
//! An entry is one batch of the source. It may have several *parts*, each with a [`Receipt`] of its own: the records
//! that went to the sink, and those that go to the dead letter. It is not settled before [`Ledger::routed`] says that no
//! more parts come: a batch whose records have nowhere to go must not look like one that is done.

use std::collections::VecDeque;

use crate::{
    receipt::{Outcome, OutcomeSender, Outlet, Receipt},
    source::{Epoch, Lane, Position},
};

/// Names one entry of one ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sequence(u64);

/// What a lane has in flight, oldest first. `T` is what the task keeps with each entry until it is settled.
#[derive(Debug)]
pub struct Ledger<T> {
    lane: Lane,
    epoch: Epoch,
    /// The sequence of the first entry.
    base: u64,
    entries: VecDeque<Entry<T>>,
    outcomes: OutcomeSender,
}

#[derive(Debug)]
struct Entry<T> {
    position: Position,
    /// Every record has a part, or needs none.
    routed: bool,
    /// Receipts given out whose outcome has not come, or came with failures that are not dealt with, and what is
    /// [held open](Ledger::hold_open).
    open_parts: u32,
    held: T,
}

impl<T> Entry<T> {
    const fn is_settled(&self) -> bool {
        self.routed && self.open_parts == 0
    }
}

impl<T> Ledger<T> {
    /// An empty ledger for this incarnation of the lane.
    pub const fn new(lane: Lane, epoch: Epoch, outcomes: OutcomeSender) -> Self {
        Self { lane, epoch, base: 0, entries: VecDeque::new(), outcomes }
    }

    /// The lane's incarnation.
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Batches that are not committed yet.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether everything is committed.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Enters a batch whose last record is at `position`. Give out its parts, then call [`Self::routed`].
    pub fn open(&mut self, position: Position, held: T) -> Sequence {
        self.entries.push_back(Entry { position, routed: false, open_parts: 0, held });
        Sequence(self.base + self.entries.len() as u64 - 1)
    }

    /// Every record of that batch has a part now, or needs none: it was filtered, or its source took it back.
    ///
    /// Returns whether the whole entry is settled by it.
    pub fn routed(&mut self, sequence: Sequence) -> bool {
        let Some(entry) = self.entry(sequence.0) else { return false };
        entry.routed = true;
        entry.is_settled()
    }

    /// A receipt for `records` records of that batch, of which there must be at least one.
    pub fn part(&mut self, sequence: Sequence, outlet: Outlet, records: u32, wants_answers: bool) -> Option<Receipt> {
        let entry = self.entry(sequence.0)?;
        entry.open_parts += 1;
        Some(Receipt::new((self.lane, self.epoch, sequence.0), outlet, records, wants_answers, self.outcomes.clone()))
    }

    /// Something else of that batch is not dealt with. To be [settled](Self::settle) like a part.
    pub fn hold_open(&mut self, sequence: Sequence) {
        if let Some(entry) = self.entry(sequence.0) {
            entry.open_parts += 1;
        }
    }

    /// The entry that an outcome speaks of, with what the task keeps for it. `None` when it speaks of another epoch
    /// (I3).
    pub fn find(&mut self, outcome: &Outcome) -> Option<(Sequence, &mut T)> {
        if outcome.epoch != self.epoch || outcome.lane != self.lane {
            return None; // I3
        }
        let entry = self.entry(outcome.sequence)?;
        Some((Sequence(outcome.sequence), &mut entry.held))
    }

    /// What the task keeps with the oldest entry. After [`Self::advance`] it is one that is not settled.
    pub fn oldest(&self) -> Option<&T> {
        self.entries.front().map(|entry| &entry.held)
    }

    /// Every entry with what the task keeps with it, oldest first.
    pub fn oldest_first(&mut self) -> impl Iterator<Item = (Sequence, &mut T)> {
        (self.base..).map(Sequence).zip(self.entries.iter_mut().map(|entry| &mut entry.held))
    }

    /// What the task keeps with that entry.
    pub fn held(&mut self, sequence: Sequence) -> Option<&mut T> {
        self.entry(sequence.0).map(|entry| &mut entry.held)
    }

    /// The position of that batch's last record.
    pub fn position(&self, sequence: Sequence) -> Option<&Position> {
        self.entries.get(self.index(sequence.0)?).map(|entry| &entry.position)
    }

    /// One part of that entry is dealt with: delivered, or handed on to parts of its own.
    ///
    /// Returns whether the whole entry is settled by it.
    pub fn settle(&mut self, sequence: Sequence) -> bool {
        let Some(entry) = self.entry(sequence.0) else { return false };
        debug_assert!(entry.open_parts > 0, "a part was settled twice");
        entry.open_parts = entry.open_parts.saturating_sub(1);
        entry.is_settled()
    }

    /// Whether every entry is settled, though none was taken off yet.
    pub fn is_settled(&self) -> bool {
        self.entries.iter().all(Entry::is_settled)
    }

    /// The position of the last entry, settled or not.
    pub fn last_position(&self) -> Option<&Position> {
        self.entries.back().map(|entry| &entry.position)
    }

    /// Takes the settled entries off the front. Returns the last one's position, and calls `done` with each.
    pub fn advance(&mut self, mut done: impl FnMut(T)) -> Option<Position> {
        let mut upto = None;
        while self.entries.front().is_some_and(Entry::is_settled) {
            // I1: only from the front, only while settled. I2: the front moves one way.
            let Some(entry) = self.entries.pop_front() else { break };
            self.base += 1;
            upto = Some(entry.position);
            done(entry.held);
        }
        upto
    }

    /// Gives up: what was in flight goes back to the source. Yields what was kept, and whether it was settled.
    pub fn into_unfinished(self) -> impl Iterator<Item = (T, bool)> {
        self.entries.into_iter().map(|entry| {
            let settled = entry.is_settled();
            (entry.held, settled)
        })
    }

    fn entry(&mut self, sequence: u64) -> Option<&mut Entry<T>> {
        let index = self.index(sequence)?;
        self.entries.get_mut(index)
    }

    fn index(&self, sequence: u64) -> Option<usize> {
        usize::try_from(sequence.checked_sub(self.base)?).ok()
    }
}

#[cfg(test)]
mod tests;
