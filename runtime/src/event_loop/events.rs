//! What happens to a task, one event at a time. Nothing that it waits for keeps it from the others.

use gantry_sdk::{
    Answers, Error, Lane, Limits, Polled, Position, Record, Result, Source,
    receipt::{Outcome, OutcomeReceiver},
};
use tokio::time::{Instant, sleep_until};
use tracing::debug;

use super::{
    control::{Control, Course, Notice, run_controlled},
    ending::IncarnationEnd,
    hold::Hold,
    poll_coalescing::PollCoalescing,
    settler::Settler,
    transaction::Transaction,
};
use crate::{
    definition::Delivery,
    liveness::{ANSWER, Broken, Flow},
};

pub(super) struct Events<'t> {
    pub(super) settler: Settler,
    pub(super) outcomes: OutcomeReceiver,
    pub(super) control: Control<'t>,
    intake: Intake,
    poll_coalescing: PollCoalescing,
    /// Of a bridge that delivers exactly once.
    transaction: Transaction,
    hold: Hold,
}

/// What the source has to give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Intake {
    /// What comes.
    Flowing,
    /// It is suspended: what is here already.
    Emptying,
    /// It is suspended, and everything that was here is handed out.
    Still,
    /// It has ended: nothing, ever.
    Exhausted,
}

/// What happened.
pub(super) enum Event {
    Polled(Result<Polled>),
    Outcome(Outcome),
    /// The source ended while nobody polled it.
    Ended(Error),
    /// An outlet has become ready for more, or has failed.
    Ready(Result<()>),
    /// It is worth polling now: there may be room again, or a pause to coalesce polls is over.
    Freed,
    /// The source is to hold what is out, or the transaction to be committed.
    Due,
    Notice(Notice),
}

/// A batch as the source gave it.
pub(super) struct Incoming {
    pub(super) lane: Lane,
    pub(super) records: Vec<Record>,
    pub(super) last: Position,
    pub(super) answers: Option<Box<dyn Answers>>,
}

impl<'t> Events<'t> {
    pub(super) fn new(settler: Settler, outcomes: OutcomeReceiver, control: Control<'t>) -> Self {
        let hold = Hold::new(settler.source.hold_period());
        let (intake, poll_coalescing, transaction) = (Intake::Flowing, PollCoalescing::new(), Transaction::default());
        Self { settler, outcomes, control, intake, poll_coalescing, transaction, hold }
    }

    /// Makes the source follow the course. An error when there is nothing left to do.
    pub(super) async fn steer(&mut self) -> Result<(), IncarnationEnd> {
        loop {
            let (running, source) = (self.control.course() == Course::Running, &mut self.settler.source);
            match self.intake {
                Intake::Flowing if !running => {
                    let suspended =
                        run_controlled(&mut self.control, "suspending the source", source.suspend()).await?;
                    let more = suspended.map_err(IncarnationEnd::Failed)?;
                    self.intake = if more { Intake::Emptying } else { Intake::Still };
                }
                Intake::Emptying | Intake::Still if running => {
                    let resumed = run_controlled(&mut self.control, "resuming the source", source.resume()).await?;
                    resumed.map_err(IncarnationEnd::Failed)?;
                    self.intake = Intake::Flowing;
                }
                Intake::Flowing | Intake::Emptying => return self.look_at_transaction().await,
                Intake::Still | Intake::Exhausted => break,
            }
        }
        self.look_at_transaction().await?;
        if !self.settler.in_flight.is_empty() {
            return Ok(());
        }
        match self.control.course() {
            Course::Draining { .. } => Err(IncarnationEnd::Wanted),
            _ if self.intake == Intake::Exhausted => Err(IncarnationEnd::Exhausted),
            Course::Pausing { .. } => {
                self.control.pause();
                Ok(())
            }
            Course::Paused | Course::Running => Ok(()),
        }
    }

