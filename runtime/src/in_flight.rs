//! What a task has in flight: a ledger a lane, credit, and the counts that people see.
//!
//! # Contract
//! - A batch is entered before its records leave for the sink, and leaves when all of them are settled and everything
//!   before it too (I1, I2).
//! - What is entered never exceeds credit (I4): the task's own, and its part in the process's [`budget`](super::budget).
//!   [`InFlight::room`] says how much may be polled. Only the last record of a poll may overrun the bytes, because nobody
//!   knows its size before it is there.
//! - Every record that came in is in exactly one count (I6): in flight, out, filtered, dead-lettered or returned.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use gantry_sdk::{
    Epoch, Error, FailureKind, Lane, Ledger, Limits, Position, Receipt, Record,
    ledger::Sequence,
    receipt::{Failure, Outcome, OutcomeSender, Outlet},
};
use tokio::time::Instant;

use crate::{
    budget::{Refused, Share},
    definition::BridgeLimits,
    observer::TaskObserver,
    stages::ByStage,
    status::Progress,
};

/// What is in flight, by lane.
pub(super) struct InFlight {
    epoch: Epoch,
    limits: BridgeLimits,
    lanes: HashMap<Lane, Ledger<Held>>,
    /// Those that give no more and have something in flight.
    ended: HashSet<Lane>,
    /// Not committed yet.
    records: usize,
    bytes: usize,
    /// The task's part in what the process may hold.
    share: Arc<Share>,
    /// The budget had no room when it was asked the last time.
    refused: Option<Refused>,
    outcomes: OutcomeSender,
    progress: Arc<Progress>,
    observer: Arc<dyn TaskObserver>,
}

/// What is kept of a batch until it is committed.
pub(super) struct Held {
    /// As the source gave them, for the dead letter. Let go of once settled.
    originals: Arc<Vec<Record>>,
    /// Of each sink: which original each of its records came from. Sinks at the end that got none are not in it.
    roots: Vec<Roots>,
    /// Originals that were refused, by whichever sink.
    refused: Marked,
    received: Instant,
    records: u64,
    bytes: u64,
    /// The bytes of those that are still on their way to the sink.
    bytes_out: u64,
    /// By a rule, refused ones that were dropped among them.
    filtered: u64,
    /// Refused, and dropped because the bridge tolerates that.
    dropped: u64,
    /// Written as dead letters.
    dead_lettered: ByStage,
    /// Rejected at the source: gone from there, whatever becomes of the rest of the batch.
    rejected: ByStage,
}

/// A batch as it enters the in_flight.
pub(super) struct Entry {
    pub(super) lane: Lane,
    pub(super) last: Position,
    pub(super) originals: Arc<Vec<Record>>,
    pub(super) received: Instant,
    /// Originals of which nothing goes anywhere, by a rule.
    pub(super) filtered: Vec<u32>,
    /// Originals that can never be delivered.
    pub(super) refused: Vec<u32>,
}

/// Which original each record of a part came from.
#[derive(Debug, Clone)]
pub(super) enum Roots {
    /// Record `i` is original `i`, all of them.
    Same,
    /// The originals' indices, in the order of the records.
    Listed(Arc<[u32]>),
}

/// Originals that are marked: a bit each, made when there is one.
#[derive(Debug, Default)]
struct Marked(Vec<u64>);

/// A record that can never be delivered, as the source gave it, with why.
pub(super) struct Condemned {
    /// Its index in the source's batch.
    pub(super) root: u32,
    /// Which of the bridge's sinks refused it; `None`: none got it.
    pub(super) sink: Option<u16>,
    pub(super) record: Record,
    pub(super) failure: Failure,
}

/// What an outcome asks for.
pub(super) enum Consequence {
    /// Nothing, or it was of an older epoch.
    Nothing,
    /// These records of that batch can never be delivered.
    Refused(Lane, Sequence, Vec<Condemned>),
    /// The lane cannot go on: a record may be deliverable later, but not by this incarnation.
    Stop(Error),
    /// The bridge must not go on by itself: a record has nowhere to go.
    Halt(Arc<str>),
}

