//! A real Kafka, from the test's side.
//!
//! The functions ask the single node that most tests use; [`Cluster`] is for tests that need another.

use std::time::{Duration, Instant};

use rdkafka::{
    ClientConfig, Message as _, TopicPartitionList,
    admin::{AdminClient, AdminOptions, AlterConfig, NewTopic, ResourceSpecifier, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer as _},
    error::KafkaError,
    message::{BorrowedMessage, Headers as _},
    mocking::MockCluster,
    producer::DefaultProducerContext,
};

use super::{SOON, bootstrap_servers, eventually, while_it_goes_on};

/// One record as it lies in a topic.
#[derive(Debug, Clone)]
pub struct Stored {
    /// Where it lies.
    pub partition: i32,
    /// Its place there.
    pub offset: i64,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its body; none: a tombstone.
    pub value: Option<Vec<u8>>,
    /// In their order, names repeated as they come.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    /// Milliseconds since 1970.
    pub timestamp: Option<i64>,
}

impl Stored {
    /// A record as a consumer has it.
    pub fn of(message: &BorrowedMessage<'_>) -> Self {
        let headers = message.headers().map(|headers| {
            headers.iter().map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec))).collect()
        });
        Self {
            partition: message.partition(),
            offset: message.offset(),
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
            headers: headers.unwrap_or_default(),
            timestamp: message.timestamp().to_millis(),
        }
    }

    /// The first header of that name, as text.
    pub fn header(&self, name: &str) -> Option<String> {
        let (_, value) = self.headers.iter().find(|(own, _)| own == name)?;
        Some(String::from_utf8_lossy(value.as_ref()?).into_owned())
    }
}

/// Where to ask.
#[derive(Debug, Clone)]
pub struct Cluster {
    servers: String,
    replicas: i32,
}

fn single() -> Cluster {
    Cluster::at(&bootstrap_servers(), 1)
}

/// A Kafka that can go away: librdkafka's own mock, in this process. It keeps no more than 5 MB a partition.
pub struct Mock {
    cluster: MockCluster<'static, DefaultProducerContext>,
}

impl Mock {
    /// With these topics, and so many partitions each.
    pub fn start(topics: &[&str], partitions: i32) -> Self {
        let cluster = MockCluster::new(1).expect("a mock cluster");
        for topic in topics {
            cluster.create_topic(topic, partitions, 1).expect("a topic");
        }
        Self { cluster }
    }

    /// Options of a connection to it. It never says what a topic's settings are: that is not waited for.
    pub fn connection(&self) -> String {
        let servers = self.cluster.bootstrap_servers();
        let properties = "properties: { reconnect.backoff.max.ms: 200 }";
        format!("{{ bootstrap_servers: \"{servers}\", connect_timeout: 1s, {properties} }}")
    }

    /// Nobody reaches it any more.
    pub fn go_away(&self) {
        self.cluster.broker_down(1).expect("it goes");
    }

    /// It is there again, with what it had.
    pub fn come_back(&self) {
        self.cluster.broker_up(1).expect("it comes");
    }

    /// Everything that the topic holds now.
    pub fn read_all(&self, topic: &str) -> Vec<Stored> {
        Cluster::at(&self.cluster.bootstrap_servers(), 1).read_all(topic)
    }
}

/// Makes a topic with that many partitions.
pub async fn create_topic(name: &str, partitions: i32) {
    create_topic_with(name, partitions, &[]).await;
}

/// Makes a topic with its own configuration.
pub async fn create_topic_with(name: &str, partitions: i32, settings: &[(&str, &str)]) {
    single().create_topic_with(name, partitions, settings).await;
}

/// Makes a topic, unless one of that name is still being removed.
///
/// # Errors
/// What Kafka says.
pub async fn try_create_topic(name: &str, partitions: i32) -> Result<(), String> {
    single().try_create_topic(name, partitions, &[]).await
}

/// Removes a topic.
pub async fn delete_topic(name: &str) {
    single().delete_topic(name).await;
}

/// How many records the topic holds.
pub fn count(topic: &str) -> Option<i64> {
    single().count(topic)
}

/// Waits until the topic holds at least so many records.
pub async fn wait_for_count(topic: &str, at_least: i64) {
    single().wait_for_count(topic, at_least).await;
}

