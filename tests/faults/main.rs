//! Faults of real brokers, one after the other: they share the brokers that they break.
//!
//! Every test ends with the oracle: nothing lost, order kept, duplicates counted; and with the law of conservation.

#[path = "../support/mod.rs"]
mod support;

mod access;
mod cluster;
mod consumers;
mod delivery_limit;
mod limits;
mod processes;
mod restarts;
mod wires;

use std::time::Duration;

use lapin::types::{AMQPValue, FieldTable};
use support::{
    SOON, eventually,
    gantry::Gantry,
    kafka::{Cluster, Stored},
    oracle,
    rabbit::Rabbit,
    unique,
};
use tokio::sync::{Mutex, MutexGuard, watch};

/// Only one test may break the brokers at a time.
static BROKERS: Mutex<()> = Mutex::const_new(());

/// A bridge under load, and what it takes to judge it.
struct Scene {
    _brokers: MutexGuard<'static, ()>,
    rabbit: Rabbit,
    kafka: Cluster,
    gantry: Gantry,
    queue: String,
    topic: String,
    /// `0..messages` were published.
    messages: u64,
}

/// Where the bridge of a scene connects to.
struct Setup {
    /// Its RabbitMQ connection, without the braces.
    rabbit: String,
    /// Its Kafka connection, without the braces.
    events: String,
    /// How the test reaches the same Kafka.
    kafka: Cluster,
    /// Arguments of the queue.
    queue: FieldTable,
    /// Settings of the topic.
    topic: &'static [(&'static str, &'static str)],
}

impl Setup {
    /// Straight to the brokers.
    fn direct() -> Self {
        Self {
            rabbit: format!("urls: [\"{}\"]", support::amqp_url()),
            events: format!("bootstrap_servers: \"{}\"", support::bootstrap_servers()),
            kafka: Cluster::at(&support::bootstrap_servers(), 1),
            queue: FieldTable::default(),
            topic: &[],
        }
    }
}

/// For tests that tear connections and judge the order. RabbitMQ may notice later than Gantry that a connection is gone, and
/// would give later messages to the new consumer while the old one still counts. With this argument it waits.
fn single_active_consumer() -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-single-active-consumer".into(), AMQPValue::Boolean(true));
    arguments
}

impl Scene {
    /// A full queue, a topic, and a gantry that has begun to move.
    async fn begin(messages: u64) -> Self {
        let brokers = BROKERS.lock().await;
        Self::with(brokers, Setup::direct(), messages).await
    }

    /// The same with connections of its own.
    async fn with(brokers: MutexGuard<'static, ()>, setup: Setup, messages: u64) -> Self {
        let (queue, topic) = (unique("fault"), unique("fault"));
        let rabbit = Rabbit::connect_when_up().await;
        rabbit.queue_with(&queue, setup.queue).await;
        setup.kafka.create_topic_with(&topic, 1, setup.topic).await;
        rabbit.publish_sequence(&queue, 0, messages, 200).await;
        let yaml = format!(
            r#"shutdown_timeout: 3s
connections:
  rabbit: {{ rabbitmq: {{ {} }} }}
  events: {{ kafka: {{ {} }} }}
bridges:
  b:
    source: {{ rabbitmq: {{ connection: rabbit, queue: {queue} }} }}
    sink: {{ kafka: {{ connection: events, topic: {topic} }} }}
    errors: {{ backoff: {{ initial: 100ms, max: 1s }} }}
"#,
            setup.rabbit, setup.events,
        );
        let gantry = Gantry::start(&yaml);
        let kafka = setup.kafka;
        kafka.wait_for_count(&topic, 500.min(i64::try_from(messages).expect("few"))).await;
        Self { _brokers: brokers, rabbit, kafka, gantry, queue, topic, messages }
    }

    /// So many messages more.
    async fn publish(&mut self, more: u64) {
        self.rabbit.publish_sequence(&self.queue, self.messages, self.messages + more, 200).await;
        self.messages += more;
    }

    /// Publishes all the time while something is done: whatever is broken meanwhile is broken in full flow.
    async fn fed(&mut self, work: impl AsyncFnOnce(&mut Self)) {
        let (stop, stopped) = watch::channel(false);
        let feeding = tokio::spawn(feed(self.queue.clone(), self.messages, stopped));
        work(self).await;
        stop.send_replace(true);
        self.messages = feeding.await.expect("publishing");
    }

    /// How many records the topic holds; copies count.
    async fn count(&self) -> i64 {
        eventually("Kafka says how many records there are", SOON, async || self.kafka.count(&self.topic)).await
    }

    /// Waits until so many records more have arrived.
    async fn moves(&self, more: i64) {
        let now = self.count().await;
        self.kafka.wait_for_count(&self.topic, now + more).await;
    }

    /// Waits until nothing is missing, or for so long that something is lost. An empty queue is not enough: RabbitMQ may not
    /// have noticed yet that a consumer is dead, and its statistics do not show what such a one holds.
    async fn wait_for_the_last(&self, before: &[Stored]) {
        let expected = self.messages - before.len() as u64;
        self.kafka.wait_for_count(&self.topic, i64::try_from(expected).expect("few")).await;
        eventually("nothing is missing", 2 * SOON, async || {
            let stored = [before, &self.kafka.read_all(&self.topic)].concat();
            oracle::judge(&stored, self.messages).missing.is_empty().then_some(())
        })
        .await;
    }

    /// Everything must have arrived, in order.
    async fn judge(self) -> oracle::Verdict {
        self.judge_with(Vec::new()).await
    }

    /// The same, with records that were read before somebody deleted them.
    async fn judge_with(self, mut stored: Vec<Stored>) -> oracle::Verdict {
        let rabbit = Rabbit::connect_when_up().await;
        self.wait_for_the_last(&stored).await;
        rabbit.wait_until_empty(&self.queue).await;
        self.gantry.wait_until_ready().await;
        self.gantry.check_conservation("b");
        stored.extend(self.kafka.read_all(&self.topic));
        let verdict = oracle::assert_nothing_lost(&stored, self.messages);
        eprintln!("{}: {} arrived, {} duplicates", self.queue, verdict.arrived, verdict.duplicates);
        rabbit.delete(&self.queue).await;
        self.kafka.delete_topic(&self.topic).await;
        verdict
    }
}

/// Some thousand messages a second from `next` on, until it is told to stop; how many there are then.
async fn feed(queue: String, mut next: u64, stopped: watch::Receiver<bool>) -> u64 {
    let rabbit = Rabbit::connect().await;
    let mut portions = tokio::time::interval(Duration::from_millis(100));
    while !*stopped.borrow() {
        portions.tick().await;
        rabbit.publish_sequence(&queue, next, next + 100, 200).await;
        next += 100;
    }
    next
}

/// `scripts/brokers ACTION NAME`: really down, or really up, when it returns.
async fn brokers(action: &str, name: &str) {
    support::brokers::run(&[action, name]).await;
}
