//! Reads a queue from its head, without taking anything out of it.
//!
//! What was read stays unacknowledged on one channel, so that the next comes. It comes in windows, each the prefetch of a
//! consumer of its own: RabbitMQ never sends more at once than fits in [`MEMORY`], going by what came before. A consumer that
//! is cancelled keeps what it got (quorum queues guide, RabbitMQ's `basic.cancel`).

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use futures_util::StreamExt as _;
use gantry_sdk::{Error, Result};
use lapin::{
    Channel, Consumer,
    message::Delivery,
    options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions, QueueDeclareOptions},
    types::{FieldTable, ShortString},
};

use crate::error::{During, translate};

/// Bytes that may be on their way, going by the largest message so far.
const MEMORY: usize = 16 << 20;
/// Messages that may be on their way: as many as a quorum queue allows.
const MOST: u16 = 2000;
/// A window has at most so many times the messages of the one before: their size is not known before.
const GROWTH: u16 = 8;
/// When nothing comes for so long, the queue is asked whether it has more.
const TURN: Duration = Duration::from_millis(200);
/// How long a queue may have messages and give none.
const PATIENCE: Duration = Duration::from_secs(30);

/// A queue up to an end.
pub(super) struct Reader {
    channel: Channel,
    queue: ShortString,
    doing: String,
    /// Messages before the end that have not come.
    left: u64,
    /// The window that came last, as far as it is not handed out.
    ready: VecDeque<Delivery>,
    /// Windows so far.
    windows: u32,
    /// The prefetch of the last one.
    prefetch: u16,
    /// The largest message of the last one.
    largest: usize,
}

impl Reader {
    /// Reads so many messages.
    pub(super) const fn new(channel: Channel, queue: ShortString, doing: String, left: u64) -> Self {
        Self { channel, queue, doing, left, ready: VecDeque::new(), windows: 0, prefetch: 1, largest: 0 }
    }

    /// The next message; `None` at the end, or when the queue has no more.
    pub(super) async fn next(&mut self) -> Result<Option<Delivery>> {
        if self.ready.is_empty() && self.left > 0 {
            self.fill().await?;
        }
        Ok(self.ready.pop_front())
    }

    /// Takes a whole window, before anything of it is handed out: an acknowledgement would bring its consumer more, and a quorum
    /// queue puts what crosses with a cancel behind what comes next (`rabbit_fifo_client:handle_delivery`).
    async fn fill(&mut self) -> Result<()> {
        self.windows += 1;
        self.prefetch = self.next_prefetch();
        let mut consumer = self.consume().await?;
        let mut news = Instant::now();
        while self.ready.len() < usize::from(self.prefetch) {
            match tokio::time::timeout(TURN, consumer.next()).await {
                Ok(Some(delivery)) => self.ready.push_back(delivery.map_err(|error| self.failed(&error))?),
                Ok(None) => return Err(self.ended("RabbitMQ cancelled the consumer: the queue was deleted")),
                Err(_) if self.asks_empty().await? => break,
                Err(_) if news.elapsed() >= PATIENCE => return Err(self.ended(SILENT)),
                Err(_) => continue,
            }
            news = Instant::now();
        }
        let cancelled = self.channel.basic_cancel(consumer.tag(), BasicCancelOptions::default()).await;
        cancelled.map_err(|error| self.failed(&error))?;
        while let Some(delivery) = consumer.next().await {
            self.ready.push_back(delivery.map_err(|error| self.failed(&error))?);
        }
        self.largest = self.ready.iter().map(|delivery| delivery.data.len()).max().unwrap_or_default();
        // Nothing came and nothing is there: somebody else took the rest, or it expired.
        self.left = if self.ready.is_empty() { 0 } else { self.left.saturating_sub(self.ready.len() as u64) };
        Ok(())
    }

    /// As many as fit, going by the last window.
    fn next_prefetch(&self) -> u16 {
        let most = if self.windows == 1 { 1 } else { self.prefetch.saturating_mul(GROWTH).min(MOST) };
        let fits = u16::try_from(MEMORY / self.largest.max(1)).unwrap_or(MOST);
        let left = u16::try_from(self.left).unwrap_or(MOST);
        fits.clamp(1, most).min(left)
    }

    async fn consume(&self) -> Result<Consumer> {
        // They sort by age, so that a quorum queue gives back what several left behind in order (`rabbit_fifo:handle_down`).
        let tag = format!("gantry dlq {:06}", self.windows);
        let limited = self.channel.basic_qos(self.prefetch, BasicQosOptions::default()).await;
        limited.map_err(|error| self.failed(&error))?;
        let (queue, options) = (self.queue.clone(), BasicConsumeOptions::default());
        let consumer = self.channel.basic_consume(queue, tag.into(), options, FieldTable::default()).await;
        consumer.map_err(|error| translate(&error, During::SettingUp, self.doing.as_str()))
    }

    /// Whether no message waits in the queue.
    async fn asks_empty(&self) -> Result<bool> {
        let State { ready, consumers } = ask(&self.channel, &self.queue).await.map_err(|error| self.failed(&error))?;
        // RabbitMQ says none and none when a quorum queue does not answer in time (`rabbit_quorum_queue:stat`). There is a
        // consumer: ours.
        Ok(ready == 0 && consumers > 0)
    }

    fn failed(&self, error: &lapin::Error) -> Error {
        translate(error, During::Running, self.doing.as_str())
    }

    fn ended(&self, why: &str) -> Error {
        Error::disconnected(format!("{}: {why}", self.doing))
    }
}

/// What a queue says of itself.
pub(super) struct State {
    /// Messages that nobody holds.
    pub(super) ready: u32,
    pub(super) consumers: u32,
}

/// Asks a queue, by a passive declare: it closes the channel if there is none (AMQP 0-9-1, `queue.declare`).
pub(super) async fn ask(channel: &Channel, queue: &ShortString) -> lapin::Result<State> {
    let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    let queue = channel.queue_declare(queue.clone(), options, FieldTable::default()).await?;
    Ok(State { ready: queue.message_count(), consumers: queue.consumer_count() })
}

const SILENT: &str =
    "the queue has messages and gives none: is it a stream, or does another consumer have it for itself?";
