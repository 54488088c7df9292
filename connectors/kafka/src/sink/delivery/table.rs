//! The slots: which records of which batch are not accounted for.

use std::sync::Arc;

use gantry_sdk::{Failure, Receipt, Record};

const _: () = assert!(usize::BITS >= 64, "slot and index share one word");

/// One record that librdkafka has: its slot and its index in the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token {
    slot: u32,
    index: u32,
}

#[derive(Debug, Default)]
struct Table {
    slots: Vec<Option<Slot>>,
    free: Vec<u32>,
    open: usize,
    sequence: u64,
    reports: u64,
    phase: Phase,
    /// Taken back, in no order yet.
    held: Vec<Held>,
    /// The partitions in which a batch was refused since `held` was last taken.
    refused: Vec<(Box<str>, i32)>,
    /// Topics of which a report said that they are gone.
    vanished: Vec<String>,
}

#[derive(Debug)]
struct Slot {
    receipt: Receipt,
    records: Arc<Vec<Record>>,
    sequence: u64,
    left: u32,
    delivered: u32,
}

#[derive(Debug, Default)]
enum Phase {
    #[default]
    Running,
    Recovering,
    Stopped(Failure),
    Closed,
}

/// A record that was taken back.
#[derive(Debug)]
pub(super) struct Held {
    pub token: Token,
    /// Orders what is held as it was given to the sink.
    pub sequence: u64,
    /// Why the broker refused its batch; `None` if we took it back ourselves.
    pub refusal: Option<Arc<str>>,
}

// === impl Token ===

impl Token {
    pub(super) const fn new(slot: u32, index: u32) -> Self {
        Self { slot, index }
    }

    pub(super) const fn to_opaque(self) -> usize {
        (self.slot as usize) << 32 | self.index as usize
    }

    pub(super) const fn from_opaque(opaque: usize) -> Self {
        Self { slot: (opaque >> 32) as u32, index: opaque as u32 }
    }

    /// The record's place in its batch.
    pub(super) const fn index(self) -> u32 {
        self.index
    }
}

// === impl Table ===

impl Table {
    fn account(&mut self, token: Token, say: impl FnOnce(&mut Slot, u32)) -> Option<Slot> {
        self.settle(token.slot, 1, |slot| say(slot, token.index))
    }

    /// Takes `count` records off a slot; returns it when that was the last of them.
    fn settle(&mut self, slot: u32, count: u32, say: impl FnOnce(&mut Slot)) -> Option<Slot> {
        let place = self.slots.get_mut(slot as usize)?;
        let open = place.as_mut()?;
        say(open);
        open.left = open.left.saturating_sub(count);
        if open.left > 0 {
            return None;
        }
        let done = place.take()?;
        if done.delivered > 0 {
            done.receipt.settle(done.delivered);
        }
        self.free.push(slot);
        self.open -= 1;
        Some(done)
    }

    fn was_refused(&self, (topic, partition): (&str, i32)) -> bool {
        self.refused.iter().any(|(own, number)| *number == partition && **own == *topic)
    }

    fn sequence_of(&self, token: Token) -> Option<u64> {
        self.slots.get(token.slot as usize)?.as_ref().map(|slot| slot.sequence)
    }
}

