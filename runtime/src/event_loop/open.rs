//! Opening: the sink, then the dead letter, then the source, so that nothing is taken before it can be delivered.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use gantry_sdk::{
    Context, Health, Result, Sink, Source,
    plugin::{CurrentOptions, Plugin, RetryPolicy},
};
use tokio::time::Instant;

use super::conditions::reason_of;
use crate::{
    assignment::Assignment,
    definition::Part,
    status::{Target, TaskState},
    watchdog::Watchdog,
};

/// Closing a connection to a broker that does not answer takes no longer than this.
const CLOSE_DEADLINE: Duration = Duration::from_secs(10);
/// A source that is kept open is given up when its sink has been away for so long: what it holds of a broker, a member's
/// partitions above all, others may want.
const KEPT: Duration = Duration::from_secs(30);
/// How often somebody looks while a paused task waits to open its source.
const LOOK: Duration = Duration::from_secs(1);

/// The sink and the dead letter, open. While only the source cannot be opened they stay open from try to try.
pub(super) struct Outlets {
    pub(super) sink: Box<dyn Sink>,
    pub(super) sink_health: Health,
    /// The sink of the dead letters, if they are written somewhere.
    pub(super) dead_letter: Option<Box<dyn Sink>>,
    pub(super) dead_letter_health: Health,
}

impl Outlets {
    /// Leaves open ones in `kept`: those that are there and in order, or new ones.
    pub(super) async fn open_or_keep(kept: &mut Option<Self>, task: &Assignment, watchdog: &Watchdog) -> Result<()> {
        if kept.as_ref().is_some_and(|outlets| outlets.complaint().is_some()) {
            Self::close(kept, watchdog).await;
        }
        if kept.is_none() {
            *kept = Some(Self::open(task, watchdog).await?);
        }
        Ok(())
    }

    async fn open(task: &Assignment, watchdog: &Watchdog) -> Result<Self> {
        let definition = &task.definition;
        let [sink_health, dead_letter_health] = [Health::new(), Health::new()];
        let plugin = definition.sinks[0].sink.plugin;
        let mut sink = definition
            .sink
            .make(|options| (plugin.create)(options, context(task, &definition.sinks[0].sink, &sink_health, false)))?;
        watchdog.report("opening the sink");
        sink.open().await?;
        let dead_letter = match open_dead_letter(task, &dead_letter_health, watchdog).await {
            Ok(dead_letter) => dead_letter,
            Err(error) => {
                within_deadline(sink.close()).await;
                return Err(error);
            }
        };
        Ok(Self { sink, sink_health, dead_letter, dead_letter_health })
    }

    /// Why they cannot be used now.
    fn complaint(&self) -> Option<Arc<str>> {
        reason_of(&self.sink_health.get()).or_else(|| reason_of(&self.dead_letter_health.get()))
    }

    /// Closes those that are kept, if there are any. A panic in a connector ends here.
    pub(super) async fn close(kept: &mut Option<Self>, watchdog: &Watchdog) {
        let Some(mut outlets) = kept.take() else { return };
        watchdog.report("closing the sink");
        let closing = async {
            within_deadline(outlets.sink.close()).await;
            if let Some(dead_letter) = &mut outlets.dead_letter {
                within_deadline(dead_letter.close()).await;
            }
        };
        closed(closing).await;
    }
}

/// A source, open.
pub(super) struct Inlet {
    pub(super) source: Box<dyn Source>,
    pub(super) health: Health,
}

/// A source that outlived an incarnation which another part ended. It has given back what it held.
pub(super) struct Rested {
    inlet: Inlet,
    since: Instant,
}

impl Inlet {
    /// Takes the one that was kept, or opens a new one.
    pub(super) async fn take_or_open(
        kept: &mut Option<Rested>,
        task: &Assignment,
        watchdog: &Watchdog,
    ) -> Result<Self> {
        match kept.take() {
            Some(Rested { inlet, .. }) => Ok(inlet),
            None => Self::open(task, watchdog).await,
        }
    }

