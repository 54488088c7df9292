//! Calls that are dropped before they are done.

use std::{future::Future, time::Duration};

/// How long a call is waited for before it is dropped: not at all, a little, a little longer, and from the start. Calls of which
/// nothing comes for long get more time: a call may be slow and still be cancel-safe.
#[derive(Debug, Default)]
pub(super) struct Impatience {
    calls: usize,
    fruitless: u32,
}

impl Impatience {
    const STEPS: [Duration; 4] = [Duration::ZERO, Duration::from_millis(1), Duration::ZERO, Duration::from_millis(4)];
    /// Calls of which nothing comes before all get twice the time.
    const LONG: u32 = 32;

    /// What the call yields; `None`: it was dropped.
    pub(super) async fn wait_for<T>(&mut self, call: impl Future<Output = T>) -> Option<T> {
        let doubled = (self.fruitless / Self::LONG).min(9);
        let patience = Self::STEPS[self.calls % Self::STEPS.len()] * 2_u32.pow(doubled);
        self.calls += 1;
        let yielded = tokio::time::timeout(patience, call).await.ok();
        self.fruitless = if yielded.is_some() { 0 } else { self.fruitless + 1 };
        // Whatever serves the connector on this thread has its turn.
        tokio::task::yield_now().await;
        yielded
    }
}
