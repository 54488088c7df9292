//! A real RabbitMQ, from the test's side.

use futures_util::{StreamExt as _, stream::FuturesOrdered};
use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties, ExchangeKind,
    options::{
        BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions, ExchangeDeleteOptions,
        QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions, QueuePurgeOptions,
    },
    types::{AMQPValue, FieldTable},
};

use super::{SOON, amqp_url, eventually, oracle, while_it_goes_on};

/// Arguments of a queue for tests that tear connections, or kill who has them, and judge the order. RabbitMQ may notice
/// later than Gantry that a connection is gone, and would give later messages to the new consumer while the old one still
/// counts. With this argument it waits.
pub fn single_active_consumer() -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-single-active-consumer".into(), AMQPValue::Boolean(true));
    arguments
}

/// A connection of the test's own, with publisher confirms.
pub struct Rabbit {
    // Held so that it lives as long as the channel.
    _connection: Connection,
    /// Where it publishes, with confirms.
    pub channel: Channel,
}

impl Rabbit {
    /// Connects, and fails with what to do when there is no broker.
    pub async fn connect() -> Self {
        let connected = Self::try_connect().await;
        connected.unwrap_or_else(|error| panic!("no RabbitMQ for the tests ({error}): run `scripts/brokers up` first"))
    }

    /// Connects, if the broker is there.
    pub async fn try_connect() -> lapin::Result<Self> {
        let connection = Connection::connect(&amqp_url(), ConnectionProperties::default()).await?;
        let channel = connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        Ok(Self { _connection: connection, channel })
    }

    /// Connects, waiting until a broker that is starting answers.
    pub async fn connect_when_up() -> Self {
        eventually("RabbitMQ answers", SOON, async || Self::try_connect().await.ok()).await
    }

    /// A durable queue of that name.
    pub async fn queue(&self, name: &str) {
        self.queue_with(name, FieldTable::default()).await;
    }

    /// A durable queue with arguments.
    pub async fn queue_with(&self, name: &str, arguments: FieldTable) {
        let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        self.channel.queue_declare(name.into(), options, arguments).await.expect("declaring the queue");
    }

    /// Removes the queue.
    pub async fn delete(&self, name: &str) {
        self.channel.queue_delete(name.into(), QueueDeleteOptions::default()).await.expect("deleting the queue");
    }

    /// A durable direct exchange, bound to the queue.
    pub async fn exchange(&self, name: &str, queue: &str, routing_key: &str) {
        let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        let made = self.channel.exchange_declare(name.into(), ExchangeKind::Direct, options, FieldTable::default());
        made.await.expect("declaring the exchange");
        let (options, none) = (QueueBindOptions::default(), FieldTable::default());
        let bound = self.channel.queue_bind(queue.into(), name.into(), routing_key.into(), options, none);
        bound.await.expect("binding the queue");
    }

    /// Removes the exchange.
    pub async fn delete_exchange(&self, name: &str) {
        let deleted = self.channel.exchange_delete(name.into(), ExchangeDeleteOptions::default());
        deleted.await.expect("deleting the exchange");
    }

    /// Removes what is ready in the queue.
    pub async fn purge(&self, name: &str) {
        self.channel.queue_purge(name.into(), QueuePurgeOptions::default()).await.expect("purging the queue");
    }

    /// Messages that are ready in the queue; those that a consumer holds do not count.
    pub async fn ready(&self, name: &str) -> u32 {
        self.try_ready(name).await.expect("asking for the queue")
    }

    /// The same, if there is an answer: the broker or the queue may be away.
    pub async fn try_ready(&self, name: &str) -> Option<u32> {
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let queue = self.channel.queue_declare(name.into(), options, FieldTable::default()).await;
        Some(queue.ok()?.message_count())
    }

