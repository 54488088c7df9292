//! Everything that a task writes to: the bridge's sinks, and its dead letter.
//!
//! While only the source cannot be opened they stay open from try to try.

use std::{panic::AssertUnwindSafe, sync::Arc};

use futures_util::{
    FutureExt as _,
    future::{join_all, select_all},
};
use gantry_sdk::{Batch, Checkpoints, Error, Health, Remembered, Result, Transactions, plugin::SinkPlugin, receipt};

use super::{context::context, deadline::within_deadline, outlet::Outlet};
use crate::{assignment::Assignment, definition::Part, liveness::Watchdog};

/// The outlets of a task, open.
pub(super) struct Outlets {
    /// In the order of the definition; at least one.
    pub(super) sinks: Vec<Outlet>,
    /// If dead letters are written somewhere.
    pub(super) dead_letter: Option<Outlet>,
}

impl Outlets {
    /// Leaves open ones in `kept`: those that are there and in order, or new ones.
    pub(super) async fn open_or_keep(kept: &mut Option<Self>, task: &Assignment, watchdog: &Watchdog) -> Result<()> {
        if kept.as_ref().is_some_and(|outlets| outlets.complaint().is_some()) {
            Self::close_kept(kept, watchdog).await;
        }
        if kept.is_none() {
            *kept = Some(Self::open(task, watchdog).await?);
        }
        Ok(())
    }

    async fn open(task: &Assignment, watchdog: &Watchdog) -> Result<Self> {
        let mut outlets = Self { sinks: Vec::new(), dead_letter: None };
        match outlets.open_all(task, watchdog).await {
            Ok(()) => Ok(outlets),
            Err(error) => {
                outlets.close(watchdog).await;
                Err(error)
            }
        }
    }

    async fn open_all(&mut self, task: &Assignment, watchdog: &Watchdog) -> Result<()> {
        let branches = &task.definition.sinks;
        for (index, branch) in branches.iter().enumerate() {
            let name = if branches.len() == 1 { "sink".into() } else { format!("sinks[{index}]").into() };
            watchdog.report("opening the sink");
            self.sinks.push(open(task, &branch.sink, name, task.memory.sink(index), false).await?);
        }
        if let Some(part) = task.definition.errors.dead_letter_in_use() {
            watchdog.report("opening the dead letter");
            let remembered = task.memory.dead_letter();
            self.dead_letter = Some(open(task, part, "dead letter".into(), remembered, true).await?);
        }
        Ok(())
    }

    /// Hands a batch to that outlet.
    pub(super) fn write(&mut self, outlet: receipt::Outlet, batch: Batch) -> Result<()> {
        let outlet = match outlet {
            receipt::Outlet::Sink(index) => self.sinks.get_mut(usize::from(index)),
            receipt::Outlet::DeadLetter => self.dead_letter.as_mut(),
        };
        outlet.ok_or_else(|| Error::internal("the outlet is not open"))?.write(batch)
    }

    /// Whether a sink has no room for more: then nothing is polled. A dead letter may have as much waiting as credit allows.
    pub(super) fn have_no_room(&self) -> bool {
        self.sinks.iter().any(Outlet::is_busy)
    }

    /// Whether any of them has to be waited for.
    pub(super) fn are_busy(&self) -> bool {
        self.all().any(Outlet::is_busy)
    }

    /// Returns when one that was busy has become ready. With `flush`, sinks that are not are flushed. An error ends the
    /// incarnation. Cancel-safe.
    pub(super) async fn work(&mut self, flush: bool) -> Result<()> {
        if let ([sink], false) = (self.sinks.as_mut_slice(), self.dead_letter.as_ref().is_some_and(Outlet::is_busy)) {
            return sink.work(flush).await;
        }
        let mut working = Vec::new();
        for sink in &mut self.sinks {
            working.push(Box::pin(sink.work(flush)));
        }
        if let Some(dead_letter) = &mut self.dead_letter {
            working.push(Box::pin(dead_letter.work(false)));
        }
        select_all(working).await.0
    }

    /// Flushes all of them, for no longer than a close may take.
    pub(super) async fn flush(&mut self) {
        let outlets = self.sinks.iter_mut().chain(&mut self.dead_letter);
        let flushing: Vec<_> = outlets.map(|outlet| within_deadline(outlet.flush())).collect();
        join_all(flushing).await;
    }

    /// Closes all of them: nothing is delivered any more after it.
    pub(super) async fn close(&mut self, watchdog: &Watchdog) {
        watchdog.report("closing the sink");
        let outlets = self.sinks.drain(..).chain(self.dead_letter.take());
        let closing: Vec<_> = outlets.map(|outlet| within_deadline(outlet.sink.close())).collect();
        join_all(closing).await;
    }

    /// Closes those that are kept, if there are any. A panic in a connector ends here.
    pub(super) async fn close_kept(kept: &mut Option<Self>, watchdog: &Watchdog) {
        let Some(mut outlets) = kept.take() else { return };
        if AssertUnwindSafe(outlets.close(watchdog)).catch_unwind().await.is_err() {
            tracing::debug!("closing panicked");
        }
    }

    /// The transactions of the one sink of a bridge that delivers exactly once.
    pub(super) fn transactions(&mut self) -> Result<&mut dyn Transactions> {
        let sink = match self.sinks.as_mut_slice() {
            [outlet] => outlet.sink.transactions(),
            _ => None,
        };
        sink.ok_or_else(|| Error::config("the sink has no transactions, which delivery: exactly_once needs"))
    }

    /// What the sink has stored of where to go on.
    pub(super) fn stored(&mut self) -> Result<Checkpoints> {
        Ok(self.transactions()?.stored())
    }

    /// Why one of them cannot be used now.
    pub(super) fn complaint(&self) -> Option<Arc<str>> {
        self.all().find_map(Outlet::complaint)
    }

    /// Sinks first, then the dead letter.
    pub(super) fn all(&self) -> impl Iterator<Item = &Outlet> {
        self.sinks.iter().chain(&self.dead_letter)
    }
}

async fn open(
    task: &Assignment,
    part: &Part<SinkPlugin>,
    name: Arc<str>,
    remembered: &Remembered,
    dead_letter: bool,
) -> Result<Outlet> {
    let health = Health::new();
    let opening =
        part.make(|options| (part.plugin.create)(options, context(task, part, &health, remembered, dead_letter)))?;
    Ok(Outlet::new(name, opening.await?, health))
}
