//! The right to say what became of each record of a batch.
//!
//! One allocation a batch, one atomic decrement a record, nothing on the heap for a record that went well. Outcomes may
//! come from any thread and in any order. If every holder drops its receipt early, what is left counts as
//! [`FailureKind::Abandoned`](crate::FailureKind::Abandoned): a sink that forgets, panics or is cancelled never acknowledges (I1, I6).

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU32, Ordering},
};

use tokio::sync::mpsc;

use crate::{
    answer::Delivered,
    failure::Failure,
    source::{Epoch, Lane},
};

/// Which way a part of a batch went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outlet {
    /// To that one of the bridge's sinks.
    Sink(u16),
    /// To its dead letter.
    DeadLetter,
}

/// What became of one part of a ledger's entry, once every record of it has an outcome.
#[derive(Debug)]
pub struct Outcome {
    /// The lane it belongs to.
    pub lane: Lane,
    /// The lane's incarnation; an outcome of an older one changes nothing (I3).
    pub epoch: Epoch,
    pub(crate) sequence: u64,
    /// Which way the part went.
    pub outlet: Outlet,
    /// The records that were not delivered, by their index in the batch. Empty when all went well.
    pub failures: Vec<(u32, Failure)>,
    /// Records without an outcome: every holder of the receipt let go of it.
    pub abandoned: u32,
    /// What was said of delivered records, by their index in the batch, when somebody waits for it.
    pub answers: Vec<(u32, Delivered)>,
}

/// Where outcomes of all lanes of a task arrive.
///
/// The channel has no bound of its own: it never holds more outcomes than there are batches in flight, which credit
/// bounds (I4), and a delivery callback on a client library's thread must never block.
pub type OutcomeSender = mpsc::UnboundedSender<Outcome>;

/// The receiving end, owned by the task.
pub type OutcomeReceiver = mpsc::UnboundedReceiver<Outcome>;

/// A channel for the outcomes of one task.
#[allow(clippy::disallowed_methods, reason = "bounded by credit, see OutcomeSender")]
pub fn outcomes() -> (OutcomeSender, OutcomeReceiver) {
    mpsc::unbounded_channel()
}

/// The right to say what became of each record of a batch. Clones share the same count.
#[derive(Debug, Clone)]
pub struct Receipt {
    slot: Arc<Slot>,
}

#[derive(Debug)]
struct Slot {
    lane: Lane,
    epoch: Epoch,
    sequence: u64,
    outlet: Outlet,
    left: AtomicU32,
    failures: Mutex<Vec<(u32, Failure)>>,
    /// `None`: nobody waits for any.
    answers: Option<Mutex<Vec<(u32, Delivered)>>>,
    done: OutcomeSender,
}

impl Receipt {
    pub(crate) fn new(
        (lane, epoch, sequence): (Lane, Epoch, u64),
        outlet: Outlet,
        records: u32,
        wants_answers: bool,
        done: OutcomeSender,
    ) -> Self {
        debug_assert!(records > 0, "a receipt for nothing would never be settled");
        let (left, failures, answers) = (AtomicU32::new(records), Mutex::default(), wants_answers.then(Mutex::default));
        let slot = Slot { lane, epoch, sequence, outlet, left, failures, answers, done };
        Self { slot: Arc::new(slot) }
    }

    /// `records` more records are durable downstream. Each record must be settled or failed exactly once.
    pub fn settle(&self, records: u32) {
        // Release publishes this thread's failures to whoever finishes; Acquire sees those of the others.
        let before = self.slot.left.fetch_sub(records, Ordering::AcqRel);
        debug_assert!(before >= records, "more outcomes than records");
        if before == records {
            self.slot.finish(0);
        }
    }

    /// The record at `index` of the batch was not delivered.
    pub fn fail(&self, index: u32, failure: Failure) {
        lock(&self.slot.failures).push((index, failure));
        self.settle(1);
    }

    /// Whether somebody waits for what is said of delivered records.
    pub fn wants_answers(&self) -> bool {
        self.slot.answers.is_some()
    }

    /// What there is to say of the record at `index`, which is settled next. Nothing happens when nobody waits for it.
    pub fn answer(&self, index: u32, answer: Delivered) {
        if let Some(answers) = &self.slot.answers {
            lock(answers).push((index, answer));
        }
    }

    /// An outcome that names the same entry, to ask a ledger whose it is.
    #[cfg(test)]
    pub(crate) fn probe(&self) -> Outcome {
        let slot = &self.slot;
        Outcome {
            lane: slot.lane,
            epoch: slot.epoch,
            sequence: slot.sequence,
            outlet: slot.outlet,
            failures: vec![],
            abandoned: 0,
            answers: vec![],
        }
    }

    /// The lane that the batch belongs to.
    pub fn lane(&self) -> Lane {
        self.slot.lane
    }

    /// Records that have no outcome yet.
    pub fn unsettled(&self) -> u32 {
        self.slot.left.load(Ordering::Acquire)
    }
}

// === impl Slot ===

impl Slot {
    fn finish(&self, abandoned: u32) {
        let failures = std::mem::take(&mut *lock(&self.failures));
        let answers = self.answers.as_ref().map(|answers| std::mem::take(&mut *lock(answers)));
        let outcome = Outcome {
            lane: self.lane,
            epoch: self.epoch,
            sequence: self.sequence,
            outlet: self.outlet,
            failures,
            abandoned,
            answers: answers.unwrap_or_default(),
        };
        // The task may be gone already; then nobody commits, and that is right.
        let _ = self.done.send(outcome);
    }
}

fn lock<T>(list: &Mutex<Vec<T>>) -> MutexGuard<'_, Vec<T>> {
    // A panic while pushing leaves a usable list: what matters is that the count never reaches zero by it.
    list.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Slot {
    fn drop(&mut self) {
        let left = *self.left.get_mut();
        if left > 0 {
            self.finish(left);
        }
    }
}