    /// How much may be polled now. No credit, no poll: the source's own flow control does the back-pressure (I4).
    pub(super) fn room(&mut self) -> Option<Limits> {
        let gives = matches!(self.intake, Intake::Flowing | Intake::Emptying) && !self.transaction.is_due();
        if gives && self.control.course() != Course::Paused && !self.settler.outlets.have_no_room() {
            self.settler.in_flight.room()
        } else {
            self.settler.in_flight.rest();
            None
        }
    }

    /// Whether the source is neither suspended nor exhausted.
    pub(super) fn is_flowing(&self) -> bool {
        self.intake == Intake::Flowing
    }

    /// Whether nothing more comes that the sink could wait for, to fill up what it sends.
    fn wants_flush(&self, room: Option<Limits>) -> bool {
        let last = match self.intake {
            Intake::Flowing => false,
            Intake::Emptying => room.is_none(),
            Intake::Still | Intake::Exhausted => true,
        };
        (last || self.transaction.is_due()) && !self.settler.in_flight.is_empty()
    }

    /// The next thing that happens. Cancel-safe.
    pub(super) async fn next(&mut self, room: Option<Limits>) -> Event {
        self.control.watchdog.report("moving records");
        self.control.held = self.settler.in_flight.in_flight();
        if let Some(notice) = self.control.due() {
            return Event::Notice(notice);
        }
        let freed = self.settler.in_flight.freed();
        let coalescing = room.and_then(|_| self.poll_coalescing.until());
        let hold = self.hold.due(!self.settler.in_flight.is_empty());
        if self.hold.is_due() {
            return Event::Due;
        }
        // A transaction that is due already waits for outcomes.
        let gathering = self.transaction.due().filter(|due| *due > Instant::now());
        let due = hold.into_iter().chain(gathering).min();
        let flush = self.wants_flush(room);
        let Settler { source, outlets, .. } = &mut self.settler;
        tokio::select! {
            biased;
            Some(outcome) = self.outcomes.recv() => Event::Outcome(outcome),
            ready = outlets.work(flush), if flush || outlets.are_busy() => Event::Ready(ready),
            event = poll_or_watch(source, room), if coalescing.is_none() => event,
            () = async { sleep_until(coalescing.unwrap_or_else(Instant::now)).await }, if coalescing.is_some() => Event::Freed,
            () = freed, if room.is_none() => Event::Freed,
            () = async { sleep_until(due.unwrap_or_else(Instant::now)).await }, if due.is_some() => Event::Due,
            notice = self.control.wait() => Event::Notice(notice),
        }
    }

    /// Does what the event asks for. Records are the caller's to deal with.
    pub(super) async fn handle(&mut self, event: Event) -> Result<Option<Incoming>, IncarnationEnd> {
        match event {
            Event::Polled(polled) => match polled.map_err(IncarnationEnd::Failed)? {
                Polled::Batch { lane, records, last, answers } => {
                    self.poll_coalescing.polled(records.len());
                    return Ok(Some(Incoming { lane, records, last, answers }));
                }
                Polled::LaneEnded(lane) => {
                    self.settler.in_flight.end_lane(lane);
                    // The lane that goes on for it has the same name: its position goes into another transaction.
                    self.transaction.end_gathering();
                }
                Polled::End => self.intake = Intake::Exhausted,
                Polled::Suspended => self.intake = Intake::Still,
            },
            Event::Outcome(outcome) => {
                self.control.lasting.liveness.settled();
                let held = self.settler.in_flight.in_flight();
                run_controlled(&mut self.control, "settling records", self.settler.settle(outcome, &mut self.outcomes))
                    .await??;
                // Not each outcome: one sink may confirm for ever what another, out of reach, keeps from being committed.
                if self.settler.in_flight.in_flight() < held {
                    self.control.lasting.liveness.committed();
                }
            }
            Event::Ended(error) => return Err(IncarnationEnd::Failed(error)),
            Event::Ready(ready) => ready.map_err(IncarnationEnd::Failed)?,
            Event::Freed => {}
            Event::Due => {
                if self.hold.is_due() {
                    let held = run_controlled(&mut self.control, "holding records", self.settler.source.hold()).await?;
                    held.map_err(IncarnationEnd::Failed)?;
                    self.hold.done();
                }
            }
            Event::Notice(notice) => {
                self.control.take(notice)?;
                if notice == Notice::Tick {
                    self.settler.refusal_log.look();
                    self.check_liveness().await?;
                }
            }
        }
        Ok(None)
    }

