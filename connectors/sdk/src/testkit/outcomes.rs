//! Hands batches to a sink and collects what it says of each record.

use std::{sync::Arc, time::Duration};

use crate::{
    Batch, Epoch, Failure, Lane, Ledger, Record,
    receipt::{self, OutcomeReceiver, Outlet},
};

/// Plays the runtime's part for a sink under test: makes batches, collects their outcomes.
#[derive(Debug)]
pub struct Courier {
    ledger: Ledger<usize>,
    receiver: OutcomeReceiver,
    given: u64,
}

/// What a sink said of everything it was given.
#[derive(Debug, Default)]
pub struct Summary {
    /// Records delivered.
    pub delivered: usize,
    /// Records failed, with why, in the order in which their batches were finished.
    pub failed: Vec<Failure>,
    /// Records that the sink never spoke of.
    pub abandoned: usize,
}

impl Default for Courier {
    fn default() -> Self {
        Self::new()
    }
}

impl Courier {
    /// A new one with nothing in flight.
    pub fn new() -> Self {
        let (sender, receiver) = receipt::outcomes();
        Self { ledger: Ledger::new(Lane(0), Epoch(1), sender), receiver, given: 0 }
    }

    /// A batch of these records, to be put into the sink.
    ///
    /// # Panics
    /// When there are no records.
    pub fn batch(&mut self, records: Vec<Record>) -> Batch {
        let count = u32::try_from(records.len()).expect("a test's batch fits in 32 bits");
        self.given += u64::from(count);
        let sequence = self.ledger.open(self.given.into(), records.len());
        let receipt = self.ledger.part(sequence, Outlet::Sink(0), count, false).expect("it was just opened");
        self.ledger.routed(sequence);
        Batch { records: Arc::new(records), receipt, checkpoint: None }
    }

    /// Waits until every batch has its outcome.
    ///
    /// # Panics
    /// When that takes longer than `deadline`.
    pub async fn outcomes(&mut self, deadline: Duration) -> Summary {
        let mut summary = Summary::default();
        let all = async {
            while !self.ledger.is_empty() {
                let outcome = self.receiver.recv().await.expect("the courier holds a sender");
                let (sequence, records) = self.ledger.find(&outcome).expect("the courier has one epoch");
                let abandoned = outcome.abandoned as usize;
                summary.delivered += *records - outcome.failures.len() - abandoned;
                summary.abandoned += abandoned;
                summary.failed.extend(outcome.failures.into_iter().map(|(_, failure)| failure));
                self.ledger.settle(sequence);
                self.ledger.advance(|_| {});
            }
        };
        let waited = tokio::time::timeout(deadline, all).await;
        assert!(waited.is_ok(), "{} batches have no outcome after {deadline:?}", self.ledger.len());
        summary
    }
}
