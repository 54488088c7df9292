//! A task that starts while it is paused.

use std::time::Duration;

use super::outlets::Outlets;
use crate::{
    assignment::Assignment,
    liveness::Watchdog,
    status::{Target, TaskState},
};

/// How often somebody looks while a paused task waits to open its source.
const LOOK: Duration = Duration::from_secs(1);

/// Returns when the task is not paused. A source takes as soon as it is open, and what it took would have to go through or
/// to go back: so a task that starts while it is paused opens its source when it goes on. Whoever calls this watches what
/// is wanted.
pub(super) async fn unless_paused(outlets: &mut Option<Outlets>, task: &Assignment, watchdog: &Watchdog) {
    while task.wanted.borrow().target == Target::Paused {
        watchdog.report("waiting for the end of a pause");
        task.progress.enter(TaskState::Paused, outlets.as_ref().and_then(Outlets::complaint));
        tokio::time::sleep(LOOK).await;
    }
}
