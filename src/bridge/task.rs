//! One task's life.
//!
//! ```text
//!            ┌────────────────────────── wanted: running or paused ─────────────────────────┐
//!            ▼                                                                              │
//!  ┌──────────────┐ opened ┌─────────┐ pause ┌────────┐                                     │
//!  │   starting   ├───────►│ running │◄─────►│ paused │                                     │
//!  └──────┬───────┘        └──┬─┬─┬──┘resume └───┬────┘                                     │
//!         │ error             │ │ │ stop         │ stop    ┌──────────┐ drained ┌─────────┐ │
//!         │◄──────────────────┘ │ └──────────────┴────────►│ stopping ├────────►│ stopped ├─┘
//!         ▼                     │ source ends, drained     └──────────┘         └─────────┘
//!  ┌─────────────┐              ▼
//!  │ backing off │         ┌──────────┐        failed: only a person can mend it; tried again slowly, or not at all
//!  │  or failed  │         │ finished │        when a record was refused and there is no dead letter for it
//!  └──────┬──────┘         └──────────┘
//!         └── after a pause: starting, in a new epoch (I3)
//! ```
//!
//! Every end of a flow is a value here, never a panic and never silence.

use std::{sync::Arc, time::Duration};

use gantry_sdk::Error;
use tokio::sync::watch;
use tracing::{info, warn};

use super::{
    backoff::Backoff,
    definition::Definition,
    flow::{self, End},
    status::{Progress, Target, TaskState},
};
use crate::telemetry::metrics::TaskMetrics;

/// What the supervisor wants of a task. State, not a queue of commands: the last word counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) target: Target,
    /// Grows with each restart that somebody asked for.
    pub(super) restarts: u64,
    /// The task ends for good.
    pub(super) exit: bool,
}

/// One task: everything it needs to live.
pub(super) struct Task {
    pub(super) id: u32,
    pub(super) definition: Arc<Definition>,
    pub(super) progress: Arc<Progress>,
    pub(super) metrics: TaskMetrics,
    pub(super) wanted: watch::Receiver<Wanted>,
    /// How long draining may take at a stop.
    pub(super) drain: Duration,
}

impl Task {
    /// Lives until the supervisor wants it to end.
    pub(super) async fn run(mut self) {
        let mut backoff = Backoff::new(self.definition.errors.backoff);
        let mut epoch = 0;
        loop {
            let wanted = *self.wanted.borrow_and_update();
            if wanted.exit || wanted.target == Target::Stopped {
                self.progress.enter(TaskState::Stopped, None);
                if wanted.exit || !self.wanted_changes().await {
                    return;
                }
                continue;
            }
            epoch += 1;
            let committed_before = self.progress.snapshot().counts.commits;
            self.progress.begin_epoch(epoch);
            let end = flow::run(&mut self, epoch).await;
            if self.progress.snapshot().counts.commits > committed_before {
                backoff.reset();
            }
            if !self.after(end, &mut backoff).await {
                return;
            }
        }
    }

    /// What follows the end of a flow. `false` when the task must end.
    async fn after(&mut self, end: End, backoff: &mut Backoff) -> bool {
        match end {
            End::Wanted => {
                backoff.reset();
                true
            }
            End::Exhausted => {
                info!(bridge = %self.definition.name, task = self.id, "finished: the source is exhausted and everything is delivered");
                self.progress.enter(TaskState::Finished, None);
                self.wanted_changes().await
            }
            End::Halted(error) => {
                self.fail(&error, "restart the bridge once it is mended");
                self.wanted_changes().await
            }
            End::Failed(error) if error.kind().needs_a_person() => {
                let pause = backoff.slow();
                self.fail(&error, &format!("trying again in {:.0?}", pause));
                self.pause(pause).await
            }
            End::Failed(error) => {
                let pause = backoff.next();
                self.back_off(&error, pause);
                self.pause(pause).await
            }
        }
    }

    fn fail(&self, error: &Error, next: &str) {
        let reason = error.chain();
        if self.is_news(&reason) {
            tracing::error!(bridge = %self.definition.name, task = self.id, "failed: {reason}; {next}");
        }
        self.count_reconnect();
        self.progress.enter(TaskState::Failed, Some(reason.into()));
    }

    fn back_off(&self, error: &Error, pause: Duration) {
        let reason = error.chain();
        if self.is_news(&reason) {
            warn!(bridge = %self.definition.name, task = self.id, "{reason}; trying again in {pause:.1?}");
        }
        self.count_reconnect();
        self.progress.enter(TaskState::BackingOff, Some(reason.into()));
    }

    /// The same trouble is told once, not at every try; `status` and metrics go on showing it.
    fn is_news(&self, reason: &str) -> bool {
        self.progress.last_error().as_deref() != Some(reason)
    }

    fn count_reconnect(&self) {
        self.progress.count(|counts| counts.reconnects += 1);
    }

    /// Waits until something else is wanted. `false` when nobody can want anything any more.
    async fn wanted_changes(&mut self) -> bool {
        self.wanted.changed().await.is_ok()
    }

    async fn pause(&mut self, pause: Duration) -> bool {
        tokio::select! {
            changed = self.wanted.changed() => changed.is_ok(),
            () = tokio::time::sleep(pause) => true,
        }
    }
}
