//! RabbitMQ, from the benchmark's side.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, Result, ensure};
use futures_util::future::try_join_all;
use lapin::{
    Channel, Connection, ConnectionProperties, Queue,
    options::{BasicPublishOptions, QueueDeclareOptions, QueueDeleteOptions},
    types::{AMQPValue, FieldTable},
};

use crate::{case::Case, process::eventually};

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

    /// Checks that nothing was left unacknowledged once the consumer has gone, and removes the queue.
    pub(crate) async fn finish(&self, queue: &str) -> Result<()> {
        let left = self.ready(queue).await?;
        ensure!(left == 0, "{left} messages were delivered and never acknowledged");
        self.channel.queue_delete(queue.into(), QueueDeleteOptions::default()).await.context("deleting a queue")?;
        Ok(())
    }
}
