//! Takes in what became of records, and commits what can be committed.

use std::sync::Arc;

use gantry_sdk::{
    Batch, Error, Lane, Source,
    ledger::Sequence,
    receipt::{Outcome, OutcomeReceiver, Outlet},
};

use super::{
    ending::IncarnationEnd,
    outlets::Outlets,
    refusal_log::{Fate, RefusalLog},
};
use crate::{
    dead_letter,
    definition::{DeadLetterTarget, Definition, Delivery, Tolerance},
    in_flight::{Condemned, Consequence, InFlight},
};

/// The side of an event loop that settles.
pub(super) struct Settler {
    pub(super) in_flight: InFlight,
    pub(super) source: Box<dyn Source>,
    /// The source has noted commits that it has not sent.
    pub(super) is_noted: bool,
    pub(super) outlets: Outlets,
    pub(super) definition: Arc<Definition>,
    pub(super) task: u32,
    pub(super) refusal_log: RefusalLog,
}

impl Settler {
    /// Takes in one outcome and all others that are there, then commits once a lane.
    pub(super) async fn settle(&mut self, first: Outcome, others: &mut OutcomeReceiver) -> Result<(), IncarnationEnd> {
        let mut next = Some(first);
        while let Some(outcome) = next {
            let lane = outcome.lane;
            match self.in_flight.take(outcome) {
                Consequence::Nothing => {}
                Consequence::Refused(lane, sequence, condemned) => {
                    self.refuse(lane, sequence, condemned)?;
                    self.in_flight.part_done(lane, sequence);
                }
                Consequence::Halt(reason) => return Err(IncarnationEnd::Halted(Error::config(reason.as_ref()))),
                Consequence::Stop(error) => return Err(IncarnationEnd::Failed(error)),
            }
            self.hand_over_refused(lane).await?;
            next = others.try_recv().ok();
        }
        self.commit().await
    }

    /// Commits what is settled up to a point, one call a lane. What is in an open transaction is not.
    pub(super) async fn commit(&mut self) -> Result<(), IncarnationEnd> {
        if self.definition.delivery == Delivery::ExactlyOnce {
            return Ok(());
        }
        self.commit_to_source().await
    }

    /// Commits the transaction, with where to go on from, and what it covers.
    pub(super) async fn commit_transaction(&mut self) -> Result<(), IncarnationEnd> {
        let checkpoints = self.in_flight.checkpoints();
        let transactions = self.outlets.transactions().map_err(IncarnationEnd::Failed)?;
        transactions.commit(&checkpoints).await.map_err(IncarnationEnd::Failed)?;
        self.commit_to_source().await
    }

    async fn commit_to_source(&mut self) -> Result<(), IncarnationEnd> {
        for (lane, position) in self.in_flight.commits() {
            self.source.commit(lane, &position); // I1, I2: the ledger says what
            self.is_noted = true;
        }
        if self.is_noted {
            self.source.sync().await.map_err(IncarnationEnd::Failed)?;
            // Not before: a sync that something else ended is done again, at the latest when everything is closed.
            self.is_noted = false;
        }
        Ok(())
    }

    /// What the bridge's error policy says of records that can never be delivered (I6). Those that will be dead letters wait for their
    /// [turn](Self::hand_over_refused).
    pub(super) fn refuse(
        &mut self,
        lane: Lane,
        sequence: Sequence,
        condemned: Vec<Condemned>,
    ) -> Result<(), IncarnationEnd> {
        self.in_flight.note_refused(lane, sequence, &condemned);
        let errors = &self.definition.errors;
        match (errors.tolerance, &errors.dead_letter) {
            (Tolerance::None, dead_letter) => Err(IncarnationEnd::Halted(halts(&condemned, dead_letter.is_some()))),
            (Tolerance::All, None) => {
                self.refusal_log.tell(&self.definition.name, self.task, Fate::Dropped, &condemned);
                self.in_flight.drop_refused(lane, sequence, condemned.len());
                Ok(())
            }
            (Tolerance::All, Some(_)) => {
                self.in_flight.withhold(lane, sequence, condemned);
                Ok(())
            }
        }
    }

    /// Hands the refused records of that lane whose turn it is to the dead letter.
    pub(super) async fn hand_over_refused(&mut self, lane: Lane) -> Result<(), IncarnationEnd> {
        while let Some((sequence, condemned)) = self.in_flight.next_refused(lane) {
            if let Some(DeadLetterTarget::Reject) = self.definition.errors.dead_letter {
                self.reject(lane, sequence, &condemned).await?;
            } else {
                self.send_dead_letters(lane, sequence, condemned)?;
            }
            self.in_flight.part_done(lane, sequence);
        }
        Ok(())
    }

    /// Hands refused records to the dead letter; its own confirm settles them.
    fn send_dead_letters(
        &mut self,
        lane: Lane,
        sequence: Sequence,
        condemned: Vec<Condemned>,
    ) -> Result<(), IncarnationEnd> {
        let Some(receipt) = self.in_flight.condemn(lane, sequence, &condemned) else { return Ok(()) };
        self.refusal_log.tell(&self.definition.name, self.task, Fate::DeadLetters, &condemned);
        let records = dead_letter::records(&self.definition, self.task, condemned);
        self.outlets
            .write(Outlet::DeadLetter, Batch { records, receipt, checkpoint: None })
            .map_err(IncarnationEnd::Failed)
    }

    /// Hands refused records to the source's own dead letter. They are settled with that: nobody confirms it.
    async fn reject(&mut self, lane: Lane, sequence: Sequence, condemned: &[Condemned]) -> Result<(), IncarnationEnd> {
        self.refusal_log.tell(&self.definition.name, self.task, Fate::Rejected, condemned);
        let Some((last, records)) = self.in_flight.last_of(lane, sequence) else { return Ok(()) };
        for Condemned { root, failure, .. } in condemned {
            let back = records.saturating_sub(root + 1);
            self.source.reject(lane, &last, back).await.map_err(IncarnationEnd::Failed)?;
            self.in_flight.rejected(lane, sequence, failure.stage);
        }
        Ok(())
    }

    /// Outcomes that came while the sink closed: what they settle is committed, what they refuse goes back.
    pub(super) async fn take_stragglers(&mut self, outcomes: &mut OutcomeReceiver) {
        while let Ok(outcome) = outcomes.try_recv() {
            let _ = self.in_flight.take(outcome);
        }
        if let Err(end) = self.commit().await {
            tracing::debug!("the last commit failed, what it covers will come again: {end:?}");
        }
    }
}

fn halts(condemned: &[Condemned], has_dead_letter: bool) -> Error {
    let reason = condemned.first().map_or("", |first| first.failure.reason.as_ref());
    let (why, remedy) = if has_dead_letter {
        ("errors.tolerance is none", "Set errors.tolerance: all")
    } else {
        ("there is no dead letter for them", "Set errors.dead_letter")
    };
    Error::config(format!(
        "{} record(s) can never be delivered and {why}; they stay at their source. {remedy}, or mend the record. \
         The first: {reason}",
        condemned.len()
    ))
}
