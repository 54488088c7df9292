//! A bridge under load in one of both directions, and what it takes to judge it.

use std::time::Duration;

use lapin::types::FieldTable;
use tokio::sync::{Mutex, MutexGuard, watch};

use crate::{
    BROKERS,
    support::{
        self, SOON, eventually,
        feed::Feeder,
        gantry::Gantry,
        kafka::{Cluster, Stored},
        oracle,
        rabbit::Rabbit,
        unique, while_it_goes_on,
    },
};

/// Where records go in at and come out of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    RabbitToKafka,
    KafkaToRabbit,
}

/// A running bridge `b`.
pub(crate) struct Scene {
    _brokers: MutexGuard<'static, ()>,
    pub(crate) rabbit: Rabbit,
    pub(crate) kafka: Cluster,
    pub(crate) gantry: Gantry,
    /// The configuration, for a second process.
    pub(crate) yaml: String,
    pub(crate) queue: String,
    pub(crate) topic: String,
    /// `0..messages` were published.
    pub(crate) messages: u64,
    direction: Direction,
    partitions: i32,
    /// Connects anew when it has to.
    counter: Mutex<Option<Rabbit>>,
}

/// Where the bridge of a scene connects to.
pub(crate) struct Setup {
    pub(crate) direction: Direction,
    /// Its RabbitMQ connection, without the braces.
    pub(crate) rabbit: String,
    /// Its Kafka connection, without the braces.
    pub(crate) events: String,
    /// How the test reaches the same Kafka.
    pub(crate) kafka: Cluster,
    /// Arguments of the queue.
    pub(crate) queue: FieldTable,
    /// Settings of the topic.
    pub(crate) topic: &'static [(&'static str, &'static str)],
    /// Partitions of the topic.
    pub(crate) partitions: i32,
    /// More options of the source, each with a comma before it.
    pub(crate) source: &'static str,
    /// A topic for dead letters.
    pub(crate) dead_letter: Option<String>,
    /// How long a stop may take.
    pub(crate) shutdown_timeout: &'static str,
    /// Environment variables of the process.
    pub(crate) environment: Vec<(&'static str, String)>,
}

/// How often something is broken in a test that breaks it so many times; `GANTRY_TEST_FAULTS` multiplies it.
pub(crate) fn rounds(times: u32) -> u32 {
    times * std::env::var("GANTRY_TEST_FAULTS").map_or(1, |text| text.parse().expect("a number"))
}

/// The session of a member that was killed ends so soon that a test can wait for it; Kafka allows no less than 6 s.
const GROUP: &str = ", commit_interval: 500ms, properties: { session.timeout.ms: 6000, heartbeat.interval.ms: 1000 }";

impl Setup {
    /// From RabbitMQ to Kafka, straight to the brokers.
    pub(crate) fn direct() -> Self {
        Self {
            direction: Direction::RabbitToKafka,
            rabbit: format!("urls: [\"{}\"]", support::amqp_url()),
            events: format!("bootstrap_servers: \"{}\"", support::bootstrap_servers()),
            kafka: Cluster::at(&support::bootstrap_servers(), 1),
            queue: FieldTable::default(),
            topic: &[],
            partitions: 1,
            source: "",
            dead_letter: None,
            shutdown_timeout: "3s",
            environment: Vec::new(),
        }
    }

    /// From Kafka to RabbitMQ, straight to the brokers.
    pub(crate) fn reverse() -> Self {
        Self { direction: Direction::KafkaToRabbit, partitions: 3, ..Self::direct() }
    }

    fn yaml(&self, queue: &str, topic: &str) -> String {
        let in_rabbit = format!("{{ rabbitmq: {{ connection: rabbit, queue: {queue}");
        let in_kafka = format!("{{ kafka: {{ connection: events, topic: {topic}");
        let options = self.source;
        let (source, sink) = match self.direction {
            Direction::RabbitToKafka => (format!("{in_rabbit}{options} }} }}"), format!("{in_kafka} }} }}")),
            Direction::KafkaToRabbit => {
                (format!("{in_kafka}, group: {topic}{GROUP}{options} }} }}"), format!("{in_rabbit} }} }}"))
            }
        };
        let dead_letter = self.dead_letter.as_ref().map_or_else(String::new, |topic| {
            format!(", dead_letter: {{ kafka: {{ connection: events, topic: {topic} }} }}")
        });
        format!(
            r#"shutdown_timeout: {}
connections:
  rabbit: {{ rabbitmq: {{ {} }} }}
  events: {{ kafka: {{ {} }} }}
bridges:
  b:
    source: {source}
    sink: {sink}
    errors: {{ backoff: {{ initial: 100ms, max: 1s }}{dead_letter} }}
"#,
            self.shutdown_timeout, self.rabbit, self.events,
        )
    }
}

impl Scene {
    /// Something to move, a place for it, and a gantry that has begun to move.
    pub(crate) async fn begin(messages: u64) -> Self {
        Self::with(BROKERS.lock().await, Setup::direct(), messages).await
    }

