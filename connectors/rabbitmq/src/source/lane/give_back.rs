//! The end of a lane: what is not acknowledged goes back to its queue, in order (I5).
//!
//! The end of the channel returns everything in order, whatever is on its way. A cancel before it does not: the channel of a
//! quorum queue returns at once what reaches it behind the cancel (`rabbit_fifo_client:handle_delivery`), before the rest,
//! which goes back with the channel. That is the end of the stretch, and it would come first.
//!
//! The cancel is there for the acknowledgements: their channel sends on only 32 of them until the queue has taken those, and
//! forgets the others when it ends (the soft limit). A quorum queue answers a cancel when it has taken what it was sent, and
//! then the channel sends on the rest. So: nothing is acknowledged until nothing is on its way, as in
//! [`phase`](super::phase); then the cancel, the last acknowledgement, and the end. Where that takes too long, there is neither
//! a cancel nor a nack: settled messages may come again, in order.

use std::{
    future::poll_fn,
    task::{Context, Poll, ready},
    time::Duration,
};

use gantry_sdk::Result;
use lapin::options::BasicNackOptions;

use super::{
    QueueLane,
    phase::{Hold, Phase},
    subscription::cancel,
};
use crate::{connection::Before, source::GiveBack};

/// How long what is on its way may take: a part of the time that closing has.
const PATIENCE: Duration = Duration::from_secs(1);

impl QueueLane {
    /// Ends the consumer. Everything not acknowledged, also what was never handed out, goes back here or with the channel, which
    /// ends next; says what was sent on it before.
    pub(in crate::source) async fn give_back(&mut self) -> Result<Before, lapin::Error> {
        let mut before = Before::Unanswered;
        let calm = !self.phase.delivers() || self.has_calmed().await;
        if calm && self.phase.delivers() {
            cancel(&self.channel, self.deliveries.consumer_tag()).await?;
            before = Before::Answered;
        }
        // What is settled and held back must not go back. If it cannot be sent, the channel is gone, and all of it returned.
        drop(self.acknowledge());
        // What is still on its way would go back after a nack: then the end of the channel returns all of it.
        if calm && self.give_back == GiveBack::Nack {
            // Tag 0 with multiple: everything outstanding on the channel (AMQP 0-9-1, basic.nack).
            self.channel.basic_nack(0, BasicNackOptions { multiple: true, requeue: true }).await?;
        }
        Ok(before)
    }

    /// Whether a cancel is of use, and meets nothing on its way.
    async fn has_calmed(&mut self) -> bool {
        if self.tags.none_told() && self.give_back != GiveBack::Nack {
            return false;
        }
        if self.place_in_stream.is_some() {
            // A stream takes nothing back, and counts as waiting what was read long ago.
            return true;
        }
        // A hold that was begun long ago may be over, whatever it has last heard.
        if matches!(self.phase, Phase::Consuming | Phase::Holding(_)) {
            self.phase = Phase::Holding(Hold::begin(self.subscription.ask(&self.channel)));
        }
        let calm = poll_fn(|context| self.poll_calm(context));
        let calm = matches!(tokio::time::timeout(PATIENCE, calm).await, Ok(Ok(true)));
        if !calm {
            tracing::debug!(queue = &*self.queue.name, "closing while messages are on their way");
        }
        calm
    }

    /// Waits until the window is full or nothing comes any more. An error or `false`: it will not be so.
    fn poll_calm(&mut self, context: &mut Context<'_>) -> Poll<Result<bool>> {
        loop {
            self.gather(context)?;
            if self.tags.outstanding_of_consumer() >= self.window.current().into() {
                return Poll::Ready(Ok(true));
            }
            let Phase::Holding(hold) = &mut self.phase else {
                // The cancel is on its way already, or the consumer has ended.
                return Poll::Ready(Ok(true));
            };
            if ready!(hold.poll_over(context, || self.subscription.ask(&self.channel))).is_err() {
                return Poll::Ready(Ok(false));
            }
            // What came before the answer may not have been seen yet.
            self.gather(context)?;
            if let Phase::Holding(hold) = &self.phase
                && hold.is_quiet()
            {
                return Poll::Ready(Ok(true));
            }
        }
    }
}
