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
use gantry_sdk::{Error, Result};
use tokio::time::{Instant, Sleep};

use super::{
    Lane,
    subscription::{Asking, Starting, cancel},
};
use crate::error::{During, translate};

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
    fn begin(asking: Asking) -> Self {
        let (timer, until) = (Box::pin(tokio::time::sleep(GAP)), Instant::now() + PATIENCE);
        Self { asking: Some(asking), timer, until, quiet: false }
    }

    /// A message came.
    pub(super) fn note(&mut self) {
        self.quiet = false;
    }

    /// Whether there is nothing to wait for any more: nothing comes, or it has been too long.
    fn poll_over(&mut self, context: &mut Context<'_>, ask: impl Fn() -> Asking) -> Poll<lapin::Result<()>> {
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

impl Lane {
    /// Goes as far as it can now. `true` when the deliveries must be looked at anew before it can go on.
    pub(super) fn advance(&mut self, context: &mut Context<'_>) -> Result<bool> {
        loop {
            match &mut self.phase {
                Phase::Consuming => {
                    if !self.wants_to_stop() {
                        return Ok(false);
                    }
                    self.phase = Phase::Holding(Hold::begin(self.subscription.ask(&self.channel)));
                    return Ok(true);
                }
                Phase::Holding(hold) => {
                    let over = match hold.poll_over(context, || self.subscription.ask(&self.channel)) {
                        Poll::Pending => false,
                        Poll::Ready(Ok(())) => true,
                        Poll::Ready(Err(error)) => return Err(self.not_started(&error)),
                    };
                    return self.hold(over);
                }
                Phase::Stopping => return Ok(false),
                Phase::Quiet => {
                    if !self.may_start() {
                        return Ok(false);
                    }
                    self.start();
                }
                Phase::Starting(starting) => match starting.poll_unpin(context) {
                    Poll::Pending => return Ok(false),
                    Poll::Ready(Ok(consumer)) => {
                        self.deliveries.follow(consumer);
                        self.tags.begin_consumer();
                        self.phase = Phase::Consuming;
                        return Ok(true);
                    }
                    Poll::Ready(Err(error)) => return Err(self.not_started(&error)),
                },
            }
        }
    }

    fn start(&mut self) {
        let prefetch = self.window.next();
        self.window.set(prefetch);
        self.phase = Phase::Starting(self.subscription.start(&self.channel, prefetch));
        let average = self.window.average();
        tracing::debug!(queue = &*self.queue, prefetch, average, "consuming with this effective prefetch");
    }

    fn wants_to_stop(&mut self) -> bool {
        self.suspended || self.window.wish(self.tags.outstanding()).is_some()
    }

    /// Holding goes on until the window is full, or nothing comes any more; `false` while it does.
    fn hold(&mut self, over: bool) -> Result<bool> {
        let wish = self.window.wish(self.tags.outstanding());
        let growing = !self.suspended && wish.is_some_and(|wish| wish > self.window.current());
        let full = self.tags.outstanding_of_consumer() >= self.window.current().into();
        if (!self.suspended && wish.is_none()) || (growing && over && !full) {
            // Growing can wait for a load that fills the window.
            self.window.put_off();
            self.phase = Phase::Consuming;
        } else if full || over {
            self.stop()?;
            self.phase = Phase::Stopping;
        } else {
            return Ok(false);
        }
        // Sent behind a cancel, they bring nothing more.
        self.acknowledge()?;
        Ok(true)
    }

    /// Sends the cancel. Like an acknowledgement it is not waited for: the consumer's end is the answer.
    fn stop(&self) -> Result<()> {
        match cancel(&self.channel, self.deliveries.consumer_tag()).now_or_never() {
            Some(Err(error)) => Err(translate(&error, During::Running, self.context())),
            _ => Ok(()),
        }
    }

    fn may_start(&mut self) -> bool {
        !self.suspended && self.window.has_room_beside(self.tags.outstanding())
    }

    /// Whether an acknowledgement goes out at once.
    pub(super) fn acknowledges(&self) -> bool {
        match self.phase {
            Phase::Holding(_) => false,
            Phase::Stopping | Phase::Quiet if self.suspended => self.tags.all_settled(),
            _ => true,
        }
    }

    /// Nothing comes before [`Lane::resume`], and everything that came is handed out.
    pub(in crate::source) fn is_suspended(&self) -> bool {
        self.suspended && matches!(self.phase, Phase::Quiet) && self.waiting.is_empty()
    }

    /// The broker shall send nothing more.
    pub(in crate::source) fn suspend(&mut self) {
        self.suspended = true;
    }

    /// The broker shall send again. An error if it cannot.
    pub(in crate::source) fn resume(&mut self) -> Result<()> {
        self.suspended = false;
        if !self.is_alive() {
            return Err(self.gone());
        }
        if self.acknowledges() { self.acknowledge() } else { Ok(()) }
    }

    /// The channel has ended, and there is no consumer that could say why.
    pub(in crate::source) fn gone(&self) -> Error {
        Error::disconnected(format!("{}: the channel was closed", self.context()))
    }
}