    async fn open(task: &Assignment, watchdog: &Watchdog) -> Result<Self> {
        let (part, health) = (&task.definition.source, Health::new());
        let mut source = part.make(|options| (part.plugin.create)(options, context(task, part, &health, false)))?;
        watchdog.report("opening the source");
        if let Err(error) = source.open().await {
            within_deadline(source.close()).await;
            return Err(error);
        }
        Ok(Self { source, health })
    }

    /// Gives back what it holds; keeps the rest of it in `kept` if that can be, else closes it.
    pub(super) async fn rest(mut self, kept: &mut Option<Rested>, watchdog: &Watchdog) {
        watchdog.report("giving back to the source");
        match tokio::time::timeout(CLOSE_DEADLINE, self.source.give_back()).await {
            Ok(Ok(true)) => *kept = Some(Rested { inlet: self, since: Instant::now() }),
            Ok(Ok(false) | Err(_)) | Err(_) => self.close(watchdog).await,
        }
    }

    pub(super) async fn close(mut self, watchdog: &Watchdog) {
        watchdog.report("closing the source");
        within_deadline(self.source.close()).await;
    }
}

impl Rested {
    /// Closes the one that is kept, if it has been for too long.
    pub(super) async fn close_if_stale(kept: &mut Option<Self>, watchdog: &Watchdog) {
        if kept.as_ref().is_some_and(|rested| rested.since.elapsed() > KEPT) {
            Self::close(kept, watchdog).await;
        }
    }

    /// Closes the one that is kept, if there is one. A panic in a connector ends here.
    pub(super) async fn close(kept: &mut Option<Self>, watchdog: &Watchdog) {
        let Some(Self { inlet, .. }) = kept.take() else { return };
        closed(inlet.close(watchdog)).await;
    }
}

/// A panic in a connector ends here.
async fn closed(closing: impl Future<Output = ()>) {
    if AssertUnwindSafe(closing).catch_unwind().await.is_err() {
        tracing::debug!("closing panicked");
    }
}

async fn open_dead_letter(task: &Assignment, health: &Health, watchdog: &Watchdog) -> Result<Option<Box<dyn Sink>>> {
    let Some(part) = task.definition.errors.dead_letter_in_use() else { return Ok(None) };
    let mut sink = part.make(|options| (part.plugin.create)(options, context(task, part, health, true)))?;
    watchdog.report("opening the dead letter");
    sink.open().await?;
    Ok(Some(sink))
}

/// Returns when the task is not paused. A source takes as soon as it is open, and what it took would have to go through or
/// to go back: so a task that starts while it is paused opens its source when it goes on. Whoever calls this watches what
/// is wanted.
pub(super) async fn unless_paused(outlets: &mut Option<Outlets>, task: &Assignment, watchdog: &Watchdog) {
    while task.wanted.borrow().target == Target::Paused {
        watchdog.report("waiting for the end of a pause");
        let complaint = outlets.as_ref().and_then(Outlets::complaint);
        task.progress.enter(TaskState::Paused, complaint);
        tokio::time::sleep(LOOK).await;
    }
}

fn context<P: Plugin + Clone>(task: &Assignment, part: &Part<P>, health: &Health, dead_letter: bool) -> Context {
    let definition = &task.definition;
    let part = part.clone();
    Context {
        bridge: definition.name.clone(),
        task: task.id,
        health: health.clone(),
        // A sink has neither, and says none.
        lag: task.progress.lag(),
        depth: task.progress.depth(),
        lost: task.progress.lost(),
        // Nothing comes after a dead letter: it is tried until it is taken.
        retry: RetryPolicy {
            max_attempts: definition.errors.retry.max_attempts.filter(|_| !dead_letter),
            ..definition.errors.retry
        },
        options: CurrentOptions::new(move || part.checked()),
        dead_letter,
        in_flight_bytes: definition.limits.in_flight_bytes.min(task.share.even_part()),
    }
}

/// What goes wrong while closing changes nothing any more: what is uncommitted is given back by the broker itself.
pub(super) async fn within_deadline(closing: impl Future<Output = Result<()>>) {
    match tokio::time::timeout(CLOSE_DEADLINE, closing).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!("closing: {}", error.chain()),
        Err(_) => tracing::debug!("closing took longer than {CLOSE_DEADLINE:?}"),
    }
}
