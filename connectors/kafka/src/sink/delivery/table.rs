//! The slots: which records of which batch are not accounted for. All of it lives under the delivery's lock.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use gantry_sdk::{Batch, Delivered, Failure, Receipt, Record};
use rdkafka::types::RDKafkaErrorCode;

const _: () = assert!(usize::BITS >= 64, "member, slot and index share one word");

/// A slot's number has so many bits in an opaque. A batch in flight takes far more than a hundred bytes: credit ends before.
const SLOT_BITS: u32 = 24;

/// One record that librdkafka has: its slot and its index in the batch. On its way it carries the number of its sink, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sink) struct Token {
    slot: u32,
    index: u32,
}

/// What is in flight, and what becomes of it.
#[derive(Debug, Default)]
pub(super) struct Table {
    slots: Vec<Option<Slot>>,
    /// Places in `slots` that can be used again.
    free: Vec<u32>,
    /// Batches that are not settled.
    open: usize,
    /// Counts batches.
    sequence: u64,
    /// Counts reports.
    pub(super) reports: u64,
    pub(super) phase: Phase,
    /// Taken back, in no order yet.
    pub(super) held: Vec<Held>,
    /// In each partition the first record that came back undelivered since `held` was last taken.
    pub(super) first_back: BTreeMap<Box<str>, BTreeMap<i32, Order>>,
    /// Topics of which a report said that they are gone.
    pub(super) vanished: Vec<String>,
}

/// When a record was given to the sink, before and behind others: the number of its batch, and its place there.
type Order = (u64, u32);

/// A batch in flight.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) receipt: Receipt,
    records: Arc<Vec<Record>>,
    sequence: u64,
    since: Instant,
    /// Records of it were taken back.
    taken_back: bool,
    /// Records without an outcome.
    left: u32,
    delivered: u32,
}

/// How far the sink's life is; see the delivery's module.
#[derive(Debug, Default)]
pub(super) enum Phase {
    #[default]
    Running,
    Recovering,
    /// With what every record from here on fails.
    Stopped(Failure),
    Closed,
}

/// A record that was taken back.
#[derive(Debug)]
pub(in crate::sink) struct Held {
    pub token: Token,
    /// Orders what is held as it was given to the sink.
    pub sequence: u64,
    /// Why the broker refused its batch; `None` if we took it back ourselves.
    pub refusal: Option<Refusal>,
}

/// Why the broker refused a batch.
#[derive(Debug, Clone)]
pub(in crate::sink) struct Refusal {
    pub code: RDKafkaErrorCode,
    pub topic: Box<str>,
}

// === impl Token ===

impl Token {
    /// Of a record that stores a position: it belongs to no batch.
    pub(in crate::sink) const POSITION: Self = Self::new((1 << SLOT_BITS) - 1, 0);

    pub(in crate::sink) const fn new(slot: u32, index: u32) -> Self {
        Self { slot, index }
    }

    /// One word: whose it is, slot, index.
    pub(in crate::sink) const fn to_opaque(self, member: u8) -> usize {
        debug_assert!(self.slot >> SLOT_BITS == 0, "more batches in flight than a word can tell apart");
        (member as usize) << (32 + SLOT_BITS) | (self.slot as usize) << 32 | self.index as usize
    }

    pub(in crate::sink) const fn from_opaque(opaque: usize) -> (u8, Self) {
        let slot = (opaque >> 32) as u32 & ((1 << SLOT_BITS) - 1);
        ((opaque >> (32 + SLOT_BITS)) as u8, Self { slot, index: opaque as u32 })
    }

    /// The record's place in its batch.
    pub(in crate::sink) const fn index(self) -> u32 {
        self.index
    }
}

// === impl Refusal ===

impl Refusal {
    pub(super) fn new(code: RDKafkaErrorCode, topic: &str) -> Self {
        Self { code, topic: topic.into() }
    }
}

// === impl Table ===

impl Table {
    /// Enters a batch.
    pub(super) fn open(&mut self, batch: &Batch) -> u32 {
        self.sequence += 1;
        self.open += 1;
        let slot = Slot {
            receipt: batch.receipt.clone(),
            records: Arc::clone(&batch.records),
            sequence: self.sequence,
            since: Instant::now(),
            taken_back: false,
            // Fewer than 2^32: the receipt counts them in as many bits.
            left: batch.records.len() as u32,
            delivered: 0,
        };
        if let Some(free) = self.free.pop() {
            self.slots[free as usize] = Some(slot);
            return free;
        }
        self.slots.push(Some(slot));
        // Never more places than there were batches in flight at once, which credit bounds.
        (self.slots.len() - 1) as u32
    }