impl InFlight {
    pub(super) fn new(
        epoch: Epoch,
        limits: BridgeLimits,
        share: Arc<Share>,
        outcomes: OutcomeSender,
        progress: Arc<Progress>,
        observer: Arc<dyn TaskObserver>,
    ) -> Self {
        let (lanes, ended) = (HashMap::new(), HashSet::new());
        Self { epoch, limits, lanes, ended, records: 0, bytes: 0, share, refused: None, outcomes, progress, observer }
    }

    /// How much may be polled; `None` when there is no credit (I4). The bytes are set aside in the process's budget until
    /// the next call of this, of [`enter`](Self::enter) or of [`rest`](Self::rest).
    pub(super) fn room(&mut self) -> Option<Limits> {
        self.refused = None;
        let records = self.limits.in_flight_records.saturating_sub(self.records).min(self.limits.batch_records);
        let bytes = self.limits.in_flight_bytes.saturating_sub(self.bytes).min(self.limits.batch_bytes);
        if records == 0 || bytes == 0 {
            self.share.rest();
            return None; // I4
        }
        match self.share.reserve(bytes) {
            Ok(bytes) => Some(Limits { records, bytes }),
            Err(refused) => {
                self.refused = Some(refused);
                None // I4
            }
        }
    }

    /// There is no poll for now: what was set aside for one is for others.
    pub(super) fn rest(&mut self) {
        self.refused = None;
        self.share.rest();
    }

    /// Returns when it is worth asking for [`room`](Self::room) again although nothing of this task was settled: other
    /// tasks gave back bytes that it was refused. Never, if its own credit is what is used up.
    pub(super) fn freed(&self) -> impl Future<Output = ()> + Send + use<> {
        let refused = self.refused.clone();
        async move {
            match refused {
                Some(refused) => refused.freed().await,
                None => std::future::pending().await,
            }
        }
    }

    /// Whether everything that came in is committed.
    pub(super) fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// Records that are not committed yet.
    pub(super) const fn in_flight(&self) -> usize {
        self.records
    }