    /// Before a batch of a bridge that delivers exactly once is written.
    pub(super) async fn begin_transaction(&mut self) -> Result<(), IncarnationEnd> {
        if self.settler.definition.delivery == Delivery::AtLeastOnce || self.transaction.is_open() {
            return Ok(());
        }
        let transactions = self.settler.outlets.transactions().map_err(IncarnationEnd::Failed)?;
        let begun = run_controlled(&mut self.control, "beginning a transaction", transactions.begin()).await?;
        begun.map_err(IncarnationEnd::Failed)?;
        self.transaction.begin();
        Ok(())
    }

    /// Commits the transaction when it is time and everything has its place in it.
    async fn look_at_transaction(&mut self) -> Result<(), IncarnationEnd> {
        if !self.transaction.is_open() {
            return Ok(());
        }
        let more = matches!(self.intake, Intake::Flowing | Intake::Emptying);
        if !more || self.settler.in_flight.is_full() {
            self.transaction.end_gathering();
        }
        if self.transaction.is_due() && self.settler.in_flight.is_settled() {
            run_controlled(&mut self.control, "committing a transaction", self.settler.commit_transaction()).await??;
            self.transaction.end();
            self.control.lasting.liveness.committed();
        }
        Ok(())
    }

    /// Deals with a batch of which nothing goes to a sink: its refused records may have their turn, and it may be settled.
    pub(super) async fn settle_at_once(&mut self, lane: Lane) -> Result<(), IncarnationEnd> {
        run_controlled(&mut self.control, "rejecting records", self.settler.hand_over_refused(lane)).await??;
        run_controlled(&mut self.control, "committing", self.settler.commit()).await?
    }

    async fn check_liveness(&mut self) -> Result<(), IncarnationEnd> {
        let runs = self.is_flowing() && self.control.course() == Course::Running;
        let idle = self.settler.in_flight.in_flight() == 0;
        let gives = idle && runs && self.control.conditions.source_is_up() && self.room().is_some();
        if self.control.check(Some(Flow { oldest: self.settler.in_flight.oldest(), gives }))? {
            let waiting = self.backlog().await?;
            self.control.lasting.liveness.waiting(waiting)?;
        }
        Ok(())
    }

    /// How many records wait at the source; none when it cannot be asked.
    async fn backlog(&mut self) -> Result<u64, IncarnationEnd> {
        let asking = tokio::time::timeout(ANSWER, self.settler.source.backlog());
        match run_controlled(&mut self.control, "asking the source how much waits", asking).await? {
            Ok(Ok(waiting)) => Ok(waiting.unwrap_or(0)),
            // Not being allowed to ask is no reason to stop what works.
            Ok(Err(error)) if error.kind().needs_a_person() => {
                debug!("asking the source how much waits: {}", error.chain());
                Ok(0)
            }
            Ok(Err(error)) => Err(IncarnationEnd::Failed(error)),
            Err(_) => Err(Broken::Unanswered { still: ANSWER }.into()),
        }
    }
}

/// Takes records when there is room for some, and else looks after the connection.
async fn poll_or_watch(source: &mut Box<dyn Source>, room: Option<Limits>) -> Event {
    match room {
        Some(limits) => Event::Polled(source.poll(limits).await),
        None => Event::Ended(source.watch_connection().await),
    }
}
