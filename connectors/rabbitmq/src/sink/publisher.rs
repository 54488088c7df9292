//! The task that owns the channels of a sink: it publishes what the runtime puts, settles what RabbitMQ confirms, and keeps
//! the sink's health true. It ends with its sink, or with the first error that is not one record's own.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::{FutureExt as _, StreamExt as _, future::join_all};
use gantry_sdk::{Batch, Error, Failure, Result, health::Condition};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Interval, MissedTickBehavior},
};

use super::{
    STAGE,
    channel::{ConfirmChannel, SinkContext},
    limits::Limits,
    open::Opened,
    plan::Plan,
};
use crate::connection::Notices;

/// What the runtime wants.
pub(super) enum Order {
    Put(Batch),
    /// To be told when everything put before is settled.
    Flush(oneshot::Sender<()>),
}

pub(super) struct Publisher {
    shared: Arc<SinkContext>,
    channels: Vec<ConfirmChannel>,
    notices: Notices,
    intake: mpsc::Receiver<Order>,
    /// Ready when the sink is closed, whatever is under way.
    closing: oneshot::Receiver<()>,
    flushes: Vec<oneshot::Sender<()>>,
    /// RabbitMQ's reason for taking nothing now.
    blocked: Option<Arc<str>>,
    clock: Interval,
}

/// How long RabbitMQ may take to agree that channels end. One that is blocked does not read that they do.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);

/// How often late confirms are looked for.
const TICK: Duration = Duration::from_secs(1);

impl Publisher {
    pub(super) fn new(
        plan: Arc<Plan>,
        opened: Opened,
        intake: mpsc::Receiver<Order>,
        closing: oneshot::Receiver<()>,
    ) -> Self {
        let Opened { connected, channels } = opened;
        let notices = connected.notices();
        let limits = Limits::new(connected.frame_max(), plan.login());
        let shared = Arc::new(SinkContext { plan, connected, limits });
        let channels = channels.into_iter().map(|channel| ConfirmChannel::new(Arc::clone(&shared), channel)).collect();
        let mut clock = tokio::time::interval(TICK);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        shared.plan.context.health.set(Condition::Up);
        Self { shared, channels, notices, intake, closing, flushes: Vec::new(), blocked: None, clock }
    }

    /// Runs until the sink is closed. What is not confirmed by then is abandoned by being dropped (I1); when the sink fails, with
    /// the reason.
    pub(super) async fn run(mut self) -> Result<()> {
        let ended = std::future::poll_fn(|context| self.poll(context)).await;
        if let Err(error) = &ended {
            // Nothing is taken any more by the time that anybody hears of it.
            self.intake.close();
            if !self.shared.connected.is_alive() {
                self.shared.connected.note_lost();
            }
            let why = Failure::ended(STAGE, error);
            self.channels.iter_mut().for_each(|channel| channel.give_up(&why));
            self.shared.plan.context.health.set(Condition::Failed(why.cause, why.reason));
        }
        if ended.is_ok() {
            // Others may go on with the connection. After an error the channels end by themselves: it has to be told at once.
            let closing: Vec<_> = self.channels.iter().map(ConfirmChannel::close).collect();
            if tokio::time::timeout(CLOSE_TIMEOUT, join_all(closing)).await.is_err() {
                self.shared.connected.retire();
            }
        }
        ended
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        if self.closing.poll_unpin(context).is_ready() {
            return Poll::Ready(Ok(()));
        }
        self.observe(context);
        for channel in &mut self.channels {
            channel.turn(context)?;
        }
        self.check_connection()?;
        self.check_time(context)?;
        let intake = self.take_in(context)?;
        if !self.flushes.is_empty() && self.channels.iter().all(ConfirmChannel::is_empty) {
            for flush in self.flushes.drain(..) {
                // Whoever waited may have gone.
                let _ = flush.send(());
            }
        }
        self.tell();
        if intake.is_ready() { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    fn observe(&mut self, context: &mut Context<'_>) {
        while let Poll::Ready(Some(notice)) = self.notices.poll_next_unpin(context) {
            // The end of the connection wakes this task, which then sees it itself.
            if self.blocked.is_some() && notice.blocked.is_none() {
                self.channels.iter_mut().for_each(ConfirmChannel::forgive);
            }
            self.blocked = notice.blocked;
        }
    }

    /// A connection can end while nothing is on its way that would say so.
    fn check_connection(&self) -> Result<()> {
        if self.shared.connected.is_alive() {
            return Ok(());
        }
        Err(Error::disconnected(format!("publishing to {}: the connection has ended", self.shared.connected.place())))
    }

    fn check_time(&mut self, context: &mut Context<'_>) -> Result<()> {
        let timeout = self.shared.plan.options.confirm_timeout.0;
        while self.clock.poll_tick(context).is_ready() {
            if self.blocked.is_none() && self.channels.iter().any(|channel| channel.is_late(timeout)) {
                let place = self.shared.connected.place();
                // Whoever opens next, this bridge first of all, is better off on another one.
                self.shared.connected.retire();
                return Err(Error::disconnected(format!("publishing to {place}: no confirm in {timeout:?}")));
            }
        }
        Ok(())
    }

    /// Takes what the runtime puts while there is room; ready when nothing will come any more.
    fn take_in(&mut self, context: &mut Context<'_>) -> Result<Poll<()>> {
        // RabbitMQ would not read it, so it waits where it is (I4).
        while self.blocked.is_none() && !self.channels.iter().any(ConfirmChannel::is_full) {
            match self.intake.poll_recv(context) {
                Poll::Pending => return Ok(Poll::Pending),
                Poll::Ready(None) => return Ok(Poll::Ready(())),
                Poll::Ready(Some(Order::Flush(done))) => self.flushes.push(done),
                Poll::Ready(Some(Order::Put(batch))) => {
                    // I5: a lane keeps to its channel.
                    let index = batch.receipt.lane().0 as usize % self.channels.len();
                    let channel = &mut self.channels[index];
                    channel.take(batch);
                    channel.turn(context)?;
                }
            }
        }
        Ok(Poll::Pending)
    }

    fn tell(&self) {
        let refusal = || self.channels.iter().find_map(ConfirmChannel::refusal);
        let condition = self
            .blocked
            .as_ref()
            .or_else(refusal)
            .map_or(Condition::Up, |reason| Condition::Blocked(Arc::clone(reason)));
        self.shared.plan.context.health.set(condition);
    }
}
