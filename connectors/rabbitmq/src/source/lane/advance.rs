//! From one phase of the lane's consumer to the next ([`super::phase`]).

use std::task::{Context, Poll};

use futures_util::FutureExt;
use gantry_sdk::Result;

use super::{
    QueueLane,
    phase::{Hold, Phase},
    subscription::cancel,
};
use crate::error::{During, translate};

impl QueueLane {
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
                        Poll::Ready(Err(error)) => return Err(self.queue.not_started(&error)),
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
                    Poll::Ready(Err(error)) => return Err(self.queue.not_started(&error)),
                },
            }
        }
    }

    fn start(&mut self) {
        let prefetch = self.window.next();
        self.window.set(prefetch);
        self.phase = Phase::Starting(self.subscription.start(&self.channel, prefetch));
        let average = self.window.average();
        tracing::debug!(queue = &*self.queue.name, prefetch, average, "consuming with this effective prefetch");
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
            Some(Err(error)) => Err(translate(&error, During::Running, self.queue.consuming())),
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

    /// Nothing comes before [`QueueLane::resume`], and everything that came is handed out.
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
            return Err(self.queue.gone());
        }
        if self.acknowledges() { self.acknowledge() } else { Ok(()) }
    }
}
