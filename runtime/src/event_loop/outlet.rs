//! A sink that is written to: one of the bridge's, or its dead letter.

use std::{collections::VecDeque, sync::Arc};

use futures_util::FutureExt as _;
use gantry_sdk::{Batch, Health, Result, Sink};

use super::conditions::reason_of;

/// An open sink and what waits for it. It is never waited for while anything else could go on.
pub(super) struct Outlet {
    /// What it is in messages: `sink`, `sinks[1]`, `dead letter`.
    pub(super) name: Arc<str>,
    pub(super) sink: Box<dyn Sink>,
    pub(super) health: Health,
    /// In the order in which they leave (I5). Credit bounds them (I4).
    waiting: VecDeque<Batch>,
    /// A batch was started, and the sink is not ready for another yet.
    busy: bool,
}

impl Outlet {
    /// An open one, to which nothing was written yet.
    pub(super) const fn new(name: Arc<str>, sink: Box<dyn Sink>, health: Health) -> Self {
        Self { name, sink, health, waiting: VecDeque::new(), busy: false }
    }

    /// Hands a batch over, now or when those before it have left.
    pub(super) fn write(&mut self, batch: Batch) -> Result<()> {
        self.waiting.push_back(batch);
        self.start();
        // Most sinks are ready at once: that costs no turn of the loop.
        while self.busy
            && let Some(ready) = self.sink.ready().now_or_never()
        {
            self.is_ready(ready)?;
        }
        Ok(())
    }

    /// Whether a batch has to wait for room.
    pub(super) const fn is_busy(&self) -> bool {
        self.busy
    }

    /// Returns when the sink has become ready; with `flush` and nothing to wait for it is flushed, which shows as outcomes.
    /// An error ends the sink. Cancel-safe.
    pub(super) async fn work(&mut self, flush: bool) -> Result<()> {
        if self.busy {
            let ready = self.sink.ready().await;
            return self.is_ready(ready);
        }
        if flush {
            self.sink.flush().await?;
        }
        std::future::pending().await
    }

    /// Everything that it was given is settled when this returns, what waits included.
    pub(super) async fn flush(&mut self) -> Result<()> {
        while self.busy {
            let ready = self.sink.ready().await;
            self.is_ready(ready)?;
        }
        self.sink.flush().await
    }

    /// Why it cannot be used now.
    pub(super) fn complaint(&self) -> Option<Arc<str>> {
        reason_of(&self.health.get())
    }

    fn is_ready(&mut self, ready: Result<()>) -> Result<()> {
        ready?;
        self.busy = false;
        self.start();
        Ok(())
    }

    fn start(&mut self) {
        if !self.busy
            && let Some(batch) = self.waiting.pop_front()
        {
            self.sink.start(batch);
            self.busy = true;
        }
    }
}