    /// The same from Kafka to RabbitMQ.
    pub(crate) async fn reverse(messages: u64) -> Self {
        Self::with(BROKERS.lock().await, Setup::reverse(), messages).await
    }

    /// The same with the usual time for a stop in good order.
    pub(crate) async fn that_drains(setup: Setup, messages: u64) -> Self {
        let setup = Setup { shutdown_timeout: "30s", ..setup };
        Self::with(BROKERS.lock().await, setup, messages).await
    }

    /// The same with connections of its own.
    pub(crate) async fn with(brokers: MutexGuard<'static, ()>, setup: Setup, messages: u64) -> Self {
        let (queue, topic) = (unique("fault"), unique("fault"));
        let yaml = setup.yaml(&queue, &topic);
        let rabbit = Rabbit::connect_when_up().await;
        rabbit.queue_with(&queue, setup.queue).await;
        setup.kafka.create_topic_with(&topic, setup.partitions, setup.topic).await;
        let Setup { direction, kafka, partitions, environment, .. } = setup;
        let entrance =
            Entrance { direction, kafka: kafka.clone(), queue: queue.clone(), topic: topic.clone(), partitions };
        entrance.publish(0, messages).await;
        let gantry = Gantry::start_with(environment, &yaml);
        let scene = Self {
            _brokers: brokers,
            rabbit,
            kafka,
            gantry,
            yaml,
            queue,
            topic,
            messages,
            direction,
            partitions,
            counter: Mutex::new(None),
        };
        scene.wait_for_count(500.min(messages)).await;
        scene
    }

    fn entrance(&self) -> Entrance {
        Entrance {
            direction: self.direction,
            kafka: self.kafka.clone(),
            queue: self.queue.clone(),
            topic: self.topic.clone(),
            partitions: self.partitions,
        }
    }

    /// So many messages more.
    pub(crate) async fn publish(&mut self, more: u64) {
        self.entrance().publish(self.messages, self.messages + more).await;
        self.messages += more;
    }

    /// Publishes all the time while something is done: whatever is broken meanwhile is broken in full flow.
    pub(crate) async fn fed(&mut self, work: impl AsyncFnOnce(&mut Self)) {
        let (stop, stopped) = watch::channel(false);
        let feeding = tokio::spawn(self.entrance().feed(self.messages, stopped));
        work(self).await;
        stop.send_replace(true);
        self.messages = feeding.await.expect("publishing");
    }

    /// In full flow: some records move, then it is done; so many [`rounds`].
    pub(crate) async fn again_and_again(&mut self, times: u32, mut what: impl AsyncFnMut(&mut Self)) {
        self.fed(async |scene| {
            for _ in 0..rounds(times) {
                scene.moves(100).await;
                what(scene).await;
            }
        })
        .await;
    }

    /// Gantry is killed in full flow, and started again; so many times.
    pub(crate) async fn killed(&mut self, times: u32) {
        self.again_and_again(times, async |scene| {
            scene.gantry.kill();
            scene.gantry.start_again();
        })
        .await;
    }

    /// Gantry gets a SIGTERM in full flow, drains, and is started again; so many times.
    pub(crate) async fn terminated(&mut self, times: u32) {
        self.again_and_again(times, async |scene| {
            let status = scene.gantry.terminate().await;
            assert_eq!(status.code(), Some(0), "it drains in time");
            scene.gantry.start_again();
        })
        .await;
    }

    /// How many records have come out; copies count.
    pub(crate) async fn count(&self) -> i64 {
        eventually("the broker says how much came out", SOON, async || match self.direction {
            Direction::RabbitToKafka => self.kafka.count(&self.topic),
            Direction::KafkaToRabbit => self.in_queue().await,
        })
        .await
    }

    /// Messages in the queue, which nobody consumes, as of now: statistics are older than a kill and a start.
    async fn in_queue(&self) -> Option<i64> {
        let mut counter = self.counter.lock().await;
        let rabbit = match counter.take() {
            Some(rabbit) => rabbit,
            None => Rabbit::try_connect().await.ok()?,
        };
        let ready = rabbit.try_ready(&self.queue).await?;
        *counter = Some(rabbit);
        Some(ready.into())
    }

