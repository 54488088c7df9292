//! Which records are with librdkafka, and what its delivery reports mean for their receipts.
//!
//! Every batch has a slot; a record's opaque is its slot and its index, two numbers in one word, so nothing is allocated
//! for a record. A slot settles its receipt once, when the last of its records is accounted for. Reports come on the
//! poll thread.
//!
//! # Phases
//! ```text
//! Running ──a batch is refused──▶ Recovering ──all sent again──▶ Running
//!    └───────────────┬──────────────────┘
//!                    ▼ a record is given up, or nothing can ever work
//!                 Stopped ──▶ Closed
//! ```
//! Within transactions there is no `Recovering`: a refused batch stops the sink. With a producer that is shared it begins for all of its
//! sinks at once, whichever of them has the trouble ([`Delivery::halt`]).
//!
//! Outside `Running` nothing new is sent, and what librdkafka still holds is taken back, so that no later record
//! overtakes one that failed (I5). `Recovering` keeps what it takes back, to send it again in order; `Stopped` fails it. What is
//! reported delivered all the same, behind one of its partition that came back, counts as taken back, too.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use gantry_sdk::{Batch, ErrorKind, Failure, FailureKind, Health, Record, health::Condition};
use rdkafka::types::RDKafkaErrorCode;
use tokio::sync::Notify;

mod table;

pub(super) use table::{Held, Refusal, Token};
use table::{Phase, Slot, Table};

use super::{STAGE, transaction_state::TransactionState};
use crate::error::{self, Meaning};

/// How much is taken back from librdkafka.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// What it has not sent. Waits until librdkafka's threads have done it, so that it takes nothing that is sent later;
    /// only the poll thread may wait so.
    Queued,
    /// That, and what it has sent but has no answer to. Does not wait.
    Everything,
}

/// What becomes of a record that was not delivered.
#[derive(Debug)]
enum Verdict {
    /// Nobody waits for it any more.
    None,
    /// It is to be sent again.
    Held(Option<Refusal>),
    Failed(Failure),
}

/// Takes records back from librdkafka; each comes back by a report.
type Purge = Box<dyn Fn(Reach) + Send + Sync>;

/// What is in flight; shared by the sink, its poll thread and librdkafka's callbacks.
pub(super) struct Delivery {
    table: Mutex<Table>,
    /// Nothing new may be sent. Read for every record, so it is not in the table.
    halted: AtomicBool,
    /// Held by whoever sends. Taken before the table, never while holding it.
    gate: Mutex<()>,
    /// Somebody waits for room in librdkafka's queue.
    starving: AtomicBool,
    /// Something changed that somebody may wait for.
    moved: Notify,
    purge: OnceLock<Purge>,
    health: Health,
    /// The topic that must be there, when it is always the same.
    topic: Option<Arc<str>>,
    /// Records ask for certain partitions, so that one may ask for a partition that never was.
    placed: bool,
    /// Of a sink that writes transactions.
    transaction: Option<Arc<TransactionState>>,
    /// How long a record may be retried.
    timeout: Option<Duration>,
    /// Records that librdkafka has. One more, for a moment, while it is given one.
    in_flight: AtomicUsize,
    /// Health is watched: opening is over.
    watching: AtomicBool,
    pace: Mutex<Pace>,
}

/// When something was confirmed last.
#[derive(Debug)]
struct Pace {
    reports: u64,
    since: Instant,
}

// === impl Delivery ===

impl Delivery {
    pub(super) fn new(health: Health, topic: Option<Arc<str>>, placed: bool) -> Self {
        Self {
            table: Mutex::default(),
            halted: AtomicBool::new(false),
            gate: Mutex::new(()),
            starving: AtomicBool::new(false),
            moved: Notify::new(),
            purge: OnceLock::new(),
            health,
            topic,
            placed,
            transaction: None,
            timeout: None,
            in_flight: AtomicUsize::new(0),
            watching: AtomicBool::new(false),
            pace: Mutex::new(Pace { reports: 0, since: Instant::now() }),
        }
    }

    /// The same, for records that are retried so long.
    pub(super) fn retried_for(self, timeout: Option<Duration>) -> Self {
        Self { timeout, ..self }
    }

    /// The same within transactions: one record that is not delivered ends the sink, and nothing is sent again.
    pub(super) fn within(self, transaction: Option<Arc<TransactionState>>) -> Self {
        Self { transaction, ..self }
    }

    /// What is known of the transaction, in a sink that writes them.
    pub(super) const fn transaction(&self) -> Option<&Arc<TransactionState>> {
        self.transaction.as_ref()
    }

