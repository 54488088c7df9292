//! One queue: a channel with exactly one consumer at a time.
//!
//! The channel makes the lane's acknowledgements its own: a delivery tag counts from 1 on its channel, and this is the only
//! place that has both. Consumers come and go on the channel when the window changes or the lane is suspended; tags go on.
//!
//! - [`window`]: how much the broker may have on its way
//! - [`phase`]: what the consumer is doing, and [`advance`] what comes next
//! - [`subscription`]: how a consumer is started
//! - [`tags`]: which delivery tags are where
//! - [`place`]: where a consumer of a stream goes on
//! - [`give_back`]: the end

mod advance;
mod give_back;
mod phase;
mod place;
mod subscription;
mod tags;
mod window;

use std::{
    collections::VecDeque,
    sync::Arc,
    task::{Context, Poll, ready},
};

use futures_util::FutureExt;
use gantry_sdk::{Error, ErrorKind, Record, Result};
use lapin::options::{BasicAckOptions, BasicRejectOptions};

use super::{
    GiveBack, SourceOptions,
    deliveries::{ConsumerEnd, Deliveries},
    memory::QueueMemory,
    queue::Queue,
};
use crate::{
    connection::{Before, ConsumerChannel, Lease},
    error::{During, translate},
};
use phase::Phase;
use place::Place;
use subscription::Subscription;
use tags::Tags;
use window::Window;

/// Batches of at most this part of the effective prefetch: the broker sends on while a batch is under way, and an
/// acknowledgement frees a small part of the window at a time.
const BATCHES_IN_WINDOW: u16 = 10;

/// One queue being consumed.
pub(super) struct QueueLane {
    channel: ConsumerChannel,
    deliveries: Deliveries,
    subscription: Subscription,
    phase: Phase,
    window: Window,
    tags: Tags,
    /// In a stream, if the person chose where to begin. Without that its consumer starts at the end each time.
    place_in_stream: Option<Place>,
    /// Taken from the client library and not handed out yet; empty while polls keep up.
    waiting: VecDeque<Record>,
    /// The runtime wants nothing more from the broker for now.
    suspended: bool,
    pub(super) queue: Queue,
    /// Set when the consumer ended behind records that could still be handed out.
    ended: Option<ConsumerEnd>,
    /// The length of the last batch: the next one will be much the same.
    usual: usize,
    give_back: GiveBack,
}

/// Records of one poll, and the tag of the last.
pub(super) type Taken = (Vec<Record>, u64);

impl QueueLane {
    /// Starts consuming. `share` is how many bytes the lane may have on its way, `memory` what the last lane has learned of the
    /// queue.
    pub(super) async fn open(
        connected: &Lease,
        queue: &str,
        options: &SourceOptions,
        name: &str,
        share: usize,
        memory: Arc<QueueMemory>,
    ) -> Result<Self> {
        let window = if options.keeps_its_consumer() {
            Window::fixed(options.prefetch)
        } else {
            Window::adaptive(options.prefetch, share, memory.clone())
        };
        let mut subscription = Subscription::new(queue, options, name)?;
        let place_in_stream = Place::recall(queue, memory, subscription.arguments());
        let queue = Queue::new(queue, connected);
        let mut channel = connected.consumer_channel(&queue.name).await?;
        let starting = subscription.start(&channel, window.current());
        let consumer = channel.consume(starting).await;
        let consumer = consumer.map_err(|error| {
            let error = queue.not_started(&error);
            if let (ErrorKind::Missing, Some(place)) = (error.kind(), &place_in_stream) {
                place.begin_anew();
            }
            error
        })?;
        tracing::debug!(queue = &*queue.name, prefetch = window.current(), "consuming with this effective prefetch");
        Ok(Self {
            channel,
            deliveries: Deliveries::new(consumer, &queue.name),
            subscription,
            phase: Phase::Consuming,
            window,
            tags: Tags::default(),
            place_in_stream,
            waiting: VecDeque::new(),
            suspended: false,
            queue,
            ended: None,
            usual: 1,
            give_back: options.give_back,
        })
    }

