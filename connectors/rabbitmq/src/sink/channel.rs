//! One channel: what it has to publish, what is on its way, what has to be sent again.
//!
//! # Order (I5)
//! Records go out in the order in which they came. A `basic.nack` cannot call back what was published behind it, and what of
//! that was confirmed is not sent again. So after a nack everything for the same destination [waits](super::waiting) until the
//! refused record is taken; what goes elsewhere goes on. Only with a window of 1 a record never overtakes a refused one.

use std::{
    collections::VecDeque,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use futures_util::{FutureExt as _, future::BoxFuture};
use gantry_sdk::{Batch, Error, ErrorKind, Failure, Result};
use lapin::options::BasicPublishOptions;

use super::{
    STAGE, Unroutable,
    channel_error::{self, ChannelError},
    item::Item,
    limits::Limits,
    message::{Fate, Message, Way},
    open,
    plan::Plan,
    unconfirmed::{Confirming, Decision, Unconfirmed},
    waiting::{self, Waiting},
};
use crate::connection::{Channel, Lease};

/// What the channels of a sink share.
pub(super) struct SinkContext {
    pub plan: Arc<Plan>,
    pub connected: Arc<Lease>,
    pub limits: Limits,
}

pub(super) struct ConfirmChannel {
    shared: Arc<SinkContext>,
    channel: Arc<Channel>,
    /// A new channel, after RabbitMQ closed the one before.
    opening: Option<BoxFuture<'static, Result<Channel>>>,
    /// Batches and how many records of each are out already.
    unsent: VecDeque<(Arc<Batch>, u32)>,
    /// To be sent again before anything that is unsent, by sequence: RabbitMQ closed the channel that they were on.
    again: VecDeque<Item>,
    /// Refused for now, and what has to stay behind.
    waiting: Waiting,
    unconfirmed: Unconfirmed,
    sequence: u64,
    /// One at a time: nobody knows yet which record closed the channel.
    careful: bool,
    /// The last time at which something was decided, or nothing was on its way.
    moved: Instant,
}

/// Batches that wait for a channel before no more are taken in: while it works off one, the next is there.
const MOST_UNSENT: usize = 2;

impl ConfirmChannel {
    pub(super) fn new(shared: Arc<SinkContext>, channel: Channel) -> Self {
        let waiting = Waiting::new(shared.plan.context.retry);
        Self {
            shared,
            channel: Arc::new(channel),
            opening: None,
            unsent: VecDeque::new(),
            again: VecDeque::new(),
            waiting,
            unconfirmed: Unconfirmed::default(),
            sequence: 0,
            careful: false,
            moved: Instant::now(),
        }
    }

    pub(super) fn take(&mut self, batch: Batch) {
        self.unsent.push_back((Arc::new(batch), 0));
    }

    pub(super) fn is_full(&self) -> bool {
        self.unsent.len() >= MOST_UNSENT
    }

    pub(super) fn is_empty(&self) -> bool {
        self.unsent.is_empty() && self.again.is_empty() && self.waiting.is_empty() && self.unconfirmed.is_empty()
    }

    /// Why it does not get on, if so.
    pub(super) fn refusal(&self) -> Option<&Arc<str>> {
        self.waiting.refusal()
    }

    /// The time in which the connection was blocked does not count.
    pub(super) fn forgive(&mut self) {
        self.moved = Instant::now();
    }

    /// Whether a confirm is overdue.
    pub(super) fn is_late(&self, timeout: Duration) -> bool {
        !self.unconfirmed.is_empty() && self.moved.elapsed() >= timeout
    }

    /// Does what can be done without waiting. The error is the end of the sink.
    pub(super) fn turn(&mut self, context: &mut Context<'_>) -> Result<()> {
        loop {
            if let Some(opening) = &mut self.opening {
                let Poll::Ready(channel) = opening.as_mut().poll(context) else { return Ok(()) };
                self.channel = Arc::new(channel?);
                self.opening = None;
            }
            let decided = self.decide(context)?;
            if self.opening.is_none() && !self.send(context) && !decided {
                return Ok(());
            }
        }
    }

    /// Looks at the confirms; says whether there were any.
    fn decide(&mut self, context: &mut Context<'_>) -> Result<bool> {
        let looked = self.unconfirmed.poll(context, &self.shared.plan, &self.shared.limits)?;
        let moved = !looked.decisions.is_empty() || looked.end.is_some();
        if moved || self.unconfirmed.is_empty() {
            self.moved = Instant::now();
        }
        // What was confirmed is settled also when something before it ends the sink.
        looked.decisions.into_iter().map(|decision| self.heed(decision)).fold(Ok(()), Result::and)?;
        if let Some(error) = looked.end {
            self.ended(&error)?;
        }
        Ok(moved)
    }

    fn heed(&mut self, decision: Decision) -> Result<()> {
        match decision {
            Decision::Confirmed(item) => {
                self.decided(&item, true);
                item.placed(|record| Some(self.shared.plan.way(record).ok()?.address()));
                Ok(())
            }
            Decision::Returned(item, reason) => {
                self.decided(&item, true);
                self.returned(item, reason)
            }
            Decision::Nacked(item) => self.nacked(item),
        }
    }

    fn returned(&self, item: Item, reason: String) -> Result<()> {
        if self.shared.plan.options.unroutable == Unroutable::Fail {
            let place = self.shared.connected.place();
            let error = Error::new(ErrorKind::Missing, format!("publishing to {place}: {reason}"));
            item.fail(Failure::ended(STAGE, &error));
            return Err(error);
        }
        item.fail(Failure::rejected(STAGE, reason));
        Ok(())
    }

    fn nacked(&mut self, mut item: Item) -> Result<()> {
        let retry = self.shared.plan.context.retry;
        let since = *item.refused_since.get_or_insert_with(Instant::now);
        let Some(way) = self.way(&item) else { return Err(Error::internal("a refused record has lost its way")) };
        if retry.timeout.is_some_and(|timeout| since.elapsed() >= timeout) {
            let (place, refusal) = (self.shared.connected.place(), waiting::refusal(&way));
            let error = Error::disconnected(format!("publishing to {place}: {refusal}"));
            item.fail(Failure::ended(STAGE, &error));
            return Err(error);
        }
        if let Some(item) = self.waiting.refused(&way, item, self.unconfirmed.published()) {
            self.decided(&item, false);
            let refusal = waiting::refusal(&way);
            item.fail(Failure::rejected(STAGE, format!("errors.retry.max_attempts is reached: {refusal}")));
        }
        Ok(())
    }

    /// Something became of a record; if it has waited, the next of those that wait may go.
    fn decided(&mut self, item: &Item, taken: bool) {
        if item.waited
            && let Some(way) = self.way(item)
        {
            self.waiting.decided(&way, taken);
        }
    }

    /// Where it goes: the same each time.
    fn way(&self, item: &Item) -> Option<Way> {
        self.shared.plan.way(item.record()).ok()
    }

    /// I5: in the order in which they came.
    fn put_back(&mut self, item: Item) {
        let at = self.again.partition_point(|other| other.sequence < item.sequence);
        self.again.insert(at, item);
    }

    /// The sink is closed: says goodbye. What is on its way is abandoned (I1), and no longer on its way when RabbitMQ has answered.
    pub(super) fn close(&self) -> impl Future<Output = ()> + Send + use<> {
        self.channel.end()
    }

    /// The sink ends: says why of everything whose fate nobody knows. What waits is abandoned.
    pub(super) fn give_up(&mut self, why: &Failure) {
        lose(self.unconfirmed.take(), why);
    }

    /// RabbitMQ closed the channel, or the connection is gone.
    fn ended(&mut self, error: &lapin::Error) -> Result<()> {
        let shared = Arc::clone(&self.shared);
        let mut undecided = self.unconfirmed.take();
        match channel_error::judge(error, &shared.plan, &shared.connected.place()) {
            ChannelError::Sink(error) => {
                lose(undecided, &Failure::ended(STAGE, &error));
                return Err(error);
            }
            ChannelError::Record(reason) => {
                tracing::debug!(reason, messages = undecided.len(), "RabbitMQ closed a channel because of a message");
                let learned = shared.limits.learn(&reason);
                match undecided.pop() {
                    Some(culprit) if undecided.is_empty() && !learned => {
                        self.decided(&culprit, false);
                        culprit.fail(Failure::rejected(STAGE, reason));
                    }
                    last => undecided.extend(last),
                }
                // Once the limit is known, the culprit is found before it is sent.
                self.careful |= !learned;
            }
        }
        undecided.into_iter().for_each(|item| self.put_back(item));
        self.opening = Some(async move { open::channel(&shared.connected).await }.boxed());
        Ok(())
    }

    /// Publishes as much as there is room for; says whether there was anything.
    fn send(&mut self, context: &mut Context<'_>) -> bool {
        if self.again.is_empty() && self.unconfirmed.is_empty() {
            self.careful = false;
        }
        let room = if self.careful { 1 } else { self.shared.plan.options.window as usize };
        let mut sent = false;
        while self.unconfirmed.len() < room
            && let Some(item) = self.next(context)
        {
            sent = true;
            match self.shared.plan.fate(item.record(), item.written, &self.shared.limits) {
                Fate::Publish(message) => match self.held(&message.way, item) {
                    Some(item) => self.unconfirmed.publish(item, self.publish(message)),
                    None => continue,
                },
                Fate::Skip => item.settle(),
                Fate::Refuse(reason) => {
                    self.decided(&item, false);
                    item.fail(Failure::rejected(STAGE, reason));
                }
            }
        }
        sent
    }

    /// Lets a record wait if its destination refuses what was before it (I5); gives it back if it may go.
    fn held(&mut self, way: &Way, item: Item) -> Option<Item> {
        if item.waited || self.waiting.is_empty() || !self.waiting.holds(way) {
            return Some(item);
        }
        self.waiting.hold(way, item);
        None
    }

    fn next(&mut self, context: &mut Context<'_>) -> Option<Item> {
        if let Some(item) = self.again.pop_front() {
            return Some(item);
        }
        let plan = &self.shared.plan;
        let way = |item: &Item| plan.way(item.record()).ok();
        if let Some(item) = self.waiting.next(context, self.unconfirmed.decided(), way) {
            return Some(item);
        }
        let (batch, out) = self.unsent.front_mut()?;
        let written = if self.shared.plan.context.dead_letter { now() } else { 0 };
        let item = Item::new(Arc::clone(batch), *out, self.sequence, written);
        self.sequence += 1;
        *out += 1;
        // A batch has fewer than 2^32 records: its receipt counts them in as many bits.
        if *out as usize == batch.records.len() {
            self.unsent.pop_front();
        }
        Some(item)
    }

    fn publish(&self, message: Message) -> Confirming {
        let channel = Arc::clone(&self.channel);
        let mandatory = self.shared.plan.options.unroutable != Unroutable::Drop;
        let options = BasicPublishOptions { mandatory, immediate: false };
        let Message { way, properties, body } = message;
        let publish = async move {
            channel.basic_publish(way.exchange, way.routing_key, options, &body, properties).await?.await
        };
        publish.boxed()
    }
}

/// Milliseconds since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or_default()
}

/// Nobody knows whether RabbitMQ has them: the runtime sends them again, and says why.
fn lose(undecided: Vec<Item>, why: &Failure) {
    for item in undecided {
        item.fail(why.clone());
    }
}
