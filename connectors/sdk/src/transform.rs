//! What may happen to a batch between source and sink.
//!
//! Synchronous and batch-shaped: one dynamic call a batch, a plain loop inside. A transform changes records, drops them
//! (they count as filtered, I6) or fails them (they go to the dead letter as the source gave them). It never reorders.

use std::collections::HashSet;

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
    /// A record may share its root with others.
    is_split: bool,
}

impl Working {
    /// A batch as the source gave it. Numbers the records by [`Record::root`].
    pub fn new(mut records: Vec<Record>) -> Self {
        for (root, record) in (0..).zip(&mut records) {
            record.root = root;
        }
        Self { records, ..Self::default() }
    }

    /// A batch that has come out of transforms: its records keep their roots, and may share them.
    pub fn resume(records: Vec<Record>) -> Self {
        Self { records, is_split: true, ..Self::default() }
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

    /// Puts several records in the place of each, or none: what `step` makes of it, in order. They share its root, and the root
    /// is delivered when all of them are. `Ok(None)` leaves the record as it is; `Err` is the reason, for people.
    pub fn split(&mut self, mut step: impl FnMut(&Record) -> Result<Option<Vec<Record>>, String>) {
        let mut all = Vec::with_capacity(self.records.len());
        for record in self.records.drain(..) {
            let root = record.root;
            match step(&record) {
                Ok(None) => all.push(record),
                Ok(Some(records)) => {
                    self.filtered += u32::from(records.is_empty()); // I6
                    self.is_split |= records.len() > 1;
                    all.extend(records.into_iter().map(|record| Record { root, ..record }));
                }
                Err(reason) => self.failed.push((root, Failure::rejected(STAGE, reason))),
            }
        }
        self.records = all;
    }

    /// What came out: the records that go on, how many were filtered, and the failures by root. When one of several records with
    /// the same root has failed, none of them goes on: a dead letter is the whole record, and a replay of it brings all again.
    pub fn finish(mut self) -> (Vec<Record>, u32, Vec<(u32, Failure)>) {
        if self.is_split && !self.failed.is_empty() {
            let failed: HashSet<u32> = self.failed.iter().map(|(root, _)| *root).collect();
            self.records.retain(|record| !failed.contains(&record.root));
        }
        (self.records, self.filtered, self.failed)
    }
}
