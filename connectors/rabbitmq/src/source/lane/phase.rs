//! What the lane's consumer is doing, and what comes next.
//!
//! ```text
//!   ┌───────────┐ suspend, or the    ┌─────────┐ window full, or    ┌──────────┐ consumer's ┌───────┐
//!   │ consuming ├── window changes ─►│ holding ├── nothing comes ──►│ stopping ├──── end ──►│ quiet │
//!   └─────▲─────┘◄─── not needed ────┴─────────┘   (basic.cancel)   └──────────┘            └───┬───┘
//!         │                         ┌──────────┐       resumed, and little enough on its way    │
//!         └─────── consume-ok ──────┤ starting │◄───────────────────────────────────────────────┘
//!                                   └──────────┘   (basic.qos, basic.consume)
//! ```
//!
//! *Holding* is there for quorum queues. Their channel returns what reaches it behind the cancel (`rabbit_fifo_client`:
//! `handle_delivery`), which counts against the delivery limit, and before 4.0 it returns more than 32 in no order. So
//! acknowledgements are held back until the broker has sent all that the window allows: then nothing is on its way that the
//! cancel could meet. A queue in which nothing waits has sent everything, too: what it sent is before its answer to the
//! question, which goes the same way. But somebody may publish between that answer and the cancel; so it takes two such
//! answers with nothing in between.
//!
//! While suspended, too, acknowledgements wait: until there is one for everything. The channel of a quorum queue sends on only
//! 32 of them until the queue has taken those (`rabbit_fifo_client`, the soft limit), and forgets the others when it closes:
//! settled messages would come again, and count as failed deliveries.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures_util::FutureExt;
use tokio::time::{Instant, Sleep};

use super::subscription::{Asking, Starting};

/// How often the queue is asked whether something waits in it.
const GAP: Duration = Duration::from_millis(100);

/// Acknowledgements are held back no longer. Who leaves room in the window and messages in the queue for so long will not send
/// them in the next moment: another consumer is preferred.
const PATIENCE: Duration = Duration::from_secs(2);

/// See the module.
pub(super) enum Phase {
    /// The broker sends.
    Consuming,
    /// The broker sends until the window is full; acknowledgements wait.
    Holding(Hold),
    /// The broker was asked to stop.
    Stopping,
    /// Nothing comes any more.
    Quiet,
    /// A consumer is on its way.
    Starting(Starting),
}

/// Acknowledgements that wait.
pub(super) struct Hold {
    asking: Option<Asking>,
    /// From one question to the next.
    timer: Pin<Box<Sleep>>,
    until: Instant,
    /// Nothing waited when the queue answered last, and nothing has come since.
    quiet: bool,
}

impl Hold {
    pub(super) fn begin(asking: Asking) -> Self {
        let (timer, until) = (Box::pin(tokio::time::sleep(GAP)), Instant::now() + PATIENCE);
        Self { asking: Some(asking), timer, until, quiet: false }
    }

    /// A message came.
    pub(super) fn note(&mut self) {
        self.quiet = false;
    }

    /// Whether nothing waited when the queue answered last, and nothing has come since.
    pub(super) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Whether there is nothing to wait for any more: nothing comes, or it has been too long.
    pub(super) fn poll_over(&mut self, context: &mut Context<'_>, ask: impl Fn() -> Asking) -> Poll<lapin::Result<()>> {
        loop {
            if let Some(asking) = &mut self.asking {
                let nothing_waits = ready!(asking.poll_unpin(context))?;
                self.asking = None;
                let now = Instant::now();
                if (nothing_waits && self.quiet) || now >= self.until {
                    return Poll::Ready(Ok(()));
                }
                self.quiet = nothing_waits;
                self.timer.as_mut().reset(now + GAP);
            }
            ready!(self.timer.as_mut().poll(context));
            self.asking = Some(ask());
        }
    }
}

impl Phase {
    /// Whether the consumer can still bring something.
    pub(super) fn delivers(&self) -> bool {
        matches!(self, Self::Consuming | Self::Holding(_) | Self::Stopping)
    }
}