    /// How many batches are not settled.
    pub(super) const fn open_batches(&self) -> usize {
        self.open
    }

    /// How many places there are.
    #[cfg(test)]
    pub(super) fn places(&self) -> usize {
        self.slots.len()
    }

    /// Takes all slots out; later reports find none.
    pub(super) fn clear(&mut self) -> Vec<Slot> {
        self.open = 0;
        std::mem::take(&mut self.slots).into_iter().flatten().collect()
    }

    /// The records of a token's batch.
    pub(super) fn records(&self, token: Token) -> Option<Arc<Vec<Record>>> {
        self.slot(token).map(|slot| Arc::clone(&slot.records))
    }

    /// The number of a token's batch.
    pub(super) fn sequence_of(&self, token: Token) -> Option<u64> {
        self.slot(token).map(|slot| slot.sequence)
    }

    /// That record came back undelivered from there.
    pub(super) fn came_back(&mut self, token: Token, (topic, partition): (&str, i32)) {
        let Some(slot) = self.slots.get_mut(token.slot as usize).and_then(Option::as_mut) else { return };
        slot.taken_back = true;
        let order = (slot.sequence, token.index);
        if !self.first_back.contains_key(topic) {
            self.first_back.insert(topic.into(), BTreeMap::new());
        }
        let Some(partitions) = self.first_back.get_mut(topic) else { return };
        let first = partitions.entry(partition).or_insert(order);
        *first = order.min(*first);
    }

    /// Whether that record has overtaken one that came back undelivered from there. One that came back before it had a
    /// partition (-1) may belong to any.
    pub(super) fn has_overtaken(&self, token: Token, (topic, partition): (&str, i32)) -> bool {
        let (Some(partitions), Some(sequence)) = (self.first_back.get(topic), self.sequence_of(token)) else {
            return false;
        };
        let behind = |first: Option<&Order>| first.is_some_and(|first| (sequence, token.index) > *first);
        behind(partitions.get(&partition)) || behind(partitions.get(&-1))
    }

    /// Since when the oldest batch waits of which something was taken back.
    pub(super) fn oldest_taken_back(&self) -> Option<Instant> {
        self.slots.iter().flatten().filter(|slot| slot.taken_back).map(|slot| slot.since).min()
    }

    /// One record has its outcome; `say` tells it. Returns the slot when it was the last.
    pub(super) fn account(&mut self, token: Token, say: impl FnOnce(&mut Slot, u32)) -> Option<Slot> {
        self.settle(token.slot, 1, |slot| say(slot, token.index))
    }

    /// Takes `count` records off a slot. Returns it when that was the last of them.
    pub(super) fn settle(&mut self, slot: u32, count: u32, say: impl FnOnce(&mut Slot)) -> Option<Slot> {
        let place = self.slots.get_mut(slot as usize)?;
        let open = place.as_mut()?;
        say(open);
        open.left = open.left.saturating_sub(count);
        if open.left > 0 {
            return None;
        }
        let done = place.take()?;
        done.tell();
        self.free.push(slot);
        self.open -= 1;
        Some(done)
    }

    fn slot(&self, token: Token) -> Option<&Slot> {
        self.slots.get(token.slot as usize)?.as_ref()
    }
}

// === impl Slot ===

impl Slot {
    /// That record is delivered, and lies there, which is told when somebody waits for it.
    pub(super) fn deliver<'a>(&mut self, index: u32, place: impl Fn() -> (&'a str, i32, i64)) {
        if self.receipt.wants_answers() {
            let (topic, partition, offset) = place();
            // Of what the broker had already it does not say where.
            let known = |offset: i64| (offset >= 0).then_some(offset);
            let (partition, offset) = (Some(partition), known(offset));
            self.receipt.answer(index, Delivered::Placed { address: topic.into(), partition, offset });
        }
        self.delivered += 1;
    }

    /// Settles what was delivered, in one go.
    pub(super) fn tell(&self) {
        if self.delivered > 0 {
            self.receipt.settle(self.delivered);
        }
    }
}