    /// Since when the batch is in flight that waits for longest.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.lanes.values().filter_map(|ledger| Some(ledger.oldest()?.received)).min()
    }

    /// Enters a batch. It is not settled before [`routed`](Self::routed) is called for it.
    pub(super) fn enter(&mut self, entry: Entry) -> Sequence {
        let records = entry.originals.len();
        let bytes: usize = entry.originals.iter().map(Record::size).sum();
        self.records += records;
        self.bytes += bytes;
        self.share.take(bytes);
        self.observer.received(records, bytes);
        let (records, bytes) = (records as u64, bytes as u64);
        self.progress.count(|counts| {
            counts.records_in += records;
            counts.bytes_in += bytes;
            counts.in_flight += records;
            counts.in_flight_bytes += bytes;
            counts.batches += 1;
        });
        let mut refused = Marked::default();
        for root in &entry.refused {
            refused.mark(*root);
        }
        let staying = entry.filtered.iter().chain(&entry.refused);
        let bytes_out = bytes - staying.map(|root| size_of_record(&entry.originals, *root)).sum::<u64>();
        let held = Held {
            bytes_out,
            originals: entry.originals,
            roots: Vec::new(),
            refused,
            received: entry.received,
            records,
            bytes,
            filtered: entry.filtered.len() as u64,
            dropped: 0,
            dead_lettered: ByStage::default(),
            rejected: ByStage::default(),
        };
        let (epoch, outcomes) = (self.epoch, &self.outcomes);
        let ledger = self.lanes.entry(entry.lane).or_insert_with(|| Ledger::new(entry.lane, epoch, outcomes.clone()));
        ledger.open(entry.last, held)
    }

    /// The right to say what became of that many records of the batch, of that sink. `None` when there are none.
    pub(super) fn part(
        &mut self,
        lane: Lane,
        sequence: Sequence,
        sink: u16,
        records: usize,
        roots: Roots,
    ) -> Option<Receipt> {
        let ledger = self.lanes.get_mut(&lane)?;
        if let Roots::Listed(_) = roots {
            let own = &mut ledger.held(sequence)?.roots;
            own.resize(usize::from(sink), Roots::Same);
            own.push(roots);
        }
        receipt(ledger, sequence, Outlet::Sink(sink), records)
    }

    /// Every record of the batch has a part now, or needs none. Counts the batch if nothing of it is open.
    pub(super) fn routed(&mut self, lane: Lane, sequence: Sequence) {
        let Some(ledger) = self.lanes.get_mut(&lane) else { return };
        if ledger.routed(sequence)
            && let Some(held) = ledger.held(sequence)
        {
            Self::count_settled(&self.progress, &*self.observer, &self.share, held);
        }
    }

    /// Takes in what became of a part.
    pub(super) fn take(&mut self, outcome: Outcome) -> Consequence {
        let lane = outcome.lane;
        let Some(ledger) = self.lanes.get_mut(&lane) else { return Consequence::Nothing };
        let Some((sequence, held)) = ledger.find(&outcome) else { return Consequence::Nothing }; // I3
        if let Some(end) = reason_to_end(&outcome) {
            return end;
        }
        let refuse = |failure| held.refuse(outcome.outlet, failure);
        let condemned: Vec<_> = outcome.failures.into_iter().filter_map(refuse).collect();
        if !condemned.is_empty() {
            // The sink's part stays open until they are dealt with.
            return Consequence::Refused(lane, sequence, condemned);
        }
        self.part_done(lane, sequence);
        Consequence::Nothing
    }

    /// These records of the batch will be dead letters: counts them, and returns the receipt for them.
    pub(super) fn condemn(&mut self, lane: Lane, sequence: Sequence, condemned: &[Condemned]) -> Option<Receipt> {
        let held = self.held(lane, sequence)?;
        condemned.iter().for_each(|record| held.dead_lettered.add(record.failure.stage, 1));
        receipt(self.lanes.get_mut(&lane)?, sequence, Outlet::DeadLetter, condemned.len())
    }

    /// So many refused records of the batch are dropped, by the rule that tolerates them.
    pub(super) fn drop_refused(&mut self, lane: Lane, sequence: Sequence, records: usize) {
        if let Some(held) = self.held(lane, sequence) {
            held.filtered += records as u64;
            held.dropped += records as u64;
        }
    }

    /// Where the batch ends at its source, and how many records it has.
    pub(super) fn last_of(&mut self, lane: Lane, sequence: Sequence) -> Option<(Position, u32)> {
        let records = self.held(lane, sequence)?.records;
        let last = self.lanes.get(&lane)?.position(sequence)?.clone();
        Some((last, u32::try_from(records).ok()?))
    }

    /// One record of the batch, refused at that stage, was handed to the source's own dead letter.
    pub(super) fn rejected(&mut self, lane: Lane, sequence: Sequence, stage: &'static str) {
        if let Some(held) = self.held(lane, sequence) {
            held.rejected.add(stage, 1);
        }
    }

    fn held(&mut self, lane: Lane, sequence: Sequence) -> Option<&mut Held> {
        self.lanes.get_mut(&lane)?.held(sequence)
    }

    /// One part is dealt with. Counts the batch when it was the last.
    pub(super) fn part_done(&mut self, lane: Lane, sequence: Sequence) {
        let Some(ledger) = self.lanes.get_mut(&lane) else { return };
        if ledger.settle(sequence)
            && let Some(held) = ledger.held(sequence)
        {
            Self::count_settled(&self.progress, &*self.observer, &self.share, held);
        }
    }

    fn count_settled(progress: &Progress, observer: &dyn TaskObserver, share: &Share, held: &mut Held) {
        observer.settled(held.received.elapsed());
        held.originals = Arc::default(); // the memory goes now, not when the batches before it are settled
        share.give_back(held.bytes as usize);
        let (records, bytes, bytes_out) = (held.records, held.bytes, held.bytes_out);
        let mut dead_letters = std::mem::take(&mut held.dead_lettered);
        dead_letters.add_all(&held.rejected);
        progress.settled(&dead_letters, |counts| {
            counts.records_out += records - held.filtered - dead_letters.total(); // I6
            counts.filtered += held.filtered;
            counts.dropped += held.dropped;
            counts.bytes_out += bytes_out;
            counts.in_flight -= records;
            counts.in_flight_bytes -= bytes;
        });
    }

    /// The lane gives no more. It is forgotten when nothing of it is in flight.
    pub(super) fn end_lane(&mut self, lane: Lane) {
        self.ended.insert(lane);
        self.forget_if_empty(lane);
    }

    fn forget_if_empty(&mut self, lane: Lane) {
        if self.lanes.get(&lane).is_none_or(Ledger::is_empty) {
            self.lanes.remove(&lane);
            self.ended.remove(&lane);
        }
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
        for (lane, _) in &commits {
            if self.ended.contains(lane) {
                self.forget_if_empty(*lane);
            }
        }
        if !commits.is_empty() {
            self.progress.count(|counts| counts.commits += commits.len() as u64);
        }
        commits
    }
}

