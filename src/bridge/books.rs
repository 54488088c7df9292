//! What a task has in flight: a ledger a lane, credit, and the counts that people see.
//!
//! # Contract
//! - A batch is entered before its records leave for the sink, and leaves when all of them are settled and everything
//!   before it too (I1, I2).
//! - What is entered never exceeds credit (I4): [`Books::room`] says how much may be polled. Only the last record of a
//!   poll may overrun the bytes, because nobody knows its size before it is there.
//! - Every record that came in is in exactly one count (I6): in flight, out, filtered, dead-lettered or returned.

use std::{collections::HashMap, sync::Arc, time::Instant};

use gantry_sdk::{
    Epoch, FailureKind, Lane, Ledger, Limits, Position, Receipt, Record,
    ledger::Sequence,
    receipt::{Failure, Outcome, OutcomeSender, Route},
};

use super::{definition::BridgeLimits, status::Progress};
use crate::telemetry::metrics::TaskMetrics;

/// What is in flight, by lane.
pub(super) struct Books {
    epoch: Epoch,
    limits: BridgeLimits,
    lanes: HashMap<Lane, Ledger<Held>>,
    /// Not committed yet.
    records: usize,
    bytes: usize,
    outcomes: OutcomeSender,
    progress: Arc<Progress>,
    metrics: TaskMetrics,
}

/// What is kept of a batch until it is committed.
pub(super) struct Held {
    /// As the source gave them, for the dead letter. Let go of once settled.
    originals: Arc<Vec<Record>>,
    /// As the sink got them, when transforms made them differ: which original each came from.
    roots: Option<Box<[u32]>>,
    received: Instant,
    records: u64,
    bytes: u64,
    /// The bytes of those that are still on their way to the sink.
    bytes_out: u64,
    filtered: u64,
    dead_lettered: u64,
}

/// A batch as it enters the books.
pub(super) struct Entry {
    pub(super) lane: Lane,
    pub(super) last: Position,
    pub(super) originals: Arc<Vec<Record>>,
    pub(super) roots: Option<Box<[u32]>>,
    pub(super) received: Instant,
    pub(super) filtered: u32,
}

/// A record that can never be delivered, as the source gave it, with why.
pub(super) struct Condemned {
    pub(super) record: Record,
    pub(super) failure: Failure,
}

/// What an outcome asks for.
pub(super) enum Verdict {
    /// Nothing, or it was of an older epoch.
    Nothing,
    /// These records of that batch must become dead letters.
    DeadLetters(Lane, Sequence, Vec<Condemned>),
    /// The lane cannot go on: a record may be deliverable later, but not by this incarnation.
    Stop(Arc<str>),
    /// The bridge must not go on by itself: a record has nowhere to go.
    Halt(Arc<str>),
}

impl Books {
    pub(super) fn new(
        epoch: Epoch,
        limits: BridgeLimits,
        outcomes: OutcomeSender,
        progress: Arc<Progress>,
        metrics: TaskMetrics,
    ) -> Self {
        Self { epoch, limits, lanes: HashMap::new(), records: 0, bytes: 0, outcomes, progress, metrics }
    }

    /// How much may be polled; `None` when there is no credit (I4).
    pub(super) fn room(&self) -> Option<Limits> {
        let records = self.limits.in_flight_records.saturating_sub(self.records).min(self.limits.batch_records);
        let bytes = self.limits.in_flight_bytes.saturating_sub(self.bytes).min(self.limits.batch_bytes);
        (records > 0 && bytes > 0).then_some(Limits { records, bytes }) // I4
    }

    /// Whether everything that came in is committed.
    pub(super) fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// Records that are not committed yet.
    pub(super) const fn in_flight(&self) -> usize {
        self.records
    }

    /// Enters a batch. It counts as settled until a part is opened for it.
    pub(super) fn enter(&mut self, entry: Entry) -> Sequence {
        let records = entry.originals.len();
        let bytes: usize = entry.originals.iter().map(Record::size).sum();
        self.records += records;
        self.bytes += bytes;
        self.metrics.batch_records.observe(records as f64);
        self.metrics.batch_bytes.observe(bytes as f64);
        let (records, bytes) = (records as u64, bytes as u64);
        self.progress.count(|counts| {
            counts.records_in += records;
            counts.bytes_in += bytes;
            counts.in_flight += records;
            counts.in_flight_bytes += bytes;
            counts.batches += 1;
        });
        let bytes_out = match &entry.roots {
            Some(roots) => roots.iter().map(|root| size_of_record(&entry.originals, *root)).sum(),
            None => bytes,
        };
        let held = Held {
            bytes_out,
            originals: entry.originals,
            roots: entry.roots,
            received: entry.received,
            records,
            bytes,
            filtered: entry.filtered.into(),
            dead_lettered: 0,
        };
        let (epoch, outcomes) = (self.epoch, &self.outcomes);
        let ledger = self.lanes.entry(entry.lane).or_insert_with(|| Ledger::new(entry.lane, epoch, outcomes.clone()));
        ledger.open(entry.last, held)
    }

    /// The right to say what became of that many records of the batch.
    pub(super) fn part(&mut self, lane: Lane, sequence: Sequence, route: Route, records: usize) -> Option<Receipt> {
        let records = u32::try_from(records).ok().filter(|records| *records > 0)?;
        self.lanes.get_mut(&lane)?.part(sequence, route, records)
    }

