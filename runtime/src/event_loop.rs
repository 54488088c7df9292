//! One incarnation of a task's data path: open, run, drain, close.
//!
//! One loop owns the source, the sink, the dead letter and what is in flight; nothing in it is shared, so nothing in it locks.
//! Whatever it waits for, it goes on taking in outcomes, looking after the source's connection and listening to what is
//! wanted.
//!
//! # Parts
//! [`events`] one event at a time · [`control`] where it is heading: what is wanted, health, the clock · [`inlet`] the source ·
//! [`outlets`] sinks and dead letter, each an [`outlet`] · [`pipeline`] transforms, and which record goes where · [`settler`]
//! outcomes to commits · [`poll_coalescing`] room for larger batches · [`conditions`] what connectors say of their brokers

mod conditions;
mod context;
mod control;
mod deadline;
mod ending;
mod events;
mod hold;
mod inlet;
mod lasting;
mod outlet;
mod outlets;
mod pause;
mod pipeline;
mod poll_coalescing;
mod refusal_log;
mod settler;
mod transaction;

use std::{convert::Infallible, panic::AssertUnwindSafe};

use futures_util::FutureExt as _;
use gantry_sdk::{
    Batch, Checkpoints, Epoch, Error, Health, Lost, Result,
    receipt::{self, Outlet},
};
use tokio::time::Instant;
use tracing::{debug, info};

use self::{
    conditions::Conditions,
    control::Control,
    deadline::within_deadline,
    events::{Events, Incoming},
    inlet::{Inlet, Rested},
    outlets::Outlets,
    pause::unless_paused,
    pipeline::{Pipeline, Routed, RoutedPart},
    settler::Settler,
};
use crate::{
    assignment::Assignment,
    definition::Delivery,
    in_flight::{Entry, InFlight},
    liveness::Watchdog,
    status::TaskState,
};

pub(super) use self::{ending::IncarnationEnd, lasting::Lasting};

struct EventLoop<'t> {
    pipeline: Pipeline,
    events: Events<'t>,
    source_health: Health,
    lost: Lost,
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
    let mut event_loop = match EventLoop::open(task, lasting, watchdog, epoch).await {
        Ok(Some(event_loop)) => event_loop,
        Ok(None) => return IncarnationEnd::Wanted,
        Err(error) => return IncarnationEnd::Failed(error),
    };
    let Err(end) = event_loop.run(epoch).await;
    let end = event_loop.judge(task, end).await;
    let goes_on = matches!(&end, IncarnationEnd::Failed(error) if !error.kind().needs_a_person());
    event_loop.close(goes_on).await;
    end
}

impl<'t> EventLoop<'t> {
    /// Opens the outlets, then the source, so that nothing is taken before it can be delivered. `None`: something else is
    /// wanted meanwhile.
    async fn open(
        task: &'t Assignment,
        lasting: &'t mut Lasting,
        watchdog: &'t Watchdog,
        epoch: u64,
    ) -> Result<Option<Self>> {
        let definition = &task.definition;
        let mut wanted = task.wanted.clone();
        // Before anything is waited for: a restart that is asked for from now on is seen, here or by the control.
        let restarts = wanted.borrow().restarts;
        let prepared = tokio::select! {
            prepared = prepare(task, lasting, watchdog) => prepared,
            _ = wanted.changed() => return Ok(None),
        };
        let opened = match prepared {
            Ok((pipeline, stored)) => Inlet::take_or_open(&mut lasting.source, task, stored, &mut wanted, watchdog)
                .await
                .map(|inlet| inlet.map(|inlet| (pipeline, inlet))),
            Err(error) => Err(error),
        };
        let (pipeline, Inlet { source, health: source_health, lost }) = match opened {
            Ok(Some(opened)) => opened,
            Ok(None) => return Ok(None),
            Err(error) => {
                if error.kind().needs_a_person() {
                    Rested::close(&mut lasting.source, watchdog).await;
                }
                return Err(error);
            }
        };
        let outlets = lasting.outlets.take().ok_or_else(|| Error::internal("the sink is not open"))?;

        let (sender, outcomes) = receipt::outcomes();
        let (limits, share) = (definition.limits, task.share.clone());
        let transactional = definition.delivery == Delivery::ExactlyOnce;
        let in_flight = InFlight::new(
            Epoch(epoch),
            limits,
            transactional,
            share,
            sender,
            task.progress.clone(),
            task.observer.clone(),
        );
        let conditions = Conditions::new(&source_health, outlets.all().map(|outlet| (&outlet.name, &outlet.health)));
        let settler = Settler {
            in_flight,
            source,
            is_noted: false,
            outlets,
            definition: definition.clone(),
            task: task.id,
            refusal_log: std::mem::take(&mut lasting.refusal_log),
        };
        let events = Events::new(settler, outcomes, Control::new(task, lasting, watchdog, conditions, restarts));
        Ok(Some(Self { pipeline, events, source_health, lost }))
    }

