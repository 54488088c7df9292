//! What may happen to a batch between source and sink.
//!
//! Synchronous and batch-shaped: one dynamic call a batch, a plain loop inside. A transform changes records, drops them
//! (they count as filtered, I6) or fails them (they go to the dead letter as the source gave them). It never reorders.

use crate::{Failure, Record};

/// A built-in or configured step of a bridge.
pub trait Transform: Send {
    /// Works on every record of the batch, in order.
    fn apply(&mut self, batch: &mut Working);
}

/// What a transform says of one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on.
    Keep,
    /// It leaves here, by an explicit rule.
    Drop,
}

/// The stage that failures of transforms carry, in Kafka Connect's word.
pub const STAGE: &str = "TRANSFORMATION";

/// A batch on its way through the transforms.
#[derive(Debug, Default)]
pub struct Working {
    records: Vec<Record>,
    filtered: u32,
    failed: Vec<(u32, Failure)>,
}

impl Working {
    /// A batch as the source gave it. Numbers the records by [`Record::root`].
    pub fn new(mut records: Vec<Record>) -> Self {
        for (root, record) in (0..).zip(&mut records) {
            record.root = root;
        }
        Self { records, filtered: 0, failed: Vec::new() }
    }

    /// The records that are still in it.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// Calls `step` with each record in order; drops and fails those that it says. `Err` is the reason, for people.
    pub fn each(&mut self, mut step: impl FnMut(&mut Record) -> Result<Verdict, String>) {
        let (filtered, failed) = (&mut self.filtered, &mut self.failed);
        self.records.retain_mut(|record| match step(record) {
            Ok(Verdict::Keep) => true,
            Ok(Verdict::Drop) => {
                *filtered += 1; // I6
                false
            }
            Err(reason) => {
                failed.push((record.root, Failure::rejected(STAGE, reason)));
                false
            }
        });
    }

    /// What came out: the records that go on, how many were filtered, and the failures by root.
    pub fn finish(self) -> (Vec<Record>, u32, Vec<(u32, Failure)>) {
        (self.records, self.filtered, self.failed)
    }
}