    /// Waits until nothing is left in the queue, not even with a consumer.
    ///
    /// What consumers hold is known only by statistics, which the test brokers gather every 250 ms; so the answer must
    /// be zero for much longer than that.
    pub async fn wait_until_empty(&self, name: &str) {
        let left = async || {
            let ready = u64::from(self.ready(name).await);
            Some(all_messages(name)?.max(ready))
        };
        let what = format!("queue {name} is empty");
        while_it_goes_on(&what, SOON, 0, async || Some(-i64::try_from(left().await?).expect("few"))).await;
        let mut in_a_row = 0;
        eventually(&what, SOON, async || {
            in_a_row = if left().await == Some(0) { in_a_row + 1 } else { 0 };
            (in_a_row == 25).then_some(())
        })
        .await;
    }

    /// Takes everything that is ready out of the queue: the message ids.
    pub async fn take_all(&self, name: &str) -> Vec<String> {
        let mut ids = Vec::new();
        let options = BasicGetOptions { no_ack: true };
        while let Some(message) = self.channel.basic_get(name.into(), options).await.expect("taking a message") {
            ids.extend(message.delivery.properties.message_id().as_ref().map(ToString::to_string));
        }
        ids
    }

    /// Publishes one message to the queue and waits for its confirm.
    pub async fn publish(&self, queue: &str, body: &[u8], properties: BasicProperties) {
        let options = BasicPublishOptions::default();
        let publish = self.channel.basic_publish("".into(), queue.into(), options, body, properties);
        publish.await.expect("publishing").await.expect("its confirm");
    }

    /// Publishes the oracle's messages `from..to`, persistent, and waits for all confirms.
    pub async fn publish_sequence(&self, queue: &str, from: u64, to: u64, size: usize) {
        let mut confirms = FuturesOrdered::new();
        for sequence in from..to {
            let body = oracle::body(sequence, size);
            let (queue, properties) = (queue.into(), oracle::properties(sequence));
            let options = BasicPublishOptions::default();
            let publish = self.channel.basic_publish("".into(), queue, options, &body, properties);
            confirms.push_back(publish.await.expect("publishing"));
            if confirms.len() >= 1000 {
                confirms.next().await.expect("there is one").expect("its confirm");
            }
        }
        while let Some(confirm) = confirms.next().await {
            confirm.expect("its confirm");
        }
    }
}

/// Ready and unacknowledged messages by the management API; `None` while it has no numbers yet. Totals alone are as fresh
/// as the broker's statistics; everything else of a queue is some seconds old.
pub fn all_messages(queue: &str) -> Option<u64> {
    let queues = management("/api/queues/%2f?disable_stats=true&enable_queue_totals=true")?;
    queues.as_array()?.iter().find(|found| found["name"] == queue)?["messages"].as_u64()
}

/// guest:guest
const GUEST: &str = "Basic Z3Vlc3Q6Z3Vlc3Q=";

/// Publishes to the queue a message whose header `x` is nested so deep; the JSON of it. By the management API: the client that
/// these tests publish with would overflow its own stack.
pub fn publish_nested(queue: &str, depth: usize) -> String {
    let nested = format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
    let body = format!(
        r#"{{"routing_key":"{queue}","payload":"deep","payload_encoding":"string","properties":{{"headers":{{"x":{nested}}}}}}}"#
    );
    let url = format!("{}/api/exchanges/%2f/amq.default/publish", super::management_url());
    let published = ureq::post(&url).header("Authorization", GUEST).send(&body);
    assert_eq!(published.expect("published").status(), 200);
    nested
}

/// 3 or 4.
///
/// # Panics
/// When RabbitMQ does not tell.
pub fn major_version() -> u32 {
    let overview = management("/api/overview").expect("the management API answers");
    let version = overview["rabbitmq_version"].as_str().expect("RabbitMQ tells its version");
    version.split('.').next().and_then(|major| major.parse().ok()).expect("a version begins with a number")
}

/// Asks the management API.
pub fn management(path: &str) -> Option<serde_json::Value> {
    let url = format!("{}{path}", super::management_url());
    let mut response = ureq::get(&url).header("Authorization", GUEST).call().ok()?;
    serde_json::from_str(&response.body_mut().read_to_string().ok()?).ok()
}