    /// Moves records until something ends it.
    async fn run(&mut self, epoch: u64) -> Result<Infallible, IncarnationEnd> {
        self.events.control.set_off(epoch)?;
        loop {
            self.events.steer().await?;
            let room = self.events.room();
            let event = self.events.next(room).await;
            if let Some(incoming) = self.events.handle(event).await? {
                self.receive(incoming).await?;
            }
        }
    }

    /// A batch came from the source: it goes through the pipeline, is in flight from then on, and leaves for the sinks.
    async fn receive(&mut self, incoming: Incoming) -> Result<(), IncarnationEnd> {
        let received = Instant::now();
        let Incoming { lane, records, last, answers } = incoming;
        self.events.begin_transaction().await?;
        let Routed { originals, parts, filtered, condemned } = self.pipeline.apply(records);
        let Settler { in_flight, source, .. } = &mut self.events.settler;
        self.events.control.lasting.liveness.received(in_flight.is_empty());
        let refused = condemned.iter().map(|condemned| condemned.root).collect();
        let entry = Entry { lane, last, originals, received, filtered, refused, answers };
        let (sequence, checkpoint) = in_flight.enter(entry, || source.lane_key(lane));
        let mut batches = Vec::with_capacity(parts.len());
        for RoutedPart { sink, records, roots } in parts {
            let receipt = in_flight.part(lane, sequence, sink, records.len(), roots);
            let checkpoint = Some(checkpoint.clone());
            batches.extend(receipt.map(|receipt| (Outlet::Sink(sink), Batch { records, receipt, checkpoint })));
        }
        let settler = &mut self.events.settler;
        if !condemned.is_empty() {
            settler.refuse(lane, sequence, condemned)?;
        }
        // I1: not before it is certain what becomes of the refused ones. If nothing can, the batch stays unsettled for good.
        settler.in_flight.routed(lane, sequence);
        if batches.is_empty() {
            return self.events.settle_at_once(lane).await;
        }
        let mut batches = batches.into_iter();
        batches.try_for_each(|(outlet, batch)| settler.outlets.write(outlet, batch)).map_err(IncarnationEnd::Failed)
    }

    /// What the end of pumping means.
    async fn judge(&mut self, task: &Assignment, end: IncarnationEnd) -> IncarnationEnd {
        if !self.events.control.is_draining() {
            if let IncarnationEnd::Halted(_) = end {
                // What was handed over before the refused record is confirmed and committed: it must not come twice.
                self.events.control.watchdog.report("flushing the sink");
                self.events.settler.outlets.flush().await;
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
    async fn close(self, goes_on: bool) {
        let is_flowing = self.events.is_flowing();
        let Events { mut settler, control, mut outcomes, .. } = self.events;
        let watchdog = control.watchdog;
        settler.outlets.close(watchdog).await;
        watchdog.report("committing");
        within_deadline(settler.take_stragglers(&mut outcomes).map(Ok)).await;
        control.lasting.refusal_log = settler.refusal_log;
        let inlet = Inlet { source: settler.source, health: self.source_health, lost: self.lost };
        // A source that is replayed goes on behind what the sink has stored by then.
        let stays = settler.definition.delivery == Delivery::AtLeastOnce;
        if goes_on && is_flowing && stays {
            inlet.rest(&mut control.lasting.source, watchdog).await;
        } else {
            inlet.close(watchdog).await;
        }
    }
}

/// Everything but the source: outlets open, transforms made, and no pause.
async fn prepare(task: &Assignment, lasting: &mut Lasting, watchdog: &Watchdog) -> Result<(Pipeline, Checkpoints)> {
    let pipeline = Pipeline::new(&task.definition)?;
    Rested::close_if_stale(&mut lasting.source, watchdog).await;
    Outlets::open_or_keep(&mut lasting.outlets, task, watchdog).await?;
    unless_paused(&mut lasting.outlets, task, watchdog).await;
    let stored = match (&mut lasting.outlets, task.definition.delivery) {
        (Some(outlets), Delivery::ExactlyOnce) => outlets.stored()?,
        _ => Checkpoints::default(),
    };
    Ok((pipeline, stored))
}
