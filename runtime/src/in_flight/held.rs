//! What is kept of a batch until it is committed.

use std::sync::Arc;

use gantry_sdk::{Answers, Delivered, Failure, Record, receipt::Outlet};
use tokio::time::Instant;

use super::{
    entry::{Condemned, Entry},
    roots::{Marked, Roots},
    waiting::Waiting,
};
use crate::stages::ByStage;

/// What is kept of a batch until it is committed.
pub(super) struct Held {
    /// As the source gave them, for the dead letter. Let go of once settled.
    pub(super) originals: Arc<Vec<Record>>,
    /// Of each sink: which original each of its records came from. Sinks at the end that got none are not in it.
    roots: Vec<Roots>,
    /// Parts of sinks whose outcome has not come.
    unanswered: u32,
    /// Originals that were refused, by whichever sink.
    refused: Marked,
    /// Those of them that wait for their turn to be dead letters.
    pub(super) withheld: Vec<Condemned>,
    pub(super) received: Instant,
    pub(super) records: u64,
    pub(super) bytes: u64,
    /// The bytes of those that are still on their way to the sink.
    pub(super) bytes_out: u64,
    /// By a rule, refused ones that were dropped among them.
    pub(super) filtered: u64,
    /// Refused, and dropped because the bridge tolerates that.
    pub(super) dropped: u64,
    /// Written as dead letters.
    pub(super) dead_lettered: ByStage,
    /// Rejected at the source: gone from there, whatever becomes of the rest of the batch.
    pub(super) rejected: ByStage,
    /// `None`: nobody waits for what becomes of its records.
    waiting: Option<Box<Waiting>>,
}

impl Held {
    pub(super) fn new(entry: &Entry) -> Self {
        let bytes = entry.originals.iter().map(Record::size).sum::<usize>() as u64;
        let mut refused = Marked::default();
        for root in &entry.refused {
            refused.mark(*root);
        }
        let staying = entry.filtered.iter().chain(&entry.refused);
        let bytes_out = bytes - staying.map(|root| size_of_record(&entry.originals, *root)).sum::<u64>();
        Self {
            originals: entry.originals.clone(),
            roots: Vec::new(),
            unanswered: 0,
            refused,
            withheld: Vec::new(),
            received: entry.received,
            records: entry.originals.len() as u64,
            bytes,
            bytes_out,
            filtered: entry.filtered.len() as u64,
            dropped: 0,
            dead_lettered: ByStage::default(),
            rejected: ByStage::default(),
            waiting: None,
        }
    }

    /// The same, when somebody waits for what becomes of its records; some of them are filtered already.
    pub(super) fn awaited_by(mut self, answers: Option<Box<dyn Answers>>, filtered: Vec<u32>) -> Self {
        let records = self.records;
        self.waiting = answers.map(|answers| Box::new(Waiting::new(answers, records, filtered)));
        self
    }

    /// Whether somebody waits for what becomes of its records.
    pub(super) fn is_awaited(&self) -> bool {
        self.waiting.is_some()
    }

    /// Records of it go to that sink. Called sink by sink, in order.
    pub(super) fn goes_to(&mut self, sink: u16, roots: Roots) {
        self.unanswered += 1;
        if let Roots::Listed(_) = roots {
            self.roots.resize(usize::from(sink), Roots::Same);
            self.roots.push(roots);
        }
    }

    /// Whether every sink has said what became of its records.
    pub(super) const fn is_answered(&self) -> bool {
        self.unanswered == 0
    }

    /// An outlet has said what became of each record of its part.
    pub(super) fn part_answered(&mut self, outlet: Outlet) {
        if let Outlet::Sink(_) = outlet {
            self.unanswered = self.unanswered.saturating_sub(1);
        }
    }

    /// What an outlet says of records that it delivered, by their places in its part.
    pub(super) fn answered(&mut self, outlet: Outlet, answers: Vec<(u32, Delivered)>) {
        let (Outlet::Sink(sink), false) = (outlet, answers.is_empty()) else { return };
        let answers: Vec<_> =
            answers.into_iter().filter_map(|(index, answer)| Some((self.root_of(sink, index)?, answer))).collect();
        if let Some(waiting) = &mut self.waiting {
            waiting.delivered(sink, answers);
        }
    }

    /// These records are dealt with as refused ones are.
    pub(super) fn note_refused(&mut self, condemned: &[Condemned]) {
        if let Some(waiting) = &mut self.waiting {
            waiting.refused(condemned.iter().map(|condemned| (condemned.root, condemned.failure.clone())));
        }
    }

    /// Everything is settled: tells whoever waits.
    pub(super) fn tell(&mut self) {
        if let Some(waiting) = self.waiting.take() {
            waiting.tell();
        }
    }

    /// The record that a failure speaks of, as the source gave it. `None` when it was refused before: it is counted once, however
    /// many sinks refuse what became of it (I6).
    pub(super) fn refuse(&mut self, outlet: Outlet, (index, failure): (u32, Failure)) -> Option<Condemned> {
        let Outlet::Sink(sink) = outlet else { return None };
        let root = self.root_of(sink, index)?;
        let record = self.originals.get(root as usize)?.clone();
        if !self.refused.mark(root) {
            return None;
        }
        self.bytes_out -= record.size() as u64;
        Some(Condemned { root, sink: Some(sink), record, failure })
    }

    fn root_of(&self, sink: u16, index: u32) -> Option<u32> {
        self.roots.get(usize::from(sink)).unwrap_or(&Roots::Same).get(index)
    }
}

fn size_of_record(originals: &[Record], root: u32) -> u64 {
    originals.get(root as usize).map_or(0, Record::size) as u64
}
