//! Says in the log which records were refused, at which stage and why: the first at once, then sums.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;
use tracing::warn;

use crate::{ByStage, in_flight::Condemned};

/// There is a line at most so often.
const PAUSE: Duration = Duration::from_secs(600);

/// What is done with refused records, as a log line says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Written to the dead letter.
    DeadLetters,
    /// Handed to the source's own dead letter.
    Rejected,
    /// Dropped, because the bridge tolerates that.
    Dropped,
}

/// What was told of refused records, and what was not yet. It outlives incarnations.
#[derive(Debug, Default)]
pub(super) struct RefusalLog {
    told: Option<Instant>,
    untold: ByStage,
    last: Option<Last>,
}

/// The last one that was not told.
#[derive(Debug)]
struct Last {
    bridge: Arc<str>,
    task: u32,
    fate: Fate,
    reason: Arc<str>,
}

impl RefusalLog {
    /// These records were refused.
    pub(super) fn tell(&mut self, bridge: &Arc<str>, task: u32, fate: Fate, condemned: &[Condemned]) {
        let Some(last) = condemned.last() else { return };
        condemned.iter().for_each(|record| self.untold.add(record.failure.stage, 1));
        self.last = Some(Last { bridge: bridge.clone(), task, fate, reason: last.failure.reason.clone() });
        self.look();
    }

    /// Time has passed: a sum may be due.
    pub(super) fn look(&mut self) {
        if self.last.is_some() && self.told.is_none_or(|told| told.elapsed() >= PAUSE) {
            self.write();
        }
    }

    fn write(&mut self) {
        let Some(Last { bridge, task, fate, reason }) = self.last.take() else { return };
        let stages = std::mem::take(&mut self.untold);
        let line = line(self.told.is_none(), fate, &stages, &reason);
        self.told = Some(Instant::now());
        warn!(%bridge, task, "{line}");
    }
}

fn line(first: bool, fate: Fate, stages: &ByStage, reason: &str) -> String {
    let count = stages.total();
    let (records, are) = if count == 1 { ("record", "is") } else { ("records", "are") };
    let done = match fate {
        Fate::DeadLetters => "dead-lettered",
        Fate::Rejected => "rejected at the source",
        Fate::Dropped => "dropped",
    };
    if first {
        format!("{count} {records} can never be delivered and {are} {done} ({stages}): {reason}")
    } else {
        format!("{count} more {records} {are} {done} ({stages}); the last: {reason}")
    }
}

impl Drop for RefusalLog {
    /// The task ends: what was not told is told now.
    fn drop(&mut self) {
        self.write();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stages(count: u64) -> ByStage {
        let mut stages = ByStage::default();
        stages.add("TRANSFORMATION", count);
        stages
    }

    #[test]
    fn a_line_says_how_many_where_and_why() {
        assert_eq!(
            line(true, Fate::DeadLetters, &stages(1), "json: the body is not JSON"),
            "1 record can never be delivered and is dead-lettered (TRANSFORMATION 1): json: the body is not JSON"
        );
        assert_eq!(
            line(false, Fate::Dropped, &stages(12), "too large"),
            "12 more records are dropped (TRANSFORMATION 12); the last: too large"
        );
    }
}
