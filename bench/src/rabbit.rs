//! RabbitMQ, from the benchmark's side.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, Result, ensure};
use futures_util::{StreamExt as _, future::try_join_all};
use lapin::{
    Channel, Connection, ConnectionProperties, Consumer, Queue,
    options::{BasicCancelOptions, BasicConsumeOptions, BasicPublishOptions, QueueDeclareOptions, QueueDeleteOptions},
    types::{AMQPValue, FieldTable},
};

use crate::{
    arrivals::Arrivals, case::QueueKind, kafka::Header, message::Message, process::eventually, route::Sequences,
};

/// Messages that are handed to lapin at a time: enough to keep it busy.
const WINDOW: usize = 500;
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
    pub(crate) async fn create(&self, queue: &str, kind: QueueKind) -> Result<()> {
        let mut arguments = FieldTable::default();
        arguments.insert("x-expires".into(), AMQPValue::LongLongInt(EXPIRES_MILLIS));
        if kind == QueueKind::Quorum {
            arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
        }
        let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        self.channel.queue_declare(queue.into(), options, arguments).await.context("creating a queue")?;
        Ok(())
    }

    /// Puts the messages with these numbers into the queue, and waits until they are all there.
    pub(crate) async fn fill(&self, queue: &str, message: Message, sequences: Sequences) -> Result<()> {
        let count = sequences.clone().count() as u64;
        let mut sequences = sequences.peekable();
        while sequences.peek().is_some() {
            let window = sequences.by_ref().take(WINDOW);
            // Handed over in order, and waited for together: one at a time would wait for the socket each time.
            try_join_all(window.map(|sequence| self.publish(queue, message, sequence))).await?;
        }
        eventually("all messages are in the queue", FILL_DEADLINE, async || {
            Ok((u64::from(self.ready(queue).await?) >= count).then_some(()))
        })
        .await
    }

    /// Sends one message. What becomes of it the topic will tell.
    pub(crate) async fn publish(&self, queue: &str, message: Message, sequence: u64) -> Result<()> {
        let (body, properties) = (message.body(sequence), message.properties(sequence));
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
    pub(crate) async fn reader(&self, queue: &str, arrivals: Arrivals) -> Result<Reader> {
        let channel = self.connection.create_channel().await.context("opening a channel")?;
        let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
        let consumer = channel.basic_consume(queue.into(), "check".into(), options, FieldTable::default());
        let consumer = consumer.await.context("reading a queue")?;
        Ok(Reader { channel, consumer, arrivals, first: None })
    }

    /// Takes `count` messages out of the queue; the headers of message 1, sorted.
    pub(crate) async fn read_all(&self, queue: &str, count: u64, arrivals: Arrivals) -> Result<Vec<Header>> {
        let mut reader = self.reader(queue, arrivals).await?;
        while reader.arrivals.count() < count {
            let read = reader.next(FILL_DEADLINE).await?;
            read.with_context(|| format!("only {} of {count} messages can be read", reader.arrivals.count()))?;
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

/// RabbitMQ's version, if its management API answers.
pub(crate) async fn version() -> Option<String> {
    let asking = tokio::task::spawn_blocking(|| gantry_testbench::rabbit::management("/api/overview"));
    Some(asking.await.ok()??["rabbitmq_version"].as_str()?.to_owned())
}

/// Empties a queue, and accepts only what may arrive.
pub(crate) struct Reader {
    channel: Channel,
    consumer: Consumer,
    arrivals: Arrivals,
    first: Option<Vec<Header>>,
}

impl Reader {
    /// The next message's number; `None` when there is none within `wait`.
    pub(crate) async fn next(&mut self, wait: Duration) -> Result<Option<u64>> {
        let Ok(message) = tokio::time::timeout(wait, self.consumer.next()).await else { return Ok(None) };
        let message = message.context("RabbitMQ cancelled the consumer")?.context("reading a queue")?;
        let sequence = self.arrivals.accept(&message.data)?;
        if sequence == 1 {
            self.first = Some(headers(message.properties.headers().as_ref()));
        }
        Ok(Some(sequence))
    }

    /// Stops; the headers of message 1, sorted.
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
