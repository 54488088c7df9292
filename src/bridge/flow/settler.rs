//! Takes in what became of records, and commits what can be committed.

use std::sync::Arc;

use gantry_sdk::{
    Error, Lane, Sink, Source,
    ledger::Sequence,
    receipt::{Outcome, OutcomeReceiver},
};

use super::End;
use crate::bridge::{
    books::{Books, Condemned, Verdict},
    dead_letter,
    definition::Definition,
};

/// The side of a flow that settles: everything but the sink, so that it works on while the sink makes the flow wait.
pub(super) struct Settler {
    pub(super) books: Books,
    pub(super) source: Box<dyn Source>,
    pub(super) dead_letter: Option<Box<dyn Sink>>,
    pub(super) definition: Arc<Definition>,
    pub(super) task: u32,
}

impl Settler {
    /// Takes in one outcome and all others that are there, then commits once a lane.
    pub(super) async fn settle(&mut self, first: Outcome, others: &mut OutcomeReceiver) -> Result<(), End> {
        let mut next = Some(first);
        while let Some(outcome) = next {
            match self.books.take(outcome) {
                Verdict::Nothing => {}
                Verdict::DeadLetters(lane, sequence, condemned) => {
                    self.send_dead_letters(lane, sequence, condemned).await?;
                    self.books.part_done(lane, sequence);
                }
                Verdict::Halt(reason) => return Err(End::Halted(Error::config(reason.as_ref()))),
                Verdict::Stop(reason) => return Err(End::Failed(Error::disconnected(reason.as_ref()))),
            }
            next = others.try_recv().ok();
        }
        self.commit().await
    }

    /// Commits what is settled up to a point, one call a lane.
    pub(super) async fn commit(&mut self) -> Result<(), End> {
        for (lane, position) in self.books.commits() {
            self.source.commit(lane, &position).await.map_err(End::Failed)?; // I1, I2: the ledger says what
        }
        Ok(())
    }

    /// Hands refused records to the dead letter. Without one the bridge halts, and the records stay at their source.
    pub(super) async fn send_dead_letters(
        &mut self,
        lane: Lane,
        sequence: Sequence,
        condemned: Vec<Condemned>,
    ) -> Result<(), End> {
        let Some(sink) = self.dead_letter.as_deref_mut() else {
            return Err(End::Halted(no_dead_letter(&condemned)));
        };
        let Some(receipt) = self.books.condemn(lane, sequence, condemned.len()) else { return Ok(()) };
        dead_letter::put(sink, &self.definition, self.task, condemned, receipt).await.map_err(End::Failed)
    }

    /// Outcomes that came while the sink closed: what they settle is committed, what they refuse goes back.
    pub(super) async fn take_stragglers(&mut self, outcomes: &mut OutcomeReceiver) {
        while let Ok(outcome) = outcomes.try_recv() {
            let _ = self.books.take(outcome);
        }
        if let Err(end) = self.commit().await {
            tracing::debug!("the last commit failed, what it covers will come again: {end:?}");
        }
    }
}

fn no_dead_letter(condemned: &[Condemned]) -> Error {
    let reason = condemned.first().map_or("", |first| first.failure.reason.as_ref());
    Error::config(format!(
        "{} record(s) can never be delivered and there is no dead letter for them; they stay at their source. \
         Set errors.dead_letter, or mend the record. The first: {reason}",
        condemned.len()
    ))
}