/// Everything that the topic holds now, by partition and offset.
pub fn read_all(topic: &str) -> Vec<Stored> {
    single().read_all(topic)
}

/// The same, with each record changed as it comes: when not all of them fit in memory.
pub fn read_each(topic: &str, change: impl Fn(Stored) -> Stored) -> Vec<Stored> {
    single().read_each(topic, change)
}

// === impl Cluster ===

impl Cluster {
    /// A cluster that is reached at these servers, whose topics have so many replicas.
    pub fn at(servers: &str, replicas: i32) -> Self {
        Self { servers: servers.to_owned(), replicas }
    }

    /// Its addresses.
    pub fn servers(&self) -> &str {
        &self.servers
    }

    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.servers);
        config
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.config().create().expect("an admin client")
    }

    /// A consumer that commits nothing and begins at the beginning.
    pub fn consumer(&self) -> BaseConsumer {
        let mut config = self.config();
        config.set("group.id", "gantry-tests").set("enable.auto.commit", "false").set("auto.offset.reset", "earliest");
        config.create().expect("a consumer")
    }

    /// Makes a topic with its own configuration.
    pub async fn create_topic_with(&self, name: &str, partitions: i32, settings: &[(&str, &str)]) {
        let made = self.try_create_topic(name, partitions, settings).await;
        made.unwrap_or_else(|error| panic!("making topic {name}: {error}; is there a Kafka? `scripts/brokers up`"));
    }

    async fn try_create_topic(&self, name: &str, partitions: i32, settings: &[(&str, &str)]) -> Result<(), String> {
        let mut topic = NewTopic::new(name, partitions, TopicReplication::Fixed(self.replicas));
        for (key, value) in settings {
            topic = topic.set(key, value);
        }
        let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(30)));
        let made = self.admin().create_topics([&topic], &options).await.map_err(|error| error.to_string())?;
        made.into_iter().try_for_each(|made| made.map(drop).map_err(|(_, error)| error.to_string()))
    }

    /// Changes the topic's configuration to just these settings.
    pub async fn alter_topic(&self, name: &str, settings: &[(&str, &str)]) {
        let topic = ResourceSpecifier::Topic(name);
        let config = settings.iter().fold(AlterConfig::new(topic), |config, (key, value)| config.set(key, value));
        let altered = self.admin().alter_configs([&config], &AdminOptions::new()).await;
        assert!(altered.expect("asking Kafka").iter().all(Result::is_ok), "altering topic {name}");
    }

    /// Removes a topic.
    pub async fn delete_topic(&self, name: &str) {
        let deleted = self.admin().delete_topics(&[name], &AdminOptions::new()).await.expect("asking Kafka");
        assert!(deleted.iter().all(Result::is_ok), "deleting topic {name}: {deleted:?}");
    }

    /// How many records the topic holds.
    pub fn count(&self, topic: &str) -> Option<i64> {
        let consumer = self.consumer();
        partitions(&consumer, topic)?
            .into_iter()
            .map(|partition| {
                let (low, high) = consumer.fetch_watermarks(topic, partition, Duration::from_secs(5)).ok()?;
                Some(high - low)
            })
            .sum()
    }

    /// Waits until the topic holds at least so many records.
    pub async fn wait_for_count(&self, topic: &str, at_least: i64) {
        let what = format!("topic {topic} holds {at_least} records");
        while_it_goes_on(&what, SOON, at_least, async || self.count(topic)).await;
    }

    /// How many records of the topic the group has not committed yet. `None` while nobody knows.
    pub fn uncommitted(&self, group: &str, topic: &str) -> Option<i64> {
        let consumer: BaseConsumer = self.config().set("group.id", group).create().expect("a consumer");
        let mut asked = TopicPartitionList::new();
        for partition in partitions(&consumer, topic)? {
            asked.add_partition(topic, partition);
        }
        let committed = consumer.committed_offsets(asked, Duration::from_secs(5)).ok()?;
        let behind = committed.elements().into_iter().map(|one| {
            let (low, high) = consumer.fetch_watermarks(topic, one.partition(), Duration::from_secs(5)).ok()?;
            Some(high - one.offset().to_raw().filter(|offset| *offset >= 0).unwrap_or(low))
        });
        behind.sum()
    }

    /// Waits until the group has committed all that the topic holds.
    pub async fn wait_until_committed(&self, group: &str, topic: &str) {
        let what = format!("group {group} has committed all of topic {topic}");
        eventually(&what, SOON, async || self.uncommitted(group, topic).filter(|left| *left == 0)).await;
    }

    /// The broker that leads the topic's first partition, and how many replicas are in sync. `None` while nobody leads.
    pub fn leader(&self, topic: &str) -> Option<(i32, usize)> {
        let metadata = self.consumer().fetch_metadata(Some(topic), Duration::from_secs(5)).ok()?;
        let partition = metadata.topics().first()?.partitions().first()?;
        (partition.leader() >= 0).then(|| (partition.leader(), partition.isr().len()))
    }

    /// Everything that the topic holds now, by partition and offset.
    pub fn read_all(&self, topic: &str) -> Vec<Stored> {
        self.read_each(topic, |record| record)
    }

    /// The same, with each record changed as it comes: when not all of them fit in memory.
    pub fn read_each(&self, topic: &str, change: impl Fn(Stored) -> Stored) -> Vec<Stored> {
        let consumer = self.consumer();
        let mut list = TopicPartitionList::new();
        let mut left = 0;
        for partition in answer("the topic's partitions", || partitions(&consumer, topic)) {
            let ask = || consumer.fetch_watermarks(topic, partition, Duration::from_secs(10)).ok();
            let ends = answer("the topic's ends", ask);
            left += ends.1 - ends.0;
            list.add_partition_offset(topic, partition, rdkafka::Offset::Beginning).expect("an offset");
        }
        consumer.assign(&list).expect("assigning");
        let mut stored = Vec::with_capacity(usize::try_from(left).unwrap_or(0));
        let mut last = Instant::now();
        while left > 0 {
            match consumer.poll(SOON).expect("a record within the deadline") {
                Ok(message) => {
                    stored.push(change(Stored::of(&message)));
                    left -= 1;
                    last = Instant::now();
                }
                // A connection ended, say; it goes on by itself.
                Err(failed) => assert!(last.elapsed() < SOON, "reading topic {topic}: {failed}"),
            }
        }
        stored.sort_by_key(|record| (record.partition, record.offset));
        stored
    }
}

