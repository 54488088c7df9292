//! A short pause between polls when records come thick and fast in small batches.
//!
//! At 40,000 records a second a source that is polled the moment something is there gives four records at a time, and
//! waking up for them costs more than moving them. So after a small batch, and only while records come fast, the event loop
//! waits a moment: the next batch is ten times larger. A bridge with little to do never waits.

use std::time::Duration;

use tokio::time::Instant;

/// How long the pause is: the smallest that the runtime's timer can tell.
const PAUSE: Duration = Duration::from_millis(1);
/// Records a second from which on it pays.
const FAST: f64 = 5_000.0;
/// A batch as large as this needs no help.
const LARGE: usize = 100;

/// When the next poll may be.
#[derive(Debug)]
pub(super) struct PollCoalescing {
    last: Instant,
    until: Option<Instant>,
}

impl PollCoalescing {
    pub(super) fn new() -> Self {
        Self { last: Instant::now(), until: None }
    }

    /// A poll brought so many records.
    pub(super) fn polled(&mut self, records: usize) {
        let now = Instant::now();
        let rate = records as f64 / now.duration_since(self.last).as_secs_f64();
        self.last = now;
        self.until = (records < LARGE && rate >= FAST).then_some(now + PAUSE);
    }

    /// How long not to poll; `None` once that has passed.
    pub(super) fn until(&mut self) -> Option<Instant> {
        self.until = self.until.filter(|until| *until > Instant::now());
        self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_small_batches_in_quick_succession_are_waited_for() {
        let mut poll_coalescing = PollCoalescing::new();
        tokio::time::advance(Duration::from_millis(1)).await;
        poll_coalescing.polled(1);
        assert_eq!(poll_coalescing.until(), None, "a thousand a second");
        tokio::time::advance(Duration::from_micros(100)).await;
        poll_coalescing.polled(LARGE);
        assert_eq!(poll_coalescing.until(), None, "large already");
        tokio::time::advance(Duration::from_micros(100)).await;
        poll_coalescing.polled(4);
        assert!(poll_coalescing.until().is_some(), "forty thousand a second");
        tokio::time::advance(PAUSE).await;
        assert_eq!(poll_coalescing.until(), None, "it is over");
    }
}