    /// Waits until at least so many have come out: on bad wires that takes minutes now and then.
    pub(crate) async fn wait_for_count(&self, at_least: u64) {
        let at_least = i64::try_from(at_least).expect("few");
        let what = format!("{at_least} records have come out");
        while_it_goes_on(&what, SOON, at_least, async || Some(self.count().await)).await;
    }

    /// Waits until so many records more have come out.
    pub(crate) async fn moves(&self, more: u64) {
        let now = u64::try_from(self.count().await).expect("a count");
        self.wait_for_count(now + more).await;
    }

    /// Everything must have arrived, in order.
    pub(crate) async fn judge(self) -> oracle::Judgement {
        self.judge_with(Vec::new()).await
    }

    /// The same, with records that were read before somebody deleted them.
    pub(crate) async fn judge_with(self, before: Vec<Stored>) -> oracle::Judgement {
        let rabbit = Rabbit::connect_when_up().await;
        let stored = match self.direction {
            Direction::RabbitToKafka => self.all_of_topic(before, &rabbit).await,
            Direction::KafkaToRabbit => self.all_of_queue(before, &rabbit).await,
        };
        let verdict = oracle::assert_nothing_lost(&stored, self.messages);
        eprintln!("{}: {} arrived, {} duplicates", self.queue, verdict.arrived, verdict.duplicates);
        rabbit.delete(&self.queue).await;
        self.kafka.delete_topic(&self.topic).await;
        verdict
    }

    /// Waits until nothing is missing, or for so long that something is lost. An empty queue is not enough: RabbitMQ may not
    /// have noticed yet that a consumer is dead, and its statistics do not show what such a one holds.
    async fn all_of_topic(&self, mut before: Vec<Stored>, rabbit: &Rabbit) -> Vec<Stored> {
        self.wait_for_count(self.messages - before.len() as u64).await;
        eventually("nothing is missing", SOON, async || {
            let stored = [&before[..], &self.kafka.read_all(&self.topic)].concat();
            oracle::judge(&stored, self.messages).missing.is_empty().then_some(())
        })
        .await;
        rabbit.wait_until_empty(&self.queue).await;
        self.gantry.wait_until_ready().await;
        self.gantry.check_conservation("b");
        before.extend(self.kafka.read_all(&self.topic));
        before
    }

    /// The same for a queue, whose messages are gone once they are read.
    async fn all_of_queue(&self, mut taken: Vec<Stored>, rabbit: &Rabbit) -> Vec<Stored> {
        let all = i64::try_from(self.messages).expect("few");
        while_it_goes_on("nothing is missing", SOON, all, async || {
            taken.extend(rabbit.take_by_partition(&self.queue, self.partitions).await);
            let missing = oracle::judge(&taken, self.messages).missing.len();
            Some(all - i64::try_from(missing).expect("few"))
        })
        .await;
        self.kafka.wait_until_committed(&self.topic, &self.topic).await;
        self.gantry.wait_until_ready().await;
        self.gantry.check_conservation("b");
        taken.extend(rabbit.take_by_partition(&self.queue, self.partitions).await);
        taken
    }
}

/// Where the messages go into the bridge.
struct Entrance {
    direction: Direction,
    kafka: Cluster,
    queue: String,
    topic: String,
    partitions: i32,
}

impl Entrance {
    /// The messages `from..to`, confirmed.
    async fn publish(&self, from: u64, to: u64) {
        match self.direction {
            Direction::RabbitToKafka => Rabbit::connect().await.publish_sequence(&self.queue, from, to, 200).await,
            Direction::KafkaToRabbit => {
                Feeder::new(&self.kafka).sequence(&self.topic, self.partitions, from, to, 200).await;
            }
        }
    }

    /// Some thousand messages a second from `next` on, until it is told to stop; how many there are then.
    async fn feed(self, mut next: u64, stopped: watch::Receiver<bool>) -> u64 {
        let rabbit = Rabbit::connect().await;
        let mut feeder = Feeder::new(&self.kafka);
        let mut portions = tokio::time::interval(Duration::from_millis(100));
        while !*stopped.borrow() {
            portions.tick().await;
            let end = next + 100;
            match self.direction {
                Direction::RabbitToKafka => rabbit.publish_sequence(&self.queue, next, end, 200).await,
                Direction::KafkaToRabbit => feeder.sequence(&self.topic, self.partitions, next, end, 200).await,
            }
            next = end;
        }
        next
    }
}