    /// How to take records back; told once, when there is a producer.
    pub(super) fn attach(&self, purge: impl Fn(Reach) + Send + Sync + 'static) {
        let _ = self.purge.set(Box::new(purge));
    }

    /// Enters a batch. Every record of it must be accounted for, by a report or by [`Delivery::refuse`].
    pub(super) fn open(&self, batch: &Batch) -> u32 {
        self.lock().open(batch)
    }

    /// A record is about to be given to librdkafka. It is so before its report can come.
    pub(super) fn sending(&self) {
        self.in_flight.fetch_add(1, Ordering::SeqCst);
    }

    /// It did not take it.
    pub(super) fn not_sent(&self) {
        let _ = self.in_flight.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |count| count.checked_sub(1));
    }

    /// How many records librdkafka has.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::SeqCst)
    }

    /// A report: the broker has it, at that topic, partition and offset. One that overtook another of its partition which came
    /// back counts as taken back, too: it is written again behind what it overtook (I5).
    pub(super) fn delivered<'a>(&self, token: Token, place: impl Fn() -> (&'a str, i32, i64)) {
        self.not_sent();
        let mut table = self.lock();
        table.reports += 1;
        if !table.first_back.is_empty() {
            let (topic, partition, _) = place();
            if table.has_overtaken(token, (topic, partition)) {
                return match &table.phase {
                    Phase::Stopped(failure) => {
                        let failure = failure.clone();
                        self.fail(table, token, failure);
                    }
                    Phase::Running | Phase::Recovering => self.hold(table, token, None),
                    Phase::Closed => {}
                };
            }
        }
        let done = table.account(token, |slot, index| slot.deliver(index, place));
        self.after(table, done);
    }

    /// A report: it was not delivered to that place.
    pub(super) fn failed(&self, token: Token, code: RDKafkaErrorCode, place: (&str, i32)) {
        self.not_sent();
        let mut table = self.lock();
        table.reports += 1;
        match self.judge(&mut table, code, place) {
            Verdict::None => {}
            Verdict::Held(refusal) => {
                table.came_back(token, place);
                self.hold(table, token, refusal);
            }
            Verdict::Failed(failure) => {
                if failure.kind == FailureKind::Retriable {
                    table.came_back(token, place);
                }
                self.fail(table, token, failure);
            }
        }
    }

    /// What it means that a record was not delivered.
    fn judge(&self, table: &mut Table, code: RDKafkaErrorCode, (topic, _): (&str, i32)) -> Verdict {
        let meaning = error::meaning(code);
        let running = match &table.phase {
            Phase::Closed => return Verdict::None,
            Phase::Stopped(failure) => Err(failure.clone()),
            Phase::Running | Phase::Recovering => Ok(()),
        };
        if let Some(transaction) = &self.transaction {
            return Verdict::Failed(running.err().unwrap_or_else(|| transaction.failure(code, topic)));
        }
        if meaning == Meaning::Rejected {
            return Verdict::Failed(Failure::rejected(STAGE, error::reason(code, topic)));
        }
        if let Err(failure) = running {
            return Verdict::Failed(failure);
        }
        match meaning {
            Meaning::BadBatch => Verdict::Held(Some(Refusal::new(code, topic))),
            // Sent again alone it turns out which of the two it is.
            Meaning::NoPartition if self.placed => Verdict::Held(Some(Refusal::new(code, topic))),
            Meaning::Purged => Verdict::Held(None),
            Meaning::NoTopic | Meaning::NoPartition => {
                let gone = meaning == Meaning::NoPartition;
                let reason = if gone { error::vanished_topic(topic) } else { error::missing_topic(topic) };
                if self.topic.as_deref() == Some(topic) {
                    return Verdict::Failed(Failure::retriable(STAGE, reason));
                }
                table.vanished.push(topic.to_owned());
                Verdict::Failed(Failure::rejected(STAGE, reason))
            }
            // A topic may be looked up by who may not write to it: opening again would not find out.
            Meaning::Denied => {
                let failure = Failure::retriable(STAGE, error::reason(code, topic)).because(ErrorKind::Refused);
                Verdict::Failed(failure)
            }
            Meaning::Rejected | Meaning::GivenUp => {
                Verdict::Failed(Failure::retriable(STAGE, error::reason(code, topic)))
            }
        }
    }

    /// A record that never got to librdkafka, or that is known to be the one that the broker refuses. One that may be
    /// delivered later stops the sink: nothing behind it may overtake it (I5).
    pub(super) fn refuse(&self, token: Token, failure: Failure) {
        self.fail(self.lock(), token, failure);
    }

    /// The last `count` records of a batch are let go of without a word.
    pub(super) fn abandon(&self, slot: u32, count: u32) {
        let mut table = self.lock();
        let done = table.settle(slot, count, |_| {});
        self.after(table, done);
    }

    /// This instance gives up: nothing more is sent, what is with librdkafka is taken back and fails (I5).
    pub(super) fn stop(&self, failure: Failure) {
        let mut table = self.lock();
        if matches!(table.phase, Phase::Stopped(_) | Phase::Closed) {
            return;
        }
        self.halted.store(true, Ordering::SeqCst);
        table.phase = Phase::Stopped(failure.clone());
        let held = std::mem::take(&mut table.held);
        drop(table);
        self.health.set(Condition::Failed(failure.cause, Arc::clone(&failure.reason)));
        if self.in_flight() > 0 {
            self.take_back(Reach::Everything);
        }
        for held in held {
            self.refuse(held.token, failure.clone());
        }
        self.moved.notify_waiters();
    }

    /// Lets go of everything; what is not settled counts as abandoned. Reports that come later change nothing.
    pub(super) fn close(&self) {
        let mut table = self.lock();
        self.halted.store(true, Ordering::SeqCst);
        table.phase = Phase::Closed;
        table.held.clear();
        let slots = table.clear();
        drop(table);
        slots.iter().for_each(Slot::tell);
        drop(slots);
        // Whoever is sending sees the halt and stops: what is in flight now is all there will be.
        self.wait_for_sender();
        // An abort takes the rest of its transaction back by itself, and better.
        if self.transaction.is_none() && self.in_flight() > 0 {
            self.take_back(Reach::Everything);
        }
        self.moved.notify_waiters();
    }

    /// The right to send, if nobody has it. It is to be given back as soon as [`Delivery::is_halted`].
    pub(super) fn try_gate(&self) -> Option<MutexGuard<'_, ()>> {
        match self.gate.try_lock() {
            Ok(gate) => Some(gate),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Waits until nobody sends who has not seen a halt.
    pub(super) fn wait_for_sender(&self) {
        drop(self.gate());
    }

    /// The right to send; waits for who has it.
    pub(super) fn gate(&self) -> MutexGuard<'_, ()> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nothing new may be sent.
    pub(super) fn is_halted(&self) -> bool {
        self.halted.load(Ordering::SeqCst)
    }

    /// Why it gave up, if it did.
    pub(super) fn stopped(&self) -> Option<Failure> {
        match &self.lock().phase {
            Phase::Stopped(failure) => Some(failure.clone()),
            _ => None,
        }
    }

    pub(super) fn is_recovering(&self) -> bool {
        matches!(self.lock().phase, Phase::Recovering)
    }

    /// The producer that is shared breaks up: nothing new is sent, and what comes back is kept.
    pub(super) fn halt(&self) {
        let mut table = self.lock();
        if matches!(table.phase, Phase::Running) {
            table.phase = Phase::Recovering;
        }
        self.halted.store(true, Ordering::SeqCst);
    }

    /// Opening is over: from now on health is watched.
    pub(super) fn watch(&self) {
        self.restart_pace();
        self.watching.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_watched(&self) -> bool {
        self.watching.load(Ordering::Relaxed)
    }

    pub(super) const fn health(&self) -> &Health {
        &self.health
    }

    /// The topic that must be there, when it is always the same.
    pub(super) const fn topic(&self) -> Option<&Arc<str>> {
        self.topic.as_ref()
    }

    /// Whether records wait and none was confirmed for so long.
    pub(super) fn is_stalled(&self, limit: Duration) -> bool {
        let (reports, waiting) = self.progress();
        let mut pace = self.pace();
        if reports != pace.reports || !waiting {
            *pace = Pace { reports, since: Instant::now() };
        }
        pace.since.elapsed() >= limit
    }

    /// What was is no stall: without a connection nothing can be confirmed.
    pub(super) fn restart_pace(&self) {
        self.pace().since = Instant::now();
    }

    /// Why records that were taken back are given up, when they have been retried for long enough: librdkafka counts anew each time
    /// it is given them.
    pub(super) fn overdue(&self) -> Option<Failure> {
        let timeout = self.timeout?;
        let since = self.lock().oldest_taken_back()?;
        let topic = self.topic.as_deref().unwrap_or("of the record");
        (since.elapsed() >= timeout)
            .then(|| Failure::retriable(STAGE, error::reason(RDKafkaErrorCode::MessageTimedOut, topic)))
    }

    /// Whether every record has its outcome.
    pub(super) fn is_empty(&self) -> bool {
        self.lock().open_batches() == 0
    }

    /// Reports so far, and whether any batch is still open.
    pub(super) fn progress(&self) -> (u64, bool) {
        let table = self.lock();
        (table.reports, table.open_batches() > 0)
    }

    /// To wait for a change; made before looking at what may change.
    pub(super) fn moved(&self) -> tokio::sync::futures::Notified<'_> {
        self.moved.notified()
    }

    /// The next report is to wake those who wait, because librdkafka's queue is full.
    pub(super) fn starve(&self) {
        self.starving.store(true, Ordering::Relaxed);
    }

    /// Topics that are gone since the last call.
    pub(super) fn take_vanished(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().vanished)
    }

    /// The records of a token's batch.
    pub(super) fn records(&self, token: Token) -> Option<Arc<Vec<Record>>> {
        self.lock().records(token)
    }

    /// What was taken back since the last call, in the order in which it was given to the sink.
    pub(super) fn take_held(&self) -> Vec<Held> {
        let mut table = self.lock();
        table.first_back.clear();
        let mut held = std::mem::take(&mut table.held);
        drop(table);
        held.sort_unstable_by_key(|held| (held.sequence, held.token.index()));
        held
    }

    /// Whether the broker refused a batch since [`Delivery::take_held`].
    pub(super) fn was_refused(&self) -> bool {
        self.lock().held.iter().any(|held| held.refusal.is_some())
    }

    /// Takes records back; each comes back by a report.
    pub(super) fn take_back(&self, reach: Reach) {
        if let Some(purge) = self.purge.get() {
            purge(reach);
        }
    }

    /// These could not be sent again: they are held as before, or fail with a sink that has given up.
    pub(super) fn hold_again(&self, tokens: impl IntoIterator<Item = Token>) {
        let mut table = self.lock();
        if let Phase::Stopped(failure) = &table.phase {
            let failure = failure.clone();
            drop(table);
            tokens.into_iter().for_each(|token| self.refuse(token, failure.clone()));
            return;
        }
        for token in tokens {
            if let Some(sequence) = table.sequence_of(token) {
                table.held.push(Held { token, sequence, refusal: None });
            }
        }
    }

    /// Everything that was taken back is sent again: new records may follow.
    pub(super) fn resume(&self) {
        self.resume_if(|| true);
    }

    /// The same, unless the producer takes nothing more. That is looked at where [`Delivery::halt`] cannot come in between.
    pub(super) fn resume_if(&self, is_open: impl FnOnce() -> bool) {
        let mut table = self.lock();
        if matches!(table.phase, Phase::Recovering) && is_open() {
            table.phase = Phase::Running;
            self.halted.store(false, Ordering::SeqCst);
        }
        drop(table);
        self.moved.notify_waiters();
    }

    fn fail(&self, mut table: MutexGuard<'_, Table>, token: Token, failure: Failure) {
        let stop = (failure.kind == FailureKind::Retriable).then(|| failure.clone());
        let done = table.account(token, |slot, index| slot.receipt.fail(index, failure));
        self.after(table, done);
        if let Some(failure) = stop {
            self.stop(failure);
        }
    }

    fn hold(&self, mut table: MutexGuard<'_, Table>, token: Token, refusal: Option<Refusal>) {
        let Some(sequence) = table.sequence_of(token) else { return };
        let refused_first = refusal.is_some() && table.held.iter().all(|held| held.refusal.is_none());
        table.held.push(Held { token, sequence, refusal });
        self.halted.store(true, Ordering::SeqCst);
        let was_running = matches!(table.phase, Phase::Running);
        table.phase = Phase::Recovering;
        drop(table);
        if refused_first {
            // Whoever is sending sees the halt and stops: nothing slips in behind what is taken back. Recovery, which calls
            // this too, has the gate itself.
            let _gate = was_running.then(|| self.gate());
            self.take_back(Reach::Queued);
        }
    }

    /// Wakes who waits, and frees what is done outside the lock.
    fn after(&self, table: MutexGuard<'_, Table>, done: Option<Slot>) {
        let empty = table.open_batches() == 0;
        drop(table);
        let wanted = self.starving.load(Ordering::Relaxed) && self.starving.swap(false, Ordering::Relaxed);
        if (done.is_some() && empty) || wanted {
            self.moved.notify_waiters();
        }
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // Counts never reach zero by a panic, so a poisoned table cannot report a record as delivered that is not.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Delivery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Delivery").field("table", &self.table).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
