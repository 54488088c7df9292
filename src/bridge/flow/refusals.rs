//! Says in the log which records were refused when no dead letter of Gantry's own keeps the reason: the first at once, then
//! sums.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;
use tracing::warn;

use crate::bridge::books::Condemned;

/// There is a line at most so often.
const PAUSE: Duration = Duration::from_secs(600);

/// What was told of refused records, and what was not yet.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    told: Option<Instant>,
    untold: u64,
    /// Of the last one that was not told: bridge, task, what became of it, why.
    last: Option<(Arc<str>, u32, &'static str, Arc<str>)>,
}

impl Refusals {
    /// These records were refused; `became` says what is done with them.
    pub(super) fn tell(&mut self, bridge: &Arc<str>, task: u32, became: &'static str, condemned: &[Condemned]) {
        let Some(last) = condemned.last() else { return };
        self.untold += condemned.len() as u64;
        self.last = Some((bridge.clone(), task, became, last.failure.reason.clone()));
        if self.told.is_none_or(|told| told.elapsed() >= PAUSE) {
            self.write();
        }
    }

    fn write(&mut self) {
        let Some((bridge, task, became, reason)) = self.last.take() else { return };
        let count = std::mem::take(&mut self.untold);
        match self.told.replace(Instant::now()) {
            None => warn!(%bridge, task, "{count} record(s) can never be delivered and are {became}: {reason}"),
            Some(_) => warn!(%bridge, task, "{count} more record(s) were {became} since; the last: {reason}"),
        }
    }
}

impl Drop for Refusals {
    /// The incarnation ends: what was not told is told now.
    fn drop(&mut self) {
        self.write();
    }
}