impl Drop for InFlight {
    /// The incarnation ends, by a panic too: what is not settled goes back to its source, and is counted as returned. But
    /// for what was rejected there: that does not come again.
    fn drop(&mut self) {
        self.share.rest();
        for (held, settled) in self.lanes.drain().flat_map(|(_, ledger)| ledger.into_unfinished()) {
            if !settled {
                self.share.give_back(held.bytes as usize);
                self.progress.returned(&held.rejected, |counts| {
                    counts.returned += held.records - held.rejected.total();
                    counts.in_flight -= held.records;
                    counts.in_flight_bytes -= held.bytes;
                });
            }
        }
    }
}

// === impl Held ===

impl Held {
    /// The record that a failure speaks of, as the source gave it. `None` when it was refused before: it is counted once, however
    /// many sinks refuse what became of it (I6).
    fn refuse(&mut self, outlet: Outlet, (index, failure): (u32, Failure)) -> Option<Condemned> {
        let Outlet::Sink(sink) = outlet else { return None };
        let root = match self.roots.get(usize::from(sink)) {
            Some(Roots::Listed(roots)) => *roots.get(index as usize)?,
            Some(Roots::Same) | None => index,
        };
        let record = self.originals.get(root as usize)?.clone();
        if !self.refused.mark(root) {
            return None;
        }
        self.bytes_out -= record.size() as u64;
        Some(Condemned { root, sink: Some(sink), record, failure })
    }
}

// === impl Roots ===

impl Roots {
    /// Of records that know their root.
    pub(super) fn of(records: &[Record]) -> Self {
        Self::Listed(records.iter().map(|record| record.root).collect())
    }
}

// === impl Marked ===

impl Marked {
    /// Marks it. Whether it was not marked before.
    fn mark(&mut self, index: u32) -> bool {
        let (word, bit) = ((index / 64) as usize, 1 << (index % 64));
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        let fresh = self.0[word] & bit == 0;
        self.0[word] |= bit;
        fresh
    }
}

fn receipt(ledger: &mut Ledger<Held>, sequence: Sequence, outlet: Outlet, records: usize) -> Option<Receipt> {
    let records = u32::try_from(records).ok().filter(|records| *records > 0)?;
    ledger.part(sequence, outlet, records)
}

fn size_of_record(originals: &[Record], root: u32) -> u64 {
    originals.get(root as usize).map_or(0, Record::size) as u64
}

/// Whether this incarnation cannot go on after such an outcome.
fn reason_to_end(outcome: &Outcome) -> Option<Consequence> {
    let retriable = outcome.failures.iter().find(|(_, failure)| failure.kind != FailureKind::Rejected);
    if let Some((_, failure)) = retriable {
        let reason = match outcome.outlet {
            Outlet::Sink(_) => failure.reason.to_string(),
            Outlet::DeadLetter => format!("the dead letter cannot be written: {}", failure.reason),
        };
        return Some(Consequence::Stop(Error::new(failure.cause, reason)));
    }
    if outcome.abandoned > 0 {
        let reason = format!("the sink dropped {} records without an answer", outcome.abandoned);
        return Some(Consequence::Stop(Error::disconnected(reason)));
    }
    // A refused dead letter has nowhere to go, and trying again would only burn deliveries of the record.
    let (_, failure) = outcome.failures.first().filter(|_| outcome.outlet == Outlet::DeadLetter)?;
    Some(Consequence::Halt(
        format!("the dead letter refuses a record as well, and it stays at its source: {}", failure.reason).into(),
    ))
}
