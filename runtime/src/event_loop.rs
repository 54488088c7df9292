//! One incarnation of a task's data path: open, run, drain, close.
//!
//! One loop owns the source, the sink, the dead letter and what is in flight; nothing in it is shared, so nothing in it locks.
//! Whatever it waits for, it goes on taking in outcomes, looking after the source's connection and listening to what is
//! wanted.
//!
//! # Parts
//! [`open`] sink, dead letter, source · [`events`] everything but the sink, one event at a time · [`control`] where it is
//! heading: what is wanted, health, the clock · [`settler`] outcomes to commits · [`chain`] transforms · [`stall`]
//! nothing moves · [`poll_coalescing`] room for larger batches · [`outage`] the sink is out of reach · [`conditions`] what connectors say of their brokers

mod chain;
mod conditions;
mod control;
mod ending;
mod events;
mod lasting;
mod open;
mod outage;
mod poll_coalescing;
mod refusal_log;
mod settler;
mod stall;

use std::{convert::Infallible, panic::AssertUnwindSafe};

use futures_util::FutureExt as _;
use gantry_sdk::{
    Batch, Epoch, Error, Health, Result, Sink,
    receipt::{self, Outlet},
};
use tokio::time::Instant;
use tracing::{debug, info};

use self::{
    chain::Chain,
    conditions::Conditions,
    control::Control,
    events::{Events, Incoming},
    open::{Inlet, Outlets, Rested, unless_paused, within_deadline},
    settler::Settler,
};
use crate::{
    assignment::Assignment,
    in_flight::{Entry, InFlight},
    status::TaskState,
    watchdog::Watchdog,
};

pub(super) use self::{ending::IncarnationEnd, lasting::Lasting};

struct EventLoop<'t> {
    sink: Box<dyn Sink>,
    chain: Chain,
    events: Events<'t>,
    source_health: Health,
}

/// Lives through one incarnation. A panic in a connector ends this incarnation and nothing else.
pub(super) async fn run(task: &Assignment, lasting: &mut Lasting, watchdog: &Watchdog, epoch: u64) -> IncarnationEnd {
    match AssertUnwindSafe(incarnation(task, lasting, watchdog, epoch)).catch_unwind().await {
        Ok(end) => end,
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
            IncarnationEnd::Failed(Error::internal(format!("a part of the bridge panicked: {text}")))
        }
    }
}

async fn incarnation(task: &Assignment, lasting: &mut Lasting, watchdog: &Watchdog, epoch: u64) -> IncarnationEnd {
    // While it tries again after an error it goes on showing that error.
    if !matches!(task.progress.snapshot().state, TaskState::BackingOff | TaskState::Failed) {
        task.progress.enter(TaskState::Starting, None);
    }
    let mut wanted = task.wanted.clone();
    let opened = tokio::select! {
        opened = EventLoop::open(task, lasting, watchdog, epoch) => opened,
        _ = wanted.changed() => return IncarnationEnd::Wanted,
    };
    let mut event_loop = match opened {
        Ok(event_loop) => event_loop,
        Err(error) => {
            if error.kind().needs_a_person() {
                Rested::close(&mut lasting.source, watchdog).await;
            }
            return IncarnationEnd::Failed(error);
        }
    };
    let Err(end) = event_loop.run(epoch).await;
    let end = event_loop.judge(task, end).await;
    let goes_on = matches!(&end, IncarnationEnd::Failed(error) if !error.kind().needs_a_person());
    event_loop.close(goes_on).await;
    end
}

impl<'t> EventLoop<'t> {
    async fn open(task: &'t Assignment, lasting: &'t mut Lasting, watchdog: &'t Watchdog, epoch: u64) -> Result<Self> {
        let definition = &task.definition;
        let chain = Chain::new(definition)?;
        Rested::close_if_stale(&mut lasting.source, watchdog).await;
        Outlets::open_or_keep(&mut lasting.outlets, task, watchdog).await?;
        unless_paused(&mut lasting.outlets, task, watchdog).await;
        let Inlet { source, health: source_health } = Inlet::take_or_open(&mut lasting.source, task, watchdog).await?;
        let outlets = lasting.outlets.take().ok_or_else(|| Error::internal("the sink is not open"))?;

        let (sender, outcomes) = receipt::outcomes();
        let (limits, share) = (definition.limits, task.share.clone());
        let in_flight =
            InFlight::new(Epoch(epoch), limits, share, sender, task.progress.clone(), task.observer.clone());
        let settler = Settler {
            in_flight,
            source,
            dead_letter: outlets.dead_letter,
            definition: definition.clone(),
            task: task.id,
            refusal_log: std::mem::take(&mut lasting.refusal_log),
        };
        let conditions = Conditions::new(&source_health, &outlets.sink_health, &outlets.dead_letter_health);
        let events = Events::new(settler, outcomes, Control::new(task, lasting, watchdog, conditions));
        Ok(Self { sink: outlets.sink, chain, events, source_health })
    }

