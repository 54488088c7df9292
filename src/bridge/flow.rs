//! One incarnation of a task's data path: open, pump, drain, close.
//!
//! One loop owns the source, the sink, the dead letter and the books; nothing in it is shared, so nothing in it locks.
//! While the sink makes the loop wait, outcomes are still taken in and committed.

mod chain;
mod conditions;
mod settler;

use std::{
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::FutureExt as _;
use gantry_sdk::{
    Batch, Context, Epoch, Error, Health, Lane, Limits, Polled, Position, Record, Result, Sink, Source,
    receipt::{self, OutcomeReceiver, Route},
};
use tokio::sync::watch;
use tracing::info;

use self::{chain::Chain, conditions::Conditions, settler::Settler};
use super::{
    books::{Books, Entry},
    status::{Progress, Target, TaskState},
    task::{Task, Wanted},
};

/// Closing a connection to a broker that does not answer takes no longer than this.
const CLOSE_DEADLINE: Duration = Duration::from_secs(10);

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
}

struct Flow {
    sink: Box<dyn Sink>,
    settler: Settler,
    chain: Chain,
    outcomes: OutcomeReceiver,
    conditions: Conditions,
    wanted: watch::Receiver<Wanted>,
    restarts: u64,
    progress: Arc<Progress>,
    /// The source has said that there is nothing more to come.
    ended: bool,
    drain: Duration,
}

/// Lives through one incarnation. A panic in a connector ends this incarnation and nothing else.
pub(super) async fn run(task: &mut Task, epoch: u64) -> End {
    match AssertUnwindSafe(incarnation(task, epoch)).catch_unwind().await {
        Ok(end) => end,
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
            End::Failed(Error::internal(format!("a part of the bridge panicked: {text}")))
        }
    }
}

async fn incarnation(task: &mut Task, epoch: u64) -> End {
    // While it tries again after an error it goes on showing that error.
    if !matches!(task.progress.snapshot().state, TaskState::BackingOff | TaskState::Failed) {
        task.progress.enter(TaskState::Starting, None);
    }
    let mut wanted = task.wanted.clone();
    let opened = tokio::select! {
        opened = Flow::open(task, epoch) => opened,
        _ = wanted.changed() => return End::Wanted,
    };
    let mut flow = match opened {
        Ok(flow) => flow,
        Err(error) => return End::Failed(error),
    };
    info!(bridge = %task.definition.name, task = task.id, epoch, "running");
    let end = flow.pump().await.err().unwrap_or(End::Exhausted);
    match &end {
        End::Wanted => flow.drain().await,
        // What was handed over before the refused record is confirmed and committed: it must not come twice.
        End::Halted(_) => within_deadline(flow.sink.flush()).await,
        End::Exhausted | End::Failed(_) => {}
    }
    flow.close().await;
    end
}

impl Flow {
    /// Opens the sink, then the dead letter, then the source: nothing is taken before it can be delivered.
    async fn open(task: &Task, epoch: u64) -> Result<Self> {
        let definition = &task.definition;
        let [source_health, sink_health, dead_letter_health] = std::array::from_fn(|_| Health::new());
        let context = |health: &Health, dead_letter| Context {
            bridge: definition.name.clone(),
            task: task.id,
            health: health.clone(),
            retry: definition.errors.retry,
            dead_letter,
        };
        let chain = Chain::new(definition)?;
        let mut sink = (definition.sink.plugin.create)(&definition.sink.resolve()?, context(&sink_health, false))?;
        sink.open().await?;
        let mut dead_letter = None;
        if let Some(part) = &definition.errors.dead_letter {
            let mut opened = (part.plugin.create)(&part.resolve()?, context(&dead_letter_health, true))?;
            opened.open().await?;
            dead_letter = Some(opened);
        }
        let source_options = definition.source.resolve()?;
        let mut source = (definition.source.plugin.create)(&source_options, context(&source_health, false))?;
        source.open().await?;

        let (sender, outcomes) = receipt::outcomes();
        let progress = task.progress.clone();
        let books = Books::new(Epoch(epoch), definition.limits, sender, progress.clone(), task.metrics.clone());
        Ok(Self {
            sink,
            settler: Settler { books, source, dead_letter, definition: definition.clone(), task: task.id },
            chain,
            outcomes,
            conditions: Conditions::new([
                ("source", &source_health),
                ("sink", &sink_health),
                ("dead letter", &dead_letter_health),
            ]),
            wanted: task.wanted.clone(),
            restarts: task.wanted.borrow().restarts,
            progress,
            ended: false,
            drain: task.drain,
        })
    }

    /// Moves records until something ends it. `Ok` when the source is exhausted and everything is delivered.
    async fn pump(&mut self) -> Result<(), End> {
        loop {
            let wanted = *self.wanted.borrow_and_update();
            self.goes_on(wanted)?;
            let paused = wanted.target == Target::Paused;
            let state = if paused { TaskState::Paused } else { TaskState::Running };
            self.progress.enter(state, self.conditions.complaint());
            if self.pump_while_wanted(paused).await? {
                return Ok(());
            }
        }
    }

