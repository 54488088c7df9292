//! RabbitMQ, from the benchmark's side.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, Result, ensure};
use futures_util::{StreamExt as _, future::try_join_all};
use gantry_generate::payload;
use lapin::{
    Channel, Connection, ConnectionProperties, Consumer, Queue,
    options::{BasicCancelOptions, BasicConsumeOptions, BasicPublishOptions, QueueDeclareOptions, QueueDeleteOptions},
    types::{AMQPValue, FieldTable},
};

use crate::{case::Case, kafka::Header, process::eventually};

/// Messages that are handed to lapin at a time: enough to keep it busy.
const WINDOW: u64 = 500;
/// How long RabbitMQ may take to have all messages in their queue after the last was sent.
const FILL_DEADLINE: Duration = Duration::from_secs(60);
/// RabbitMQ removes a queue that nobody has used for so long: an interrupted benchmark leaves nothing behind.
const EXPIRES_MILLIS: i64 = 600_000;

/// A connection to RabbitMQ.
#[derive(Clone)]
pub(crate) struct Rabbit {
    connection: Arc<Connection>,
    channel: Channel,
}

impl Rabbit {
    pub(crate) async fn connect(url: &str) -> Result<Self> {
        let connected = Connection::connect(url, ConnectionProperties::default()).await;
        let connection = connected.context("connecting to RabbitMQ (is it up? `scripts/brokers up` starts one)")?;
        let channel = connection.create_channel().await.context("opening a channel")?;
        Ok(Self { connection: Arc::new(connection), channel })
    }

    /// Creates an empty queue.
    pub(crate) async fn create(&self, queue: &str) -> Result<()> {
        let mut arguments = FieldTable::default();
        arguments.insert("x-expires".into(), AMQPValue::LongLongInt(EXPIRES_MILLIS));
        let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        self.channel.queue_declare(queue.into(), options, arguments).await.context("creating a queue")?;
        Ok(())
    }

    /// Puts messages 1 to `count` into the queue, and waits until they are all there.
    pub(crate) async fn fill(&self, queue: &str, case: Case, count: u64) -> Result<()> {
        let mut next = 1;
        while next <= count {
            let end = (next + WINDOW).min(count + 1);
            // Handed over in order, and waited for together: one at a time would wait for the socket each time.
            try_join_all((next..end).map(|sequence| self.publish(queue, case, sequence))).await?;
            next = end;
        }
        eventually("all messages are in the queue", FILL_DEADLINE, async || {
            Ok((u64::from(self.ready(queue).await?) >= count).then_some(()))
        })
        .await
    }

    /// Sends one message. What becomes of it the topic will tell.
    pub(crate) async fn publish(&self, queue: &str, case: Case, sequence: u64) -> Result<()> {
        let (body, properties) = (case.body(sequence), case.properties(sequence));
        let publish =
            self.channel.basic_publish("".into(), queue.into(), BasicPublishOptions::default(), &body, properties);
        publish.await.context("publishing")?;
        Ok(())
    }

    /// Messages that no consumer has been sent.
    pub(crate) async fn ready(&self, queue: &str) -> Result<u32> {
        Ok(self.look(queue).await?.message_count())
    }

    /// Consumers of the queue.
    pub(crate) async fn consumers(&self, queue: &str) -> Result<u32> {
        Ok(self.look(queue).await?.consumer_count())
    }

    async fn look(&self, queue: &str) -> Result<Queue> {
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        self.channel.queue_declare(queue.into(), options, FieldTable::default()).await.context("looking at a queue")
    }

    /// Starts taking messages out of the queue, on a channel of its own.
    pub(crate) async fn reader(&self, queue: &str) -> Result<Reader> {
        let channel = self.connection.create_channel().await.context("opening a channel")?;
        let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
        let consumer = channel.basic_consume(queue.into(), "check".into(), options, FieldTable::default());
        let consumer = consumer.await.context("reading a queue")?;
        Ok(Reader { channel, consumer, read: 0, first: None })
    }

    /// Takes the messages 1 to `count` out of the queue; the headers of the first, sorted.
    pub(crate) async fn read_all(&self, queue: &str, count: u64, size: usize) -> Result<Vec<Header>> {
        let mut reader = self.reader(queue).await?;
        while reader.read < count {
            let read = reader.next(FILL_DEADLINE, size).await?;
            read.with_context(|| format!("message {} cannot be read", reader.read + 1))?;
        }
        reader.end().await
    }

    /// Checks that nothing was left unacknowledged once the consumer has gone, and removes the queue.
    pub(crate) async fn finish(&self, queue: &str) -> Result<()> {
        let left = self.ready(queue).await?;
        ensure!(left == 0, "{left} messages were delivered and never acknowledged");
        self.channel.queue_delete(queue.into(), QueueDeleteOptions::default()).await.context("deleting a queue")?;
        Ok(())
    }
}

/// Empties a queue, and accepts only the messages 1, 2, 3 … as they were sent.
pub(crate) struct Reader {
    channel: Channel,
    consumer: Consumer,
    read: u64,
    first: Option<Vec<Header>>,
}

impl Reader {
    /// The next message's number; `None` when there is none within `wait`.
    pub(crate) async fn next(&mut self, wait: Duration, size: usize) -> Result<Option<u64>> {
        let Ok(message) = tokio::time::timeout(wait, self.consumer.next()).await else { return Ok(None) };
        let message = message.context("RabbitMQ cancelled the consumer")?.context("reading a queue")?;
        let (sequence, expected) = (payload::verify(&message.data).map_err(anyhow::Error::msg)?, self.read + 1);
        ensure!(sequence == expected, "message {sequence} is where message {expected} should be");
        ensure!(message.data.len() == size, "message {sequence} has {} bytes, not {size}", message.data.len());
        if self.first.is_none() {
            self.first = Some(headers(message.properties.headers().as_ref()));
        }
        self.read = sequence;
        Ok(Some(sequence))
    }

    /// Stops; the headers of the first message, sorted.
    pub(crate) async fn end(self) -> Result<Vec<Header>> {
        self.channel.basic_cancel("check".into(), BasicCancelOptions::default()).await.context("reading a queue")?;
        Ok(self.first.unwrap_or_default())
    }
}

fn headers(table: Option<&FieldTable>) -> Vec<Header> {
    let text = |value: &AMQPValue| match value {
        AMQPValue::LongString(text) => text.as_bytes().to_vec(),
        other => format!("{other:?}").into_bytes(),
    };
    table.into_iter().flatten().map(|(name, value)| (name.to_string(), Some(text(value)))).collect()
}
