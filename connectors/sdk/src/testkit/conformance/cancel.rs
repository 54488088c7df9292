//! Calls that are dropped before they are done.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
    time::Duration,
};

/// How far a call gets before it is dropped: to its first await that waits, to its second, and so on; or for a little while; and from
/// the start. Calls of which nothing comes for long get more time: a call may be slow and still be cancel-safe.
#[derive(Debug, Default)]
pub(super) struct Impatience {
    calls: usize,
    fruitless: u32,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    /// It is looked at so many times.
    Looks(u32),
    /// It is waited for so long.
    Wait(Duration),
}

impl Impatience {
    const STEPS: [Step; 8] = [
        Step::Looks(1),
        Step::Looks(2),
        Step::Wait(Duration::from_millis(1)),
        Step::Looks(3),
        Step::Looks(1),
        Step::Looks(4),
        Step::Wait(Duration::from_millis(4)),
        Step::Looks(7),
    ];
    /// Calls of which nothing comes before all get twice the time.
    const LONG: u32 = 32;

    /// What the call yields; `None`: it was dropped.
    pub(super) async fn wait_for<T>(&mut self, call: impl Future<Output = T>) -> Option<T> {
        let step = Self::STEPS[self.calls % Self::STEPS.len()];
        self.calls += 1;
        let yielded = match step {
            Step::Looks(times) => look(times, call).await,
            Step::Wait(time) => {
                let doubled = (self.fruitless / Self::LONG).min(9);
                tokio::time::timeout(time * 2_u32.pow(doubled), call).await.ok()
            }
        };
        self.fruitless = if yielded.is_some() { 0 } else { self.fruitless + 1 };
        // Whatever serves the connector on this thread has its turn.
        tokio::task::yield_now().await;
        yielded
    }
}

async fn look<T>(times: u32, call: impl Future<Output = T>) -> Option<T> {
    let mut call = pin!(call);
    for _ in 0..times {
        if let Poll::Ready(yielded) = poll_fn(|context| Poll::Ready(call.as_mut().poll(context))).await {
            return Some(yielded);
        }
        tokio::task::yield_now().await;
    }
    None
}
