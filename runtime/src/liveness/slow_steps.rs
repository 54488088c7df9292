//! A step that goes on for long is told while it goes on: an opening that waits for a busy broker must not look like nothing.

use std::{convert::Infallible, time::Duration};

use tokio::time::sleep;
use tracing::warn;

use super::Watchdog;
use crate::{
    assignment::Assignment,
    log_limiter::{LogLimiter, span},
    status::Progress,
};

/// Most steps take milliseconds. One that takes so long is told.
const LONG: Duration = Duration::from_secs(10);

/// How often it looks whether such a step has ended.
const LOOK: Duration = Duration::from_secs(1);

/// Tells of the steps of one task that take long.
#[derive(Debug, Default)]
pub(crate) struct SlowSteps {
    log: LogLimiter,
}

impl SlowSteps {
    /// Puts each into the task's status for as long as it goes on, and into the log. Cancel-safe.
    pub(crate) async fn tell(&mut self, task: &Assignment, watchdog: &Watchdog) -> Infallible {
        loop {
            let step @ (since, doing) = watchdog.silent_for(LONG).await;
            let shown = Shown(&task.progress);
            let mut told_at = Duration::ZERO;
            while watchdog.last() == step {
                let time = since.elapsed();
                if time >= told_at * 2 {
                    told_at = time;
                    let line = format!("{doing} has taken {} and goes on", span(time));
                    if let Some(line) = self.log.failed(&line) {
                        warn!(bridge = %task.definition.name, task = task.id, "{line}");
                    }
                    shown.0.set_slow_step(Some(line.into()));
                }
                sleep(LOOK).await;
            }
            drop(shown);
            self.log.works();
        }
    }
}

/// A step is shown in the status; dropped, not any more, however it ended.
struct Shown<'t>(&'t Progress);

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        self.0.set_slow_step(None);
    }
}
