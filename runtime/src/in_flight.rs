//! What a task has in flight: a ledger a lane, credit, and the counts that people see.
//!
//! # Contract
//! - A batch is entered before its records leave for the sink, and leaves when all of them are settled and everything
//!   before it too (I1, I2).
//! - What is entered never exceeds credit (I4): the task's own, and its part in the process's [`budget`](super::budget).
//!   [`InFlight::room`] says how much may be polled. Only the last record of a poll may overrun the bytes, because nobody
//!   knows its size before it is there.
//! - Every record that came in is in exactly one count (I6): in flight, out, filtered, dead-lettered or returned.
//! - Of a transactional task nothing is settled before its transaction is committed: what ends before that is returned.
//! - Dead letters of a lane are in the order in which its source gave the records (I5).
//! - Whoever waits for what becomes of a record is told when the whole batch is settled, and only then.

mod entry;
mod held;
mod roots;
mod waiting;
mod withheld;

use std::{collections::HashMap, sync::Arc};

use gantry_sdk::{
    Checkpoint, Epoch, Error, FailureKind, Lane, Ledger, Limits, Position, Receipt,
    ledger::Sequence,
    receipt::{Outcome, OutcomeSender, Outlet},
};
use tokio::time::Instant;

use crate::{
    budget::{Refused, Share},
    definition::BridgeLimits,
    observer::TaskObserver,
    status::Progress,
};

use self::held::Held;
pub(super) use self::{
    entry::{Condemned, Entry},
    roots::Roots,
};

