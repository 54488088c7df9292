//! One incarnation of a task's data path: open, pump, drain, close.
//!
//! One loop owns the source, the sink, the dead letter and the books; nothing in it is shared, so nothing in it locks.
//! Whatever it waits for, it goes on taking in outcomes, looking after the source's connection and listening to what is
//! wanted.
//!
//! # Parts
//! [`open`] sink, dead letter, source · [`hub`] everything but the sink, one event at a time · [`helm`] where it is
//! heading: what is wanted, health, the clock · [`settler`] outcomes to commits · [`chain`] transforms · [`stall`]
//! nothing moves · [`breath`] room for larger batches · [`outage`] the sink is out of reach · [`conditions`] what connectors say of their brokers

mod breath;
mod chain;
mod conditions;
mod helm;
mod hub;
mod open;
mod outage;
mod refusals;
mod settler;
mod stall;

use std::{convert::Infallible, panic::AssertUnwindSafe};

use futures_util::FutureExt as _;
use gantry_sdk::{
    Batch, Epoch, Error, Health, Result, Sink,
    receipt::{self, Route},
};
use tokio::time::Instant;
use tracing::{debug, info};

use self::{
    chain::Chain,
    conditions::Conditions,
    helm::Helm,
    hub::{Hub, Incoming},
    open::{Inlet, Outlets, Rested, unless_paused, within_deadline},
    refusals::Refusals,
    settler::Settler,
    stall::Stall,
};
use super::{
    books::{Books, Entry},
    definition::Definition,
    heart::Heart,
    status::TaskState,
    task::Task,
    trouble::Trouble,
};

/// How an incarnation ended.
#[derive(Debug)]
pub(super) enum End {
    /// Something else is wanted of the task.
    Wanted,
    /// The source is exhausted and everything is delivered.
    Exhausted,
    /// It must not start again by itself: a record was refused and has nowhere to go. It stays at its source, and each
    /// new try would only burn one of its deliveries.
    Halted(Error),
    /// Something ended or failed; it may start again.
    Failed(Error),
    /// Nothing moved although it could; it may start again.
    Stalled(Error),
}

/// What outlives an incarnation.
pub(super) struct Lasting {
    /// Open, and never used yet: only the source could not be opened.
    outlets: Option<Outlets>,
    /// Open, and holds nothing: only another part failed.
    source: Option<Rested>,
    stall: Stall,
    /// Why incarnations end.
    pub(super) trouble: Trouble,
    /// What connectors complain of while they run.
    complaints: Trouble,
    /// What was told of refused records.
    refusals: Refusals,
}

struct Flow<'t> {
    sink: Box<dyn Sink>,
    chain: Chain,
    hub: Hub<'t>,
    source_health: Health,
}

/// Lives through one incarnation. A panic in a connector ends this incarnation and nothing else.
pub(super) async fn run(task: &Task, lasting: &mut Lasting, heart: &Heart, epoch: u64) -> End {
    match AssertUnwindSafe(incarnation(task, lasting, heart, epoch)).catch_unwind().await {
        Ok(end) => end,
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
            End::Failed(Error::internal(format!("a part of the bridge panicked: {text}")))
        }
    }
}

async fn incarnation(task: &Task, lasting: &mut Lasting, heart: &Heart, epoch: u64) -> End {
    // While it tries again after an error it goes on showing that error.
    if !matches!(task.progress.snapshot().state, TaskState::BackingOff | TaskState::Failed) {
        task.progress.enter(TaskState::Starting, None);
    }
    let mut wanted = task.wanted.clone();
    let opened = tokio::select! {
        opened = Flow::open(task, lasting, heart, epoch) => opened,
        _ = wanted.changed() => return End::Wanted,
    };
    let mut flow = match opened {
        Ok(flow) => flow,
        Err(error) => {
            if error.kind().needs_a_person() {
                Rested::close(&mut lasting.source, heart).await;
            }
            return End::Failed(error);
        }
    };
    let Err(end) = flow.pump(epoch).await;
    let end = flow.judge(task, end).await;
    let goes_on = matches!(&end, End::Failed(error) if !error.kind().needs_a_person());
    flow.close(goes_on).await;
    end
}

impl Lasting {
    pub(super) fn new(definition: &Definition) -> Self {
        Self {
            outlets: None,
            source: None,
            stall: Stall::new(definition.stall_timeout),
            trouble: Trouble::default(),
            complaints: Trouble::default(),
            refusals: Refusals::default(),
        }
    }

    /// Closes what was kept open for the next try.
    pub(super) async fn let_go(&mut self, heart: &Heart) {
        Outlets::close(&mut self.outlets, heart).await;
        Rested::close(&mut self.source, heart).await;
    }
}

