//! An event loop's sign of life, for the guard outside of it: an await that never returns cannot tell of itself.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

/// When the event loop was last heard of, and what it was about to do then.
#[derive(Debug)]
pub(crate) struct Watchdog {
    last: Mutex<(Instant, &'static str)>,
}

impl Watchdog {
    pub(crate) fn new() -> Self {
        Self { last: Mutex::new((Instant::now(), "starting")) }
    }

    /// The event loop lives, and is about to do this.
    pub(crate) fn report(&self, doing: &'static str) {
        *self.lock() = (Instant::now(), doing);
    }

    /// When it was last heard of, and what it has been doing since.
    pub(super) fn last(&self) -> (Instant, &'static str) {
        *self.lock()
    }

    /// Returns when nothing was heard for so long, with [`Self::last`].
    pub(super) async fn silent_for(&self, limit: Duration) -> (Instant, &'static str) {
        loop {
            let last @ (heard, _) = self.last();
            if heard.elapsed() >= limit {
                return last;
            }
            sleep_until(heard + limit).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, (Instant, &'static str)> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn silence_counts_from_the_last_beat_and_is_told_with_what_was_going_on() {
        let watchdog = Watchdog::new();
        let begun = Instant::now();
        let beats = async {
            for _ in 0..3 {
                tokio::time::sleep(Duration::from_secs(9)).await;
                watchdog.report("opening the sink");
            }
            std::future::pending::<()>().await;
        };
        let doing = tokio::select! {
            (_, doing) = watchdog.silent_for(Duration::from_secs(10)) => doing,
            () = beats => unreachable!("it never ends"),
        };
        assert_eq!((doing, begun.elapsed().as_secs()), ("opening the sink", 37));
    }
}