    /// Takes what is here, up to a count and a size. What a dead channel left behind is not handed out: it could never be
    /// acknowledged, and its messages come again on the next channel.
    pub(super) fn poll_take(&mut self, context: &mut Context<'_>, most: usize, bytes: usize) -> Poll<Result<Taken>> {
        if !self.is_alive() {
            return self.poll_end(context).map(Err);
        }
        let most = most.clamp(1, usize::from(self.window.current() / BATCHES_IN_WINDOW).max(1));
        loop {
            if matches!(self.phase, Phase::Holding(_)) {
                // Whether the window is full shows only when all that came is seen.
                self.gather(context)?;
            }
            let records = self.take(context, most, bytes)?;
            if !records.is_empty() {
                self.advance(context)?;
                return Poll::Ready(self.hand_out(records));
            }
            if let Some(end) = self.ended.take() {
                return Poll::Ready(Err(self.explain(end)));
            }
            if !self.advance(context)? {
                return Poll::Pending;
            }
        }
    }

    /// Looks after the consumer without handing anything out. What the client library holds moves into the lane's own queue,
    /// so that an end behind it is seen.
    pub(super) fn poll_tend(&mut self, context: &mut Context<'_>) -> Poll<Error> {
        if !self.is_alive() {
            return self.poll_end(context);
        }
        loop {
            let looked = self.gather(context).and_then(|()| self.advance(context));
            if let Some(end) = self.ended.take() {
                return Poll::Ready(self.explain(end));
            }
            match looked {
                Ok(true) => {}
                Ok(false) => return Poll::Pending,
                Err(error) => return Poll::Ready(error),
            }
        }
    }

    fn take(&mut self, context: &mut Context<'_>, most: usize, bytes: usize) -> Result<Vec<Record>> {
        let mut records = Vec::new();
        let mut size = 0;
        while records.len() < most && size < bytes {
            let next = match self.waiting.pop_front() {
                Some(record) => Some(record),
                None => self.next(context)?,
            };
            let Some(record) = next else { break };
            if records.is_empty() {
                records.reserve(self.usual.min(most));
            }
            size += record.size();
            records.push(record);
        }
        Ok(records)
    }

    fn gather(&mut self, context: &mut Context<'_>) -> Result<()> {
        while let Some(record) = self.next(context)? {
            self.waiting.push_back(record);
        }
        Ok(())
    }

    /// The next delivery that is already here. None may be left, or come.
    fn next(&mut self, context: &mut Context<'_>) -> Result<Option<Record>> {
        if self.ended.is_some() || !self.phase.delivers() {
            return Ok(None);
        }
        match self.deliveries.poll_next(context) {
            Poll::Pending => Ok(None),
            Poll::Ready(Ok((tag, record))) => {
                self.tags.arrive(tag).map_err(|gap| Error::with_source(gap.kind(), self.queue.consuming(), gap))?;
                self.window.note(record.size());
                if let Phase::Holding(hold) = &mut self.phase {
                    hold.note();
                }
                Ok(Some(record))
            }
            // It may be the broker's own cancel that came first: starting again shows it.
            Poll::Ready(Err(ConsumerEnd::Cancelled)) if self.suspended || matches!(self.phase, Phase::Stopping) => {
                self.phase = Phase::Quiet;
                self.acknowledge()?;
                Ok(None)
            }
            Poll::Ready(Err(end @ ConsumerEnd::Cancelled)) => {
                self.ended = Some(end);
                Ok(None)
            }
            Poll::Ready(Err(end @ ConsumerEnd::Failed(_))) => Err(self.explain(end)),
        }
    }

    fn hand_out(&mut self, records: Vec<Record>) -> Result<Taken> {
        let nobody_chose = self.place_in_stream.is_none() && self.tags.none_settled();
        if nobody_chose && records.first().is_some_and(place::is_of_a_stream) {
            return Err(self.queue.would_skip());
        }
        self.usual = records.len();
        let last = self.tags.hand_out(records.len());
        if let Some(place) = &mut self.place_in_stream {
            place.hand_out(&records, last);
        }
        Ok((records, last))
    }