    /// Moves records until something ends it.
    async fn run(&mut self, epoch: u64) -> Result<Infallible, IncarnationEnd> {
        self.events.control.set_off(epoch)?;
        loop {
            self.events.steer().await?;
            let room = self.events.room();
            let event = if self.events.wants_flush(room) {
                tokio::select! {
                    biased;
                    event = self.events.next(room) => event,
                    error = flush(&mut self.sink) => return Err(IncarnationEnd::Failed(error)),
                }
            } else {
                self.events.next(room).await
            };
            if let Some(incoming) = self.events.handle(event).await? {
                self.receive(incoming).await?;
            }
        }
    }

    /// A batch came from the source: transforms, the in_flight, then the sink.
    async fn receive(&mut self, incoming: Incoming) -> Result<(), IncarnationEnd> {
        let received = Instant::now();
        let Incoming { lane, records, last } = incoming;
        let passed = self.chain.apply(records);
        let entry =
            Entry { lane, last, originals: passed.originals, roots: passed.roots, received, filtered: passed.filtered };
        let in_flight = &mut self.events.settler.in_flight;
        self.events.control.lasting.stall.received(in_flight.is_empty());
        let sequence = in_flight.enter(entry);
        let receipt = in_flight.part(lane, sequence, Outlet::Sink, passed.records.len());
        if !passed.condemned.is_empty() {
            self.events.refuse(lane, sequence, passed.condemned).await?;
        }
        // I1: not before the refused ones are dealt with. If they cannot be, the batch stays unsettled for good.
        self.events.settler.in_flight.routed(lane, sequence);
        match receipt {
            Some(receipt) => self.put(Batch { records: passed.records, receipt }).await,
            None => self.events.commit().await,
        }
    }

    /// Hands a batch to the sink. While that waits, everything else goes on but polling.
    async fn put(&mut self, batch: Batch) -> Result<(), IncarnationEnd> {
        let Self { sink, events, .. } = self;
        let put = sink.put(batch);
        tokio::pin!(put);
        loop {
            let event = tokio::select! {
                biased;
                done = &mut put => return done.map_err(IncarnationEnd::Failed),
                event = events.next(None) => event,
            };
            if events.handle(event).await?.is_some() {
                return Err(IncarnationEnd::Failed(Error::internal("records came without a poll")));
            }
            events.steer().await?;
        }
    }

    /// What the end of pumping means.
    async fn judge(&mut self, task: &Assignment, end: IncarnationEnd) -> IncarnationEnd {
        if !self.events.control.is_draining() {
            if let IncarnationEnd::Halted(_) = end {
                // What was handed over before the refused record is confirmed and committed: it must not come twice.
                self.events.control.watchdog.report("flushing the sink");
                within_deadline(self.sink.flush()).await;
            }
            return end;
        }
        if let IncarnationEnd::Halted(error) | IncarnationEnd::Failed(error) | IncarnationEnd::Stalled(error) = &end {
            debug!(bridge = %task.definition.name, task = task.id, "draining ended early: {}", error.chain());
        }
        let left = self.events.settler.in_flight.in_flight();
        task.progress.drained(left);
        if left > 0 {
            let name = &task.definition.name;
            info!(bridge = %name, task = task.id, "stopping with {left} records unsettled: they stay at their source");
        }
        IncarnationEnd::Wanted
    }

    /// Closes the sink first, so that nothing is delivered any more after the source has given it back. A source that has
    /// nothing to do with the end is kept open if it can be and it `goes_on` soon.
    async fn close(mut self, goes_on: bool) {
        let watchdog = self.events.control.watchdog;
        watchdog.report("closing the sink");
        within_deadline(self.sink.close()).await;
        if let Some(dead_letter) = &mut self.events.settler.dead_letter {
            watchdog.report("closing the dead letter");
            within_deadline(dead_letter.close()).await;
        }
        watchdog.report("committing");
        let Events { settler, outcomes, .. } = &mut self.events;
        within_deadline(settler.take_stragglers(outcomes).map(Ok)).await;
        let is_flowing = self.events.is_flowing();
        let Events { settler, control, .. } = self.events;
        control.lasting.refusal_log = settler.refusal_log;
        let inlet = Inlet { source: settler.source, health: self.source_health };
        if goes_on && is_flowing {
            inlet.rest(&mut control.lasting.source, watchdog).await;
        } else {
            inlet.close(watchdog).await;
        }
    }
}

/// Returns only when it fails: what is flushed shows as outcomes.
async fn flush(sink: &mut Box<dyn Sink>) -> Error {
    match sink.flush().await {
        Ok(()) => std::future::pending().await,
        Err(error) => error,
    }
}
