//! RabbitMQ, from the benchmark's side.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, Result, ensure};
use futures_util::{StreamExt as _, future::try_join_all};
use gantry_generate::payload;
use lapin::{
    Channel, Connection, ConnectionProperties, Queue,
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
    // Held so that it lives as long as the channel.
    _connection: Arc<Connection>,
    channel: Channel,
}

impl Rabbit {
    pub(crate) async fn connect(url: &str) -> Result<Self> {
        let connected = Connection::connect(url, ConnectionProperties::default()).await;
        let connection = connected.context("connecting to RabbitMQ (is it up? `scripts/brokers up` starts one)")?;
        let channel = connection.create_channel().await.context("opening a channel")?;
        Ok(Self { _connection: Arc::new(connection), channel })
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

    /// Takes the messages 1 to `count` out of the queue and accepts them only in order, as they were sent; the headers of
    /// the first, sorted.
    pub(crate) async fn read_all(&self, queue: &str, count: u64, size: usize) -> Result<Vec<Header>> {
        let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
        let consumer = self.channel.basic_consume(queue.into(), "check".into(), options, FieldTable::default());
        let mut consumer = consumer.await.context("reading a queue")?;
        let mut first = Vec::new();
        for expected in 1..=count {
            let message = tokio::time::timeout(FILL_DEADLINE, consumer.next()).await;
            let message = message.with_context(|| format!("message {expected} cannot be read"))?;
            let message = message.context("RabbitMQ cancelled the consumer")?.context("reading a queue")?;
            let sequence = payload::verify(&message.data).map_err(anyhow::Error::msg)?;
            ensure!(sequence == expected, "message {sequence} is where message {expected} should be");
            ensure!(message.data.len() == size, "message {sequence} has {} bytes, not {size}", message.data.len());
            if expected == 1 {
                first = headers(message.properties.headers().as_ref());
            }
        }
        self.channel.basic_cancel("check".into(), BasicCancelOptions::default()).await.context("reading a queue")?;
        Ok(first)
    }

    /// Checks that nothing was left unacknowledged once the consumer has gone, and removes the queue.
    pub(crate) async fn finish(&self, queue: &str) -> Result<()> {
        let left = self.ready(queue).await?;
        ensure!(left == 0, "{left} messages were delivered and never acknowledged");
        self.channel.queue_delete(queue.into(), QueueDeleteOptions::default()).await.context("deleting a queue")?;
        Ok(())
    }
}

fn headers(table: Option<&FieldTable>) -> Vec<Header> {
    let text = |value: &AMQPValue| match value {
        AMQPValue::LongString(text) => text.as_bytes().to_vec(),
        other => format!("{other:?}").into_bytes(),
    };
    table.into_iter().flatten().map(|(name, value)| (name.to_string(), Some(text(value)))).collect()
}