impl<'t> Flow<'t> {
    async fn open(task: &'t Task, lasting: &'t mut Lasting, heart: &'t Heart, epoch: u64) -> Result<Self> {
        let definition = &task.definition;
        let chain = Chain::new(definition)?;
        Rested::close_if_stale(&mut lasting.source, heart).await;
        Outlets::open_or_keep(&mut lasting.outlets, task, heart).await?;
        unless_paused(&mut lasting.outlets, task, heart).await;
        let Inlet { source, health: source_health } = Inlet::take_or_open(&mut lasting.source, task, heart).await?;
        let outlets = lasting.outlets.take().ok_or_else(|| Error::internal("the sink is not open"))?;

        let (sender, outcomes) = receipt::outcomes();
        let (limits, share) = (definition.limits, task.share.clone());
        let books = Books::new(Epoch(epoch), limits, share, sender, task.progress.clone(), task.metrics.clone());
        let settler = Settler {
            books,
            source,
            dead_letter: outlets.dead_letter,
            definition: definition.clone(),
            task: task.id,
            refusals: std::mem::take(&mut lasting.refusals),
        };
        let conditions = Conditions::new(&source_health, &outlets.sink_health, &outlets.dead_letter_health);
        let hub = Hub::new(settler, outcomes, Helm::new(task, lasting, heart, conditions));
        Ok(Self { sink: outlets.sink, chain, hub, source_health })
    }

    /// Moves records until something ends it.
    async fn pump(&mut self, epoch: u64) -> Result<Infallible, End> {
        self.hub.helm.set_off(epoch)?;
        loop {
            self.hub.steer().await?;
            let room = self.hub.room();
            let event = if self.hub.wants_flush(room) {
                tokio::select! {
                    biased;
                    event = self.hub.next(room) => event,
                    error = flush(&mut self.sink) => return Err(End::Failed(error)),
                }
            } else {
                self.hub.next(room).await
            };
            if let Some(incoming) = self.hub.handle(event).await? {
                self.receive(incoming).await?;
            }
        }
    }

    /// A batch came from the source: transforms, the books, then the sink.
    async fn receive(&mut self, incoming: Incoming) -> Result<(), End> {
        let received = Instant::now();
        let Incoming { lane, records, last } = incoming;
        let passed = self.chain.apply(records);
        let entry =
            Entry { lane, last, originals: passed.originals, roots: passed.roots, received, filtered: passed.filtered };
        let books = &mut self.hub.settler.books;
        self.hub.helm.lasting.stall.received(books.is_empty());
        let sequence = books.enter(entry);
        let receipt = books.part(lane, sequence, Route::Sink, passed.records.len());
        if !passed.condemned.is_empty() {
            self.hub.refuse(lane, sequence, passed.condemned).await?;
        }
        // I1: not before the refused ones are dealt with. If they cannot be, the batch stays unsettled for good.
        self.hub.settler.books.routed(lane, sequence);
        match receipt {
            Some(receipt) => self.put(Batch { records: passed.records, receipt }).await,
            None => self.hub.commit().await,
        }
    }

    /// Hands a batch to the sink. While that waits, everything else goes on but polling.
    async fn put(&mut self, batch: Batch) -> Result<(), End> {
        let Self { sink, hub, .. } = self;
        let put = sink.put(batch);
        tokio::pin!(put);
        loop {
            let event = tokio::select! {
                biased;
                done = &mut put => return done.map_err(End::Failed),
                event = hub.next(None) => event,
            };
            if hub.handle(event).await?.is_some() {
                return Err(End::Failed(Error::internal("records came without a poll")));
            }
            hub.steer().await?;
        }
    }

    /// What the end of pumping means.
    async fn judge(&mut self, task: &Task, end: End) -> End {
        if !self.hub.helm.is_draining() {
            if let End::Halted(_) = end {
                // What was handed over before the refused record is confirmed and committed: it must not come twice.
                self.hub.helm.heart.beat("flushing the sink");
                within_deadline(self.sink.flush()).await;
            }
            return end;
        }
        if let End::Halted(error) | End::Failed(error) | End::Stalled(error) = &end {
            debug!(bridge = %task.definition.name, task = task.id, "draining ended early: {}", error.chain());
        }
        let left = self.hub.settler.books.in_flight();
        task.progress.drained(left);
        if left > 0 {
            let name = &task.definition.name;
            info!(bridge = %name, task = task.id, "stopping with {left} records unsettled: they stay at their source");
        }
        End::Wanted
    }

    /// Closes the sink first, so that nothing is delivered any more after the source has given it back. A source that has
    /// nothing to do with the end is kept open if it can be and it `goes_on` soon.
    async fn close(mut self, goes_on: bool) {
        let heart = self.hub.helm.heart;
        heart.beat("closing the sink");
        within_deadline(self.sink.close()).await;
        if let Some(dead_letter) = &mut self.hub.settler.dead_letter {
            heart.beat("closing the dead letter");
            within_deadline(dead_letter.close()).await;
        }
        heart.beat("committing");
        let Hub { settler, outcomes, .. } = &mut self.hub;
        within_deadline(settler.take_stragglers(outcomes).map(Ok)).await;
        let is_flowing = self.hub.is_flowing();
        let Hub { settler, helm, .. } = self.hub;
        helm.lasting.refusals = settler.refusals;
        let inlet = Inlet { source: settler.source, health: self.source_health };
        if goes_on && is_flowing {
            inlet.rest(&mut helm.lasting.source, heart).await;
        } else {
            inlet.close(heart).await;
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
