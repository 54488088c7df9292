//! One task's life.
//!
//! The states, and what leads from one to the next, are drawn in docs/architecture.md (*the life of a task*): start, run, pause,
//! stop; back off after an error and start again in a new epoch (I3); wait for a person when only one can mend it.
//!
//! Every end of an event loop is a value here, never a panic and never silence.

use std::time::Duration;

use gantry_sdk::Error;
use tracing::{error, info, warn};

use crate::{
    assignment::Assignment,
    backoff::Backoff,
    event_loop::{self, IncarnationEnd, Lasting},
    liveness::{self, SlowSteps, Watchdog},
    log_limiter::{LogLimiter, span},
    secret_files::SecretFiles,
    status::{Target, TaskState},
};

/// What a task waits for when an event loop has ended.
#[derive(Debug, Clone, Copy)]
enum Next {
    /// Nothing.
    Now,
    /// Until something else is wanted.
    WhenWanted,
    /// That time, or less: until something else is wanted, or a secret has changed.
    After(Duration),
}

/// One task of a bridge.
pub(super) struct Task {
    assignment: Assignment,
}

impl Task {
    pub(super) const fn new(assignment: Assignment) -> Self {
        Self { assignment }
    }

    /// Lives until the supervisor wants it to end.
    pub(super) async fn run(mut self) {
        let mut backoff = Backoff::new(self.assignment.definition.errors.backoff);
        let mut lasting = Lasting::new(&self.assignment.definition);
        let (watchdog, mut slow_steps) = (Watchdog::new(), SlowSteps::default());
        let mut secrets = SecretFiles::of(&self.assignment.definition);
        let (mut epoch, mut restarts) = (0, 0);
        loop {
            let wanted = *self.assignment.wanted.borrow_and_update();
            let rests = wanted.exit || wanted.target == Target::Stopped;
            if rests || wanted.restarts != restarts {
                restarts = wanted.restarts;
                lasting.let_go(&watchdog).await;
            }
            if rests {
                self.assignment.progress.enter(TaskState::Stopped, None);
                if wanted.exit || !self.wanted_changes().await {
                    return;
                }
                continue;
            }
            epoch += 1;
            let committed_before = self.assignment.progress.snapshot().counts.commits;
            self.assignment.progress.begin_epoch(epoch);
            secrets.note().await;
            let end = self.live(&mut lasting, &watchdog, &mut slow_steps, epoch).await;
            if self.assignment.progress.snapshot().counts.commits > committed_before {
                backoff.reset();
            }
            let next = self.after(end, &mut backoff, &mut lasting.failures);
            if !self.wait(next, &secrets, &mut backoff).await {
                return;
            }
        }
    }

    /// One event loop, under guard: one that shows no sign of life is dropped, and what it held goes back to its source.
    async fn live(
        &self,
        lasting: &mut Lasting,
        watchdog: &Watchdog,
        slow_steps: &mut SlowSteps,
        epoch: u64,
    ) -> IncarnationEnd {
        watchdog.report("starting");
        tokio::select! {
            biased;
            end = event_loop::run(&self.assignment, lasting, watchdog, epoch) => end,
            broken = liveness::silence(watchdog, self.assignment.definition.stall_timeout) => broken.into(),
            never = slow_steps.tell(&self.assignment, watchdog) => match never {},
        }
    }

    /// Takes in the end of an event loop, shows and tells it. Returns what is to be waited for.
    fn after(&self, end: IncarnationEnd, backoff: &mut Backoff, failures: &mut LogLimiter) -> Next {
        let (bridge, task) = (&self.assignment.definition.name, self.assignment.id);
        match end {
            IncarnationEnd::Wanted => {
                backoff.reset();
                Next::Now
            }
            IncarnationEnd::Exhausted => {
                info!(%bridge, task, "finished: the source is exhausted and everything is delivered");
                self.assignment.progress.enter(TaskState::Finished, None);
                Next::WhenWanted
            }
            IncarnationEnd::Halted(error) => {
                let reason = self.count_failure(&error);
                if let Some(line) = failures.failed(&reason) {
                    error!(%bridge, task, "failed: {line}; restart the bridge once it is mended");
                }
                self.assignment.progress.enter(TaskState::Failed, Some(reason.into()));
                Next::WhenWanted
            }
            IncarnationEnd::Stalled(error) => {
                self.assignment.progress.count(|counts| counts.stalls += 1);
                self.try_again(&error, backoff, failures)
            }
            IncarnationEnd::Failed(error) => self.try_again(&error, backoff, failures),
        }
    }

    fn try_again(&self, error: &Error, backoff: &mut Backoff, failures: &mut LogLimiter) -> Next {
        let (bridge, task) = (&self.assignment.definition.name, self.assignment.id);
        let (kind, reason) = (error.kind(), self.count_failure(error));
        let pause = backoff.after(kind);
        let told = failures.failed(&reason).map(|line| format!("{line}; trying again in {}", span(pause)));
        let state = if kind.needs_a_person() { TaskState::Failed } else { TaskState::BackingOff };
        match told {
            Some(line) if state == TaskState::Failed => error!(%bridge, task, "failed: {line}"),
            Some(line) => warn!(%bridge, task, "{line}"),
            None => {}
        }
        self.assignment.progress.wait(state, reason.into(), pause);
        Next::After(pause)
    }

    /// Counts an end by an error, and returns its text.
    fn count_failure(&self, error: &Error) -> String {
        self.assignment.progress.count(|counts| counts.reconnects += 1);
        error.chain()
    }

    /// Waits for the next try, and not for longer than there is reason to. `false` when the task must end.
    async fn wait(&mut self, next: Next, secrets: &SecretFiles, backoff: &mut Backoff) -> bool {
        let pause = match next {
            Next::Now => return true,
            Next::WhenWanted => return self.wanted_changes().await,
            Next::After(pause) => pause,
        };
        tokio::select! {
            wanted = self.wanted_changes() => {
                backoff.reset();
                wanted
            }
            path = secrets.changed() => {
                info!(bridge = %self.assignment.definition.name, task = self.assignment.id, "{} has changed: trying again", path.display());
                backoff.reset();
                true
            }
            () = tokio::time::sleep(pause) => true,
        }
    }

    /// Waits until something else is wanted. `false` when nobody can want anything any more.
    async fn wanted_changes(&mut self) -> bool {
        self.assignment.wanted.changed().await.is_ok()
    }
}