/// What is in flight, by lane.
pub(super) struct InFlight {
    epoch: Epoch,
    limits: BridgeLimits,
    lanes: HashMap<Lane, LaneInFlight>,
    /// Nothing is settled before a transaction is committed.
    transactional: bool,
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

/// One lane's part.
struct LaneInFlight {
    /// Its name over restarts.
    key: Arc<str>,
    ledger: Ledger<Held>,
    /// Batches with refused records that wait for their turn to be dead letters.
    withheld: usize,
    /// It gives no more.
    ended: bool,
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
        transactional: bool,
        share: Arc<Share>,
        outcomes: OutcomeSender,
        progress: Arc<Progress>,
        observer: Arc<dyn TaskObserver>,
    ) -> Self {
        let (lanes, records, bytes) = (HashMap::new(), 0, 0);
        Self { epoch, limits, lanes, transactional, records, bytes, share, refused: None, outcomes, progress, observer }
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

    /// Whether its own credit is used up, or the budget had no room for it.
    pub(super) fn is_full(&self) -> bool {
        self.refused.is_some()
            || self.records >= self.limits.in_flight_records
            || self.bytes >= self.limits.in_flight_bytes
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
        self.lanes.values().filter_map(|lane| Some(lane.ledger.oldest()?.received)).min()
    }

    /// Enters a batch. It is not settled before [`routed`](Self::routed) is called for it. `key` tells the name of a lane that is new.
    /// Returns also what its parts carry.
    pub(super) fn enter(&mut self, entry: Entry, key: impl FnOnce() -> Arc<str>) -> (Sequence, Checkpoint) {
        let held = Held::new(&entry);
        let (records, bytes) = (held.records, held.bytes);
        self.records += records as usize;
        self.bytes += bytes as usize;
        self.share.take(bytes as usize);
        self.observer.received(records as usize, bytes as usize);
        self.progress.count(|counts| {
            counts.records_in += records;
            counts.bytes_in += bytes;
            counts.in_flight += records;
            counts.in_flight_bytes += bytes;
            counts.batches += 1;
        });
        let held = held.awaited_by(entry.answers, entry.filtered);
        let (epoch, outcomes) = (self.epoch, &self.outcomes);
        let lane = self.lanes.entry(entry.lane).or_insert_with(|| LaneInFlight {
            key: key(),
            ledger: Ledger::new(entry.lane, epoch, outcomes.clone()),
            withheld: 0,
            ended: false,
        });
        let checkpoint = Checkpoint { lane_key: lane.key.clone(), position: entry.last.clone() };
        (lane.ledger.open(entry.last, held), checkpoint)
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
        let ledger = &mut self.lanes.get_mut(&lane)?.ledger;
        let receipt = receipt(ledger, sequence, Outlet::Sink(sink), records)?;
        ledger.held(sequence)?.goes_to(sink, roots);
        Some(receipt)
    }

    /// Every record of the batch has a part now, or needs none. Counts the batch if nothing of it is open.
    pub(super) fn routed(&mut self, lane: Lane, sequence: Sequence) {
        let Some(LaneInFlight { ledger, .. }) = self.lanes.get_mut(&lane) else { return };
        if ledger.routed(sequence)
            && !self.transactional
            && let Some(held) = ledger.held(sequence)
        {
            Self::count_settled(&self.progress, &*self.observer, &self.share, held);
        }
    }

    /// Takes in what became of a part.
    pub(super) fn take(&mut self, outcome: Outcome) -> Consequence {
        let lane = outcome.lane;
        let Some(LaneInFlight { ledger, .. }) = self.lanes.get_mut(&lane) else { return Consequence::Nothing };
        let Some((sequence, held)) = ledger.find(&outcome) else { return Consequence::Nothing }; // I3
        if let Some(end) = reason_to_end(&outcome) {
            return end;
        }
        held.part_answered(outcome.outlet);
        held.answered(outcome.outlet, outcome.answers);
        let refuse = |failure| held.refuse(outcome.outlet, failure);
        let condemned: Vec<_> = outcome.failures.into_iter().filter_map(refuse).collect();
        if !condemned.is_empty() {
            // The sink's part stays open until they are dealt with.
            return Consequence::Refused(lane, sequence, condemned);
        }
        self.part_done(lane, sequence);
        Consequence::Nothing
    }

    /// Whoever waits for these records of the batch will be told that they were refused, once they are dealt with.
    pub(super) fn note_refused(&mut self, lane: Lane, sequence: Sequence, condemned: &[Condemned]) {
        if let Some(held) = self.held(lane, sequence) {
            held.note_refused(condemned);
        }
    }

    /// These records of the batch will be dead letters: counts them, and returns the receipt for them.
    pub(super) fn condemn(&mut self, lane: Lane, sequence: Sequence, condemned: &[Condemned]) -> Option<Receipt> {
        let held = self.held(lane, sequence)?;
        condemned.iter().for_each(|record| held.dead_lettered.add(record.failure.stage, 1));
        receipt(&mut self.lanes.get_mut(&lane)?.ledger, sequence, Outlet::DeadLetter, condemned.len())
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
        let last = self.lanes.get(&lane)?.ledger.position(sequence)?.clone();
        Some((last, u32::try_from(records).ok()?))
    }

    /// One record of the batch, refused at that stage, was handed to the source's own dead letter.
    pub(super) fn rejected(&mut self, lane: Lane, sequence: Sequence, stage: &'static str) {
        if let Some(held) = self.held(lane, sequence) {
            held.rejected.add(stage, 1);
        }
    }

    fn held(&mut self, lane: Lane, sequence: Sequence) -> Option<&mut Held> {
        self.lanes.get_mut(&lane)?.ledger.held(sequence)
    }

    /// One part is dealt with. Counts the batch when it was the last.
    pub(super) fn part_done(&mut self, lane: Lane, sequence: Sequence) {
        let Some(LaneInFlight { ledger, .. }) = self.lanes.get_mut(&lane) else { return };
        if ledger.settle(sequence)
            && !self.transactional
            && let Some(held) = ledger.held(sequence)
        {
            Self::count_settled(&self.progress, &*self.observer, &self.share, held);
        }
    }

    fn count_settled(progress: &Progress, observer: &dyn TaskObserver, share: &Share, held: &mut Held) {
        observer.settled(held.received.elapsed());
        held.originals = Arc::default(); // the memory goes now, not when the batches before it are settled
        held.tell();
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
        if let Some(own) = self.lanes.get_mut(&lane) {
            own.ended = true;
        }
        self.lanes.retain(|_, lane| !lane.is_over());
    }

    /// Whether every record has its place in the transaction, or needs none: what came in can be committed.
    pub(super) fn is_settled(&self) -> bool {
        self.lanes.values().all(|lane| lane.ledger.is_settled())
    }

    /// Up to where each lane is settled once [everything](Self::is_settled) is committed. A lane that ended and the one that goes on
    /// for it have the same name, and are never in one transaction.
    pub(super) fn checkpoints(&self) -> Vec<Checkpoint> {
        let checkpoint = |lane: &LaneInFlight| {
            let position = lane.ledger.last_position()?.clone();
            Some(Checkpoint { lane_key: lane.key.clone(), position })
        };
        self.lanes.values().filter_map(checkpoint).collect()
    }

    /// What can be committed now: at most one position a lane, the highest up to which everything is settled (I1).
    pub(super) fn commits(&mut self) -> Vec<(Lane, Position)> {
        let mut commits = Vec::new();
        for (lane, own) in &mut self.lanes {
            let (records, bytes) = (&mut self.records, &mut self.bytes);
            let upto = own.ledger.advance(|mut held| {
                *records -= held.records as usize;
                *bytes -= held.bytes as usize;
                if self.transactional {
                    Self::count_settled(&self.progress, &*self.observer, &self.share, &mut held);
                }
            });
            commits.extend(upto.map(|position| (*lane, position)));
        }
        if !commits.is_empty() {
            self.progress.count(|counts| counts.commits += commits.len() as u64);
            if self.lanes.values().any(LaneInFlight::is_over) {
                self.lanes.retain(|_, lane| !lane.is_over());
            }
        }
        commits
    }
}

impl Drop for InFlight {
    /// The incarnation ends, by a panic too: what is not settled goes back to its source, and is counted as returned. But
    /// for what was rejected there: that does not come again.
    fn drop(&mut self) {
        self.share.rest();
        for (held, settled) in self.lanes.drain().flat_map(|(_, lane)| lane.ledger.into_unfinished()) {
            if !settled || self.transactional {
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

// === impl LaneInFlight ===

impl LaneInFlight {
    fn is_over(&self) -> bool {
        self.ended && self.ledger.is_empty()
    }
}

fn receipt(ledger: &mut Ledger<Held>, sequence: Sequence, outlet: Outlet, records: usize) -> Option<Receipt> {
    let records = u32::try_from(records).ok().filter(|records| *records > 0)?;
    let wants_answers = matches!(outlet, Outlet::Sink(_)) && ledger.held(sequence)?.is_awaited();
    ledger.part(sequence, outlet, records, wants_answers)
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