/// What readers of committed transactions see of the topic now, by partition and offset.
///
/// # Panics
/// When the topic cannot be read.
pub fn read_committed(topic: &str) -> Vec<Stored> {
    let mut config = rdkafka::ClientConfig::new();
    config
        .set("bootstrap.servers", crate::bootstrap_servers())
        .set("group.id", topic)
        .set("enable.auto.commit", "false");
    let config = config.set("isolation.level", "read_committed").set("enable.partition.eof", "true");
    let consumer: BaseConsumer = config.create().expect("a consumer");
    let mut list = TopicPartitionList::new();
    let mut left: std::collections::BTreeSet<i32> =
        partitions(&consumer, topic).expect("the topic's partitions").into_iter().collect();
    for partition in &left {
        list.add_partition_offset(topic, *partition, rdkafka::Offset::Beginning).expect("an offset");
    }
    consumer.assign(&list).expect("assigning");
    let mut stored = Vec::new();
    while !left.is_empty() {
        match consumer.poll(SOON).expect("a record within the deadline") {
            Ok(message) => stored.push(Stored::of(&message)),
            Err(KafkaError::PartitionEOF(partition)) => drop(left.remove(&partition)),
            Err(failed) => panic!("reading topic {topic}: {failed}"),
        }
    }
    stored.sort_by_key(|record| (record.partition, record.offset));
    stored
}

/// What Kafka answers, asked until it does. Blocks.
pub fn answer<T>(what: &str, ask: impl Fn() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(begun.elapsed() < SOON, "no answer for {SOON:?}: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The topic's partitions; `None` while nobody knows them.
pub fn partitions(consumer: &BaseConsumer, topic: &str) -> Option<Vec<i32>> {
    let metadata = consumer.fetch_metadata(Some(topic), Duration::from_secs(5)).ok()?;
    Some(metadata.topics().first()?.partitions().iter().map(|partition| partition.id()).collect())
}
