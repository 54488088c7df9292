//! The runtime's part for a sink under check.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
    sync::Arc,
};

use super::{SinkWorld, done, within};
use crate::{
    Batch, Checkpoint, Context, Delivered, Epoch, Failure, Lane, Ledger, Record, Sink,
    receipt::{self, OutcomeReceiver, Outlet},
    testkit::{OrderedSink, context},
};

/// Writes to a sink, and collects what it says.
pub(super) struct Writer {
    pub(super) sink: Box<OrderedSink>,
    pub(super) given: Given,
    wants_answers: bool,
    next: u64,
}

/// What was given to a sink, and what it said of it.
pub(super) struct Given {
    pub(super) said: Said,
    ledger: Ledger<Vec<u64>>,
    outcomes: OutcomeReceiver,
}

/// What a sink said of the records it was given.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// Of batches that it spoke of as a whole.
    pub(super) delivered: BTreeSet<u64>,
    pub(super) failed: BTreeMap<u64, Failure>,
    pub(super) answers: BTreeMap<u64, Vec<Delivered>>,
    /// Records that it let go of without a word.
    pub(super) silent: usize,
    /// Records delivered of batches that it let go of: nobody knows which.
    pub(super) delivered_of_silent: usize,
}

impl Writer {
    pub(super) async fn open(world: &mut impl SinkWorld) -> Self {
        Self::open_with(world, context()).await
    }

    pub(super) async fn open_with(world: &mut impl SinkWorld, context: Context) -> Self {
        let sink = done("opening", world.open(context)).await;
        let (sender, outcomes) = receipt::outcomes();
        let ledger = Ledger::new(Lane(0), Epoch(1), sender);
        let sink = Box::new(OrderedSink::new(sink));
        let given = Given { said: Said::default(), ledger, outcomes };
        Self { sink, given, wants_answers: false, next: 1 }
    }

    /// Waits for an answer to each record from now on.
    pub(super) const fn want_answers(&mut self) {
        self.wants_answers = true;
    }

    /// Goes on with that number.
    pub(super) const fn go_on_at(&mut self, number: u64) {
        self.next = number;
    }

    /// The next so many records as a batch.
    pub(super) fn batch(&mut self, world: &mut impl SinkWorld, count: u64) -> Batch {
        let numbers = self.next..=self.next + count - 1;
        self.next += count;
        let records = numbers.clone().map(|number| world.record(number)).collect();
        self.batch_of(numbers, records)
    }

    /// These records as a batch, as those numbers.
    pub(super) fn batch_of(&mut self, numbers: RangeInclusive<u64>, records: Vec<Record>) -> Batch {
        let last = (*numbers.end()).into();
        let ledger = &mut self.given.ledger;
        let sequence = ledger.open(last, numbers.collect());
        let count = u32::try_from(records.len()).expect("a check's batch is small");
        let receipt = ledger.part(sequence, Outlet::Sink(0), count, self.wants_answers);
        let receipt = receipt.expect("the entry was just opened");
        ledger.routed(sequence);
        let position = ledger.position(sequence).expect("the entry was just opened").clone();
        let checkpoint = Some(Checkpoint { lane_key: "kit/0".into(), position });
        Batch { records: Arc::new(records), receipt, checkpoint }
    }

    /// Puts the next so many records, and waits for room.
    pub(super) async fn put(&mut self, world: &mut impl SinkWorld, count: u64) {
        let batch = self.batch(world, count);
        done("putting a batch", self.sink.put(batch)).await;
    }

    pub(super) async fn flush(&mut self) {
        done("flushing", self.sink.flush()).await;
    }

    /// Closes the sink, and hears what it says until each batch has an outcome, if only that nobody speaks of it.
    pub(super) async fn close(self) -> Said {
        let Self { sink, mut given, .. } = self;
        // After a cut there may be nobody to say goodbye to; but it ends.
        let _ = within("closing", sink.close()).await;
        given.settled().await;
        given.said
    }
}

impl Given {
    /// Whether every batch has its outcome, without waiting for any.
    pub(super) fn is_settled(&mut self) -> bool {
        while let Ok(outcome) = self.outcomes.try_recv() {
            self.hear(outcome);
        }
        self.ledger.is_empty()
    }

    /// Waits until every batch has its outcome.
    pub(super) async fn settled(&mut self) {
        while !self.is_settled() {
            let outcome = within("what becomes of a batch", self.outcomes.recv()).await;
            self.hear(outcome.expect("the ledger holds a sender"));
        }
    }

    fn hear(&mut self, outcome: receipt::Outcome) {
        let (sequence, numbers) = self.ledger.find(&outcome).expect("one epoch, and each batch is heard of once");
        let numbers = std::mem::take(numbers);
        let said = &mut self.said;
        let mut failed = BTreeSet::new();
        for (index, failure) in outcome.failures {
            let number = numbers[index as usize];
            assert!(failed.insert(number), "record {number} failed twice");
            said.failed.insert(number, failure);
        }
        for (index, answer) in outcome.answers {
            said.answers.entry(numbers[index as usize]).or_default().push(answer);
        }
        if outcome.abandoned == 0 {
            said.delivered.extend(numbers.iter().filter(|number| !failed.contains(number)));
        } else {
            said.silent += outcome.abandoned as usize;
            said.delivered_of_silent += numbers.len() - failed.len() - outcome.abandoned as usize;
        }
        self.ledger.settle(sequence);
        self.ledger.advance(|_| {});
    }
}