    /// A batch of which nothing is left to send: filtered to the last record.
    pub(super) fn settle_whole(&mut self, lane: Lane, sequence: Sequence) {
        if let Some(held) = self.lanes.get_mut(&lane).and_then(|ledger| ledger.held(sequence)) {
            Self::count_settled(&self.progress, &self.metrics, held);
        }
    }

    /// Takes in what became of a part.
    pub(super) fn take(&mut self, outcome: Outcome) -> Verdict {
        let lane = outcome.lane;
        let Some(ledger) = self.lanes.get_mut(&lane) else { return Verdict::Nothing };
        let Some((sequence, held)) = ledger.find(&outcome) else { return Verdict::Nothing }; // I3
        if let Some(end) = reason_to_end(&outcome) {
            return end;
        }
        let condemned: Vec<_> = outcome.failures.into_iter().filter_map(|failure| held.condemn(failure)).collect();
        if !condemned.is_empty() {
            // The sink's part stays open until the dead letters' part is opened.
            return Verdict::DeadLetters(lane, sequence, condemned);
        }
        self.part_done(lane, sequence);
        Verdict::Nothing
    }

    /// These records of the batch will be dead letters: counts them, and returns the receipt for them.
    pub(super) fn condemn(&mut self, lane: Lane, sequence: Sequence, records: usize) -> Option<Receipt> {
        if let Some(held) = self.lanes.get_mut(&lane).and_then(|ledger| ledger.held(sequence)) {
            held.dead_lettered += records as u64;
        }
        self.part(lane, sequence, Route::DeadLetter, records)
    }

    /// One part is dealt with. Counts the batch when it was the last.
    pub(super) fn part_done(&mut self, lane: Lane, sequence: Sequence) {
        let Some(ledger) = self.lanes.get_mut(&lane) else { return };
        if ledger.settle(sequence)
            && let Some(held) = ledger.held(sequence)
        {
            Self::count_settled(&self.progress, &self.metrics, held);
        }
    }

    fn count_settled(progress: &Progress, metrics: &TaskMetrics, held: &mut Held) {
        metrics.settle_seconds.observe(held.received.elapsed().as_secs_f64());
        held.originals = Arc::default(); // the memory goes now, not when the batches before it are settled
        let (records, bytes, bytes_out) = (held.records, held.bytes, held.bytes_out);
        progress.settled(|counts| {
            counts.records_out += records - held.filtered - held.dead_lettered; // I6
            counts.filtered += held.filtered;
            counts.dead_lettered += held.dead_lettered;
            counts.bytes_out += bytes_out;
            counts.in_flight -= records;
            counts.in_flight_bytes -= bytes;
        });
    }

    /// What can be committed now: at most one position a lane, the highest up to which everything is settled (I1).
    pub(super) fn commits(&mut self) -> Vec<(Lane, Position)> {
        let mut commits = Vec::new();
        for (lane, ledger) in &mut self.lanes {
            let (records, bytes) = (&mut self.records, &mut self.bytes);
            let upto = ledger.advance(|held| {
                *records -= held.records as usize;
                *bytes -= held.bytes as usize;
            });
            commits.extend(upto.map(|position| (*lane, position)));
        }
        if !commits.is_empty() {
            self.progress.count(|counts| counts.commits += commits.len() as u64);
        }
        commits
    }
}

impl Drop for Books {
    /// The incarnation ends, by a panic too: what is not settled goes back to its source, and is counted as returned.
    fn drop(&mut self) {
        for (held, settled) in self.lanes.drain().flat_map(|(_, ledger)| ledger.into_unfinished()) {
            if !settled {
                self.progress.count(|counts| {
                    counts.returned += held.records;
                    counts.in_flight -= held.records;
                    counts.in_flight_bytes -= held.bytes;
                });
            }
        }
    }
}

// === impl Held ===

impl Held {
    /// The record that a failure speaks of, as the source gave it.
    fn condemn(&mut self, (index, failure): (u32, Failure)) -> Option<Condemned> {
        let root = match &self.roots {
            Some(roots) => *roots.get(index as usize)?,
            None => index,
        };
        let record = self.originals.get(root as usize)?.clone();
        self.bytes_out -= record.size() as u64;
        Some(Condemned { record, failure })
    }
}

fn size_of_record(originals: &[Record], root: u32) -> u64 {
    originals.get(root as usize).map_or(0, Record::size) as u64
}

/// Whether this incarnation cannot go on after such an outcome.
fn reason_to_end(outcome: &Outcome) -> Option<Verdict> {
    if outcome.abandoned > 0 {
        let reason = format!("the sink dropped {} records without an answer", outcome.abandoned);
        return Some(Verdict::Stop(reason.into()));
    }
    let retriable = outcome.failures.iter().find(|(_, failure)| failure.kind != FailureKind::Rejected);
    if let Some((_, failure)) = retriable {
        return Some(Verdict::Stop(match outcome.route {
            Route::Sink => failure.reason.clone(),
            Route::DeadLetter => format!("the dead letter cannot be written: {}", failure.reason).into(),
        }));
    }
    // A refused dead letter has nowhere to go, and trying again would only burn deliveries of the record.
    let (_, failure) = outcome.failures.first().filter(|_| outcome.route == Route::DeadLetter)?;
    Some(Verdict::Halt(
        format!("the dead letter refuses a record as well, and it stays at its source: {}", failure.reason).into(),
    ))
}