    /// The inner loop: no look at what is wanted until that changes. `true` when everything is done.
    async fn pump_while_wanted(&mut self, paused: bool) -> Result<bool, End> {
        loop {
            if self.ended && self.settler.books.is_empty() {
                return Ok(true);
            }
            // No credit, no poll: the source's own flow control does the back-pressure (I4).
            let room = if paused || self.ended { None } else { self.settler.books.room() };
            let flush = self.ended;
            let flushing = async {
                self.sink.flush().await?;
                std::future::pending::<Result<()>>().await
            };
            tokio::select! {
                biased;
                changed = self.wanted.changed() => {
                    changed.map_err(|_| End::Wanted)?;
                    return Ok(false);
                }
                () = self.conditions.changed() => self.conditions.check().map(|complaint| self.progress.complain(complaint))?,
                Some(outcome) = self.outcomes.recv() => self.settler.settle(outcome, &mut self.outcomes).await?,
                polled = poll_within(&mut self.settler.source, room), if room.is_some() => {
                    match polled.map_err(End::Failed)? {
                        Polled::Batch { lane, records, last } => self.receive(lane, records, last).await?,
                        Polled::End => self.ended = true,
                    }
                }
                flushed = flushing, if flush => flushed.map_err(End::Failed)?,
            }
        }
    }

    /// A batch came from the source: transforms, the books, then the sink.
    async fn receive(&mut self, lane: Lane, records: Vec<Record>, last: Position) -> Result<(), End> {
        let received = Instant::now();
        let passed = self.chain.apply(records);
        let entry =
            Entry { lane, last, originals: passed.originals, roots: passed.roots, received, filtered: passed.filtered };
        let books = &mut self.settler.books;
        let sequence = books.enter(entry);
        // Every part is opened before anything is handed over, so that the batch never looks settled in between.
        let receipt = books.part(lane, sequence, Route::Sink, passed.records.len());
        if passed.condemned.is_empty() && receipt.is_none() {
            books.settle_whole(lane, sequence);
            return self.settler.commit().await;
        }
        if !passed.condemned.is_empty() {
            self.settler.send_dead_letters(lane, sequence, passed.condemned).await?;
        }
        match receipt {
            Some(receipt) => self.put(Batch { records: passed.records, receipt }).await,
            None => Ok(()),
        }
    }

    /// Hands a batch to the sink. While that waits, outcomes are taken in and committed.
    async fn put(&mut self, batch: Batch) -> Result<(), End> {
        let mut give_up = None;
        let mut wanted = self.wanted.clone();
        let put = self.sink.put(batch);
        tokio::pin!(put);
        loop {
            tokio::select! {
                biased;
                done = &mut put => return done.map_err(End::Failed),
                Some(outcome) = self.outcomes.recv() => self.settler.settle(outcome, &mut self.outcomes).await?,
                changed = wanted.changed(), if give_up.is_none() => {
                    changed.map_err(|_| End::Wanted)?;
                    let wanted = *wanted.borrow();
                    if must_end(wanted, self.restarts) {
                        give_up = Some(tokio::time::Instant::now() + self.drain);
                    }
                }
                () = self.conditions.changed() => self.conditions.check().map(|complaint| self.progress.complain(complaint))?,
                () = async { tokio::time::sleep_until(give_up.unwrap_or_else(tokio::time::Instant::now)).await }, if give_up.is_some() => {
                    return Err(End::Wanted);
                }
            }
        }
    }

    fn goes_on(&self, wanted: Wanted) -> Result<(), End> {
        if must_end(wanted, self.restarts) { Err(End::Wanted) } else { Ok(()) }
    }

    /// Polls no more, and waits until what is in flight is settled and committed, or the deadline passes.
    async fn drain(&mut self) {
        self.progress.enter(TaskState::Stopping, None);
        let drained = tokio::time::timeout(self.drain, async {
            while !self.settler.books.is_empty() {
                let flush = async {
                    self.sink.flush().await?;
                    std::future::pending::<Result<()>>().await
                };
                tokio::select! {
                    biased;
                    Some(outcome) = self.outcomes.recv() => self.settler.settle(outcome, &mut self.outcomes).await?,
                    failed = flush => return failed.map_err(End::Failed),
                }
            }
            Ok::<(), End>(())
        });
        let left = match drained.await {
            Ok(Ok(())) => 0,
            Ok(Err(_)) | Err(_) => self.settler.books.in_flight(),
        };
        self.progress.drained(left);
        if left == 0 {
            return;
        }
        info!(
            bridge = %self.settler.definition.name,
            task = self.settler.task,
            "stopping with {left} records unsettled: they stay at their source"
        );
    }

    /// Closes the sink first, so that nothing is delivered any more after the source has given it back.
    async fn close(mut self) {
        within_deadline(self.sink.close()).await;
        if let Some(dead_letter) = &mut self.settler.dead_letter {
            within_deadline(dead_letter.close()).await;
        }
        self.settler.take_stragglers(&mut self.outcomes).await;
        within_deadline(self.settler.source.close()).await;
    }
}

/// Whether this incarnation must end for what is wanted.
fn must_end(wanted: Wanted, restarts: u64) -> bool {
    wanted.exit || wanted.target == Target::Stopped || wanted.restarts != restarts
}

async fn poll_within(source: &mut Box<dyn Source>, room: Option<Limits>) -> Result<Polled> {
    match room {
        Some(limits) => source.poll(limits).await,
        None => std::future::pending().await,
    }
}

/// What goes wrong while closing changes nothing any more: what is uncommitted is given back by the broker itself.
async fn within_deadline(closing: impl Future<Output = Result<()>>) {
    match tokio::time::timeout(CLOSE_DEADLINE, closing).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!("closing: {}", error.chain()),
        Err(_) => tracing::debug!("closing took longer than {CLOSE_DEADLINE:?}"),
    }
}