    /// Why the channel ended, past whatever it left behind.
    fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<Error> {
        if let Phase::Starting(starting) = &mut self.phase {
            return match ready!(starting.poll_unpin(context)) {
                Ok(_) => Poll::Ready(self.queue.gone()),
                Err(error) => Poll::Ready(self.queue.not_started(&error)),
            };
        }
        if !self.phase.delivers() {
            return Poll::Ready(self.queue.gone());
        }
        loop {
            if let Some(end) = self.ended.take() {
                return Poll::Ready(self.explain(end));
            }
            if let Err(end) = ready!(self.deliveries.poll_next(context)) {
                return Poll::Ready(self.explain(end));
            }
        }
    }

    fn explain(&self, end: ConsumerEnd) -> Error {
        match end {
            ConsumerEnd::Failed(error) => translate(&error, During::Running, self.queue.consuming()),
            ConsumerEnd::Cancelled if self.is_alive() => Error::disconnected(format!(
                "{}: RabbitMQ cancelled the consumer: the queue was deleted or its leader went away",
                self.queue.consuming()
            )),
            ConsumerEnd::Cancelled => self.queue.gone(),
        }
    }

    /// Takes note that everything up to and including that tag is settled.
    pub(super) fn commit(&mut self, tag: u64) -> Result<()> {
        self.tags.settle(tag).map_err(|error| Error::with_source(error.kind(), self.queue.acknowledging(), error))?;
        if let Some(place) = &mut self.place_in_stream {
            place.settle(tag);
        }
        Ok(())
    }

    /// Sends what was noted: one acknowledgement, unless it has to wait ([`phase`]).
    pub(super) fn sync(&mut self) -> Result<()> {
        if self.tags.all_acknowledged() {
            return Ok(());
        }
        self.check_channel()?;
        if self.acknowledges() { self.acknowledge() } else { Ok(()) }
    }

    /// Sends the acknowledgement that is due, if one is.
    ///
    /// It is put in order behind what was sent before, and not waited for: the client library says only when it is
    /// written, and if it never is, the channel has ended, which the next call reports.
    pub(super) fn acknowledge(&mut self) -> Result<()> {
        if let Some(tag) = self.tags.due() {
            let acknowledging = self.channel.basic_ack(tag, BasicAckOptions { multiple: true });
            if let Some(Err(error)) = acknowledging.now_or_never() {
                return Err(translate(&error, During::Running, self.queue.acknowledging()));
            }
        }
        self.tags.acknowledge();
        Ok(())
    }

    /// RabbitMQ shall dead-letter that message, or drop it when its queue has no dead-letter exchange.
    pub(super) fn reject(&mut self, tag: u64) -> Result<()> {
        let context = |error: Error| Error::with_source(error.kind(), self.queue.acknowledging(), error);
        self.check_channel()?;
        self.tags.check_rejectable(tag).map_err(context)?;
        let rejecting = self.channel.basic_reject(tag, BasicRejectOptions { requeue: false });
        if let Some(Err(error)) = rejecting.now_or_never() {
            return Err(translate(&error, During::Running, self.queue.acknowledging()));
        }
        self.tags.reject(tag);
        Ok(())
    }

    fn check_channel(&self) -> Result<()> {
        if self.is_alive() {
            return Ok(());
        }
        Err(Error::disconnected(format!("{}: the channel has ended", self.queue.acknowledging())))
    }

    /// Gives back, and ends the channel: everything has gone back when RabbitMQ has answered.
    pub(super) async fn close(&mut self) -> Result<(), lapin::Error> {
        let before = self.give_back().await?;
        if let Some(ending) = self.end(before) {
            ending.await;
        }
        Ok(())
    }

    /// Ends the channel, and its consumers behind it.
    fn end(&mut self, before: Before) -> Option<impl Future<Output = ()> + Send + use<>> {
        let phase = std::mem::replace(&mut self.phase, Phase::Quiet);
        self.channel.end(before, (self.deliveries.consumer(), phase))
    }

    /// Whether the channel still stands.
    pub(super) fn is_alive(&self) -> bool {
        self.channel.status().connected()
    }
}

impl Drop for QueueLane {
    fn drop(&mut self) {
        drop(self.end(Before::Unanswered));
    }
}
