//! The other side of the queue: a client that declares, publishes and counts.

use std::sync::atomic::{AtomicU32, Ordering};

use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties,
    options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable},
};

use super::Management;

/// Where `scripts/brokers up` puts it, unless the environment says otherwise.
pub(crate) fn amqp_url() -> String {
    std::env::var("GANTRY_TEST_AMQP_URL").unwrap_or_else(|_| "amqp://guest:guest@127.0.0.1:21672/%2f".to_owned())
}

/// A name that no other test and no other run has.
pub(crate) fn unique(what: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed().expect("it is after 1970");
    format!("test-{what}-{}-{}-{}", since.as_millis(), std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// A publisher on a connection of its own.
pub(crate) struct Rabbit {
    _connection: Connection,
    pub(crate) channel: Channel,
}

/// A queue that is deleted when it goes, also when its test fails.
pub(crate) struct Queue {
    pub(crate) name: String,
}

impl Drop for Queue {
    fn drop(&mut self) {
        Management::new().delete_queue(&self.name);
    }
}

impl Rabbit {
    pub(crate) async fn connect() -> Self {
        let connection = match Connection::connect(&amqp_url(), ConnectionProperties::default()).await {
            Ok(connection) => connection,
            Err(error) => panic!("no RabbitMQ to test with ({error}): run scripts/brokers up"),
        };
        let channel = connection.create_channel().await.expect("a new connection has room for channels");
        channel.confirm_select(ConfirmSelectOptions::default()).await.expect("RabbitMQ has confirms");
        Self { _connection: connection, channel }
    }

    /// A durable queue.
    pub(crate) async fn queue(&self, what: &str) -> Queue {
        self.queue_with(what, &[]).await
    }

    /// A durable queue with arguments.
    pub(crate) async fn queue_with(&self, what: &str, arguments: &[(&str, AMQPValue)]) -> Queue {
        let queue = Queue { name: unique(what) };
        let mut table = FieldTable::default();
        for (name, value) in arguments {
            table.insert((*name).into(), value.clone());
        }
        let declared = self.channel.queue_declare(queue.name.as_str().into(), QueueDeclareOptions::durable(), table);
        declared.await.expect("the queue is new");
        queue
    }

    /// Publishes to the queue by the default exchange; it is there when this returns.
    pub(crate) async fn publish(&self, queue: &Queue, body: &[u8], properties: BasicProperties) {
        self.publish_to("", &queue.name, body, properties).await;
    }

    pub(crate) async fn publish_to(&self, exchange: &str, key: &str, body: &[u8], properties: BasicProperties) {
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let published = self.channel.basic_publish(exchange.into(), key.into(), options, body, properties);
        let confirm = published.await.expect("it can be sent").await.expect("it is confirmed");
        // An unroutable message is confirmed too, with the message itself.
        assert!(matches!(confirm, Confirmation::Ack(None)), "no queue took it: {confirm:?}");
    }

    /// Publishes bodies `from..to`, in order; they are there when this returns.
    pub(crate) async fn publish_numbers(&self, queue: &Queue, numbers: std::ops::Range<usize>) {
        self.publish_all(queue, numbers.map(|number| number.to_string().into_bytes())).await;
    }

    /// Publishes these bodies, in order; they are there when this returns.
    pub(crate) async fn publish_all(&self, queue: &Queue, bodies: impl Iterator<Item = Vec<u8>>) {
        let mut confirms = Vec::new();
        for body in bodies {
            let options = BasicPublishOptions::default();
            let properties = BasicProperties::default().with_delivery_mode(2);
            let name = queue.name.as_str().into();
            let published = self.channel.basic_publish("".into(), name, options, &body, properties);
            confirms.push(published.await.expect("it can be sent"));
        }
        for confirm in confirms {
            assert!(confirm.await.expect("it is confirmed").is_ack());
        }
    }

    /// Messages that lie ready in the queue: those that no consumer holds.
    pub(crate) async fn ready(&self, queue: &Queue) -> u32 {
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let declared = self.channel.queue_declare(queue.name.as_str().into(), options, FieldTable::default());
        declared.await.expect("the queue is there").message_count()
    }
}
