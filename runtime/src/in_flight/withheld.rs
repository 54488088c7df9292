//! Refused records that wait for their turn to be dead letters.
//!
//! A sink may say that a record is refused while it still works on earlier ones, and one of these may be refused later. So a batch's
//! refused records are handed over when all sinks have said what became of it, and of every batch before it in its lane: dead letters
//! are in the order of their records, and so is what a replay of them sends (I5).

use gantry_sdk::{Lane, ledger::Sequence};

use super::{Condemned, InFlight};

impl InFlight {
    /// These records of the batch will be dead letters when it is their [turn](Self::next_refused). Until they are dealt with, the batch is
    /// not settled.
    pub(crate) fn withhold(&mut self, lane: Lane, sequence: Sequence, condemned: Vec<Condemned>) {
        let Some(own) = self.lanes.get_mut(&lane) else { return };
        let Some(held) = own.ledger.held(sequence) else { return };
        let first = held.withheld.is_empty();
        held.withheld.extend(condemned);
        if first && !held.withheld.is_empty() {
            own.withheld += 1;
            own.ledger.hold_open(sequence); // I1
        }
    }

    /// The refused records of the next batch of that lane whose turn it is, in order. Once they are dealt with,
    /// [`part_done`](Self::part_done) is to be called.
    pub(crate) fn next_refused(&mut self, lane: Lane) -> Option<(Sequence, Vec<Condemned>)> {
        let own = self.lanes.get_mut(&lane).filter(|own| own.withheld > 0)?;
        let answered = own.ledger.oldest_first().take_while(|(_, held)| held.is_answered());
        let (sequence, held) = answered.into_iter().find(|(_, held)| !held.withheld.is_empty())?;
        let mut condemned = std::mem::take(&mut held.withheld);
        condemned.sort_unstable_by_key(|condemned| condemned.root);
        own.withheld -= 1;
        Some((sequence, condemned)) // I5
    }
}
