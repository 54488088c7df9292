//! What the tests share: a real Kafka (`scripts/brokers up`), topics of their own, a sink, a reader.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "helpers of tests, of which every file uses a part")]

pub mod source;

use std::{
    collections::BTreeMap,
    sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use gantry_sdk::{
    Context, ErrorKind, Health, Opening, Record, Shared, Sink,
    health::Condition,
    plugin::RetryPolicy,
    testkit::{self, Courier, Summary},
};
use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, AlterConfig, NewTopic, ResourceSpecifier, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer as _},
    error::{KafkaError, KafkaResult},
    message::Headers as _,
};
use serde_json::{Value as Json, json};

/// Longer than anything takes here, so that a hang is a failure.
pub const DEADLINE: Duration = Duration::from_secs(180);

/// Where the real Kafka is.
pub fn bootstrap() -> String {
    std::env::var("GANTRY_TEST_KAFKA").unwrap_or_else(|_| "127.0.0.1:21092".to_owned())
}

/// A topic of one test, deleted when the test is over.
#[derive(Debug)]
pub struct Topic {
    pub name: String,
    pub partitions: i32,
}

impl Topic {
    /// Creates it.
    pub async fn new(what: &str, partitions: i32, config: &[(&str, &str)]) -> Self {
        let topic = Self { name: unique(what), partitions };
        topic.create(config).await;
        topic
    }

    /// Creates one that has a name already.
    pub async fn create(&self, config: &[(&str, &str)]) {
        let name = &self.name;
        let mut topic = NewTopic::new(name, self.partitions, TopicReplication::Fixed(1));
        for (name, value) in config {
            topic = topic.set(name, value);
        }
        let options = AdminOptions::new()
            .request_timeout(Some(Duration::from_secs(10)))
            .operation_timeout(Some(Duration::from_secs(10)));
        let admin = admin();
        let created = admin.create_topics([&topic], &options).await;
        let created = created.unwrap_or_else(|error| panic!("{}: {error}", no_kafka()));
        created[0].as_ref().unwrap_or_else(|error| panic!("creating topic {name}: {error:?}"));
        tokio::task::spawn_blocking(move || drop(admin));
        self.wait_until_there();
    }

    /// Changes its settings to just these.
    pub async fn set(&self, config: &[(&str, &str)]) {
        let topic = ResourceSpecifier::Topic(&self.name);
        let config = config.iter().fold(AlterConfig::new(topic), |config, (name, value)| config.set(name, value));
        let altered = admin().alter_configs([&config], &AdminOptions::new()).await.unwrap();
        altered[0].as_ref().unwrap();
    }

    /// One of its settings.
    pub async fn setting(&self, name: &str) -> Option<String> {
        let topic = ResourceSpecifier::Topic(&self.name);
        let described = admin().describe_configs([&topic], &AdminOptions::new()).await.unwrap().remove(0).unwrap();
        described.entries.into_iter().find(|entry| entry.name == name)?.value
    }

    /// Deletes what lies before that offset in each partition, as retention does.
    pub async fn delete_before(&self, offset: i64) {
        let mut list = TopicPartitionList::new();
        for partition in 0..self.partitions {
            list.add_partition_offset(&self.name, partition, Offset::Offset(offset)).unwrap();
        }
        let deleted = admin().delete_records(&list, &AdminOptions::new()).await.unwrap();
        deleted.elements().iter().for_each(|element| element.error().unwrap());
    }

    /// Deletes it and creates it again, as fast as Kafka does it.
    pub async fn recreate(&self) {
        let admin = admin();
        let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(10)));
        let deleted = admin.delete_topics(&[&self.name], &options).await.unwrap();
        deleted[0].as_ref().unwrap();
        let topic = NewTopic::new(&self.name, self.partitions, TopicReplication::Fixed(1));
        let begun = Instant::now();
        while !matches!(admin.create_topics([&topic], &options).await.as_deref(), Ok([Ok(_)])) {
            assert!(begun.elapsed() < DEADLINE, "topic {} is still there", self.name);
        }
        tokio::task::spawn_blocking(move || drop(admin));
        self.wait_until_there();
    }

    /// A topic that the sink creates.
    pub fn later(what: &str, partitions: i32) -> Self {
        Self { name: unique(what), partitions }
    }

    fn wait_until_there(&self) {
        let consumer = consumer();
        let begun = Instant::now();
        while begun.elapsed() < DEADLINE {
            let metadata = answered(|| consumer.fetch_metadata(Some(&self.name), Duration::from_secs(5)));
            let partitions = metadata.topics()[0].partitions();
            if partitions.len() as i32 == self.partitions && partitions.iter().all(|partition| partition.leader() >= 0)
            {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("topic {} has no leaders", self.name);
    }

    /// Everything in it, in order by partition; fails when there are not exactly so many records.
    pub fn read(&self, count: usize) -> Vec<Received> {
        let received = self.read_all();
        assert_eq!(received.len(), count, "records in topic {}", self.name);
        received
    }

    /// Everything in it, in order by partition.
    pub fn read_all(&self) -> Vec<Received> {
        let consumer = consumer();
        let mut assignment = TopicPartitionList::new();
        for partition in 0..self.partitions {
            assignment.add_partition_offset(&self.name, partition, Offset::Beginning).unwrap();
        }
        consumer.assign(&assignment).unwrap();
        let count: i64 = (0..self.partitions)
            .map(|partition| {
                let (low, high) = ends(&consumer, &self.name, partition);
                high - low
            })
            .sum();
        let count = count as usize;
        let begun = Instant::now();
        let mut received: Vec<Received> = Vec::with_capacity(count);
        while received.len() < count {
            assert!(begun.elapsed() < DEADLINE, "{} of {count} records after {DEADLINE:?}", received.len());
            // An error is a connection that ended, say; librdkafka goes on by itself.
            if let Some(Ok(message)) = consumer.poll(Duration::from_millis(200)) {
                received.push(Received::of(&message));
            }
        }
        received.sort_by_key(|received| (received.partition, received.offset));
        received
    }
}

impl Drop for Topic {
    fn drop(&mut self) {
        let name = self.name.clone();
        let deleted = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let _ = runtime.block_on(admin().delete_topics(&[&name], &AdminOptions::new()));
        });
        let _ = deleted.join();
    }
}

/// A record as it lies in Kafka.
#[derive(Debug, Clone)]
pub struct Received {
    pub partition: i32,
    pub offset: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub timestamp: Option<i64>,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Received {
    fn of(message: &rdkafka::message::BorrowedMessage<'_>) -> Self {
        let headers = message.headers().map_or_else(Vec::new, |headers| {
            headers.iter().map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec))).collect()
        });
        Self {
            partition: message.partition(),
            offset: message.offset(),
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
            timestamp: message.timestamp().to_millis(),
            headers,
        }
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(self.value.as_deref().unwrap_or_default()).into_owned()
    }

    /// The headers by name, as text.
    pub fn header_texts(&self) -> BTreeMap<&str, String> {
        let text = |value: &Option<Vec<u8>>| String::from_utf8_lossy(value.as_deref().unwrap_or(b"null")).into_owned();
        self.headers.iter().map(|(name, value)| (name.as_str(), text(value))).collect()
    }
}

/// What Kafka answers. librdkafka's errors pass by themselves, on a slow machine too: a connection that ended, a leader that is new.
pub fn answered<T>(ask: impl Fn() -> KafkaResult<T>) -> T {
    let begun = Instant::now();
    loop {
        match ask() {
            Ok(answer) => return answer,
            Err(error) => assert!(begun.elapsed() < DEADLINE, "no answer after {DEADLINE:?}: {error}"),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Where a partition begins and ends for this consumer.
pub fn ends(consumer: &BaseConsumer, topic: &str, partition: i32) -> (i64, i64) {
    answered(|| consumer.fetch_watermarks(topic, partition, Duration::from_secs(10)))
}

/// A consumer that sees what that isolation level shows, and is told where it ends.
pub fn reader(isolation: &str) -> BaseConsumer {
    ClientConfig::new()
        .set("bootstrap.servers", bootstrap())
        .set("group.id", "gantry-tests")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("fetch.wait.max.ms", "10")
        .set("isolation.level", isolation)
        .create()
        .unwrap()
}

/// The bodies that a reader of what is committed finds in the first partition, up to what is not decided. By offsets they could not be
/// counted: marks of transactions have some.
pub fn committed(topic: &str) -> Vec<String> {
    let consumer = reader("read_committed");
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, Offset::Beginning).unwrap();
    consumer.assign(&list).unwrap();
    let (begun, mut found, mut last_error) = (Instant::now(), Vec::new(), None);
    while begun.elapsed() < DEADLINE {
        match consumer.poll(Duration::from_millis(200)) {
            Some(Ok(message)) => {
                found.push(String::from_utf8_lossy(message.payload().unwrap_or_default()).into_owned());
            }
            Some(Err(KafkaError::PartitionEOF(_))) => return found,
            // It goes on by itself.
            Some(Err(error)) => last_error = Some(error),
            None => {}
        }
    }
    panic!("topic {topic} has no end after {DEADLINE:?}: {last_error:?}, {found:?}");
}

fn consumer() -> BaseConsumer {
    ClientConfig::new()
        .set("bootstrap.servers", bootstrap())
        .set("group.id", "gantry-tests")
        .set("enable.auto.commit", "false")
        .set("fetch.message.max.bytes", "20000000")
        .set("fetch.error.backoff.ms", "20")
        .create()
        .unwrap()
}

fn admin() -> AdminClient<DefaultClientContext> {
    ClientConfig::new().set("bootstrap.servers", bootstrap()).create().unwrap()
}

pub fn no_kafka() -> String {
    format!("no Kafka at {}: run scripts/brokers up (GANTRY_TEST_KAFKA says where)", bootstrap())
}

/// A name that no other test has.
pub fn unique(what: &str) -> String {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    format!("gantry-test-{what}-{now}-{}-{}", std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed))
}

/// What a task would tell the sink.
pub fn context() -> Context {
    // One for all tests, as for all bridges of a process: they share their producers.
    static SHARED: LazyLock<Shared> = LazyLock::new(Shared::default);
    let retry = RetryPolicy { delay: Duration::from_millis(50), ..RetryPolicy::default() };
    Context { retry, shared: SHARED.clone(), ..testkit::context() }
}

/// Options for the real Kafka with these besides.
pub fn options(topic: &str, more: Json) -> Json {
    merge(json!({ "connection": { "bootstrap_servers": bootstrap() }, "topic": topic }), more)
}

/// The later wins; objects are merged.
pub fn merge(base: Json, more: Json) -> Json {
    match (base, more) {
        (Json::Object(mut base), Json::Object(more)) => {
            for (name, value) in more {
                let old = base.remove(&name).unwrap_or(Json::Null);
                base.insert(name, merge(old, value));
            }
            Json::Object(base)
        }
        (_, more) => more,
    }
}

/// Makes the sink and opens it.
pub async fn open(options: &Json, context: Context) -> Box<dyn Sink> {
    create(options, context).await.unwrap_or_else(|error| panic!("{} ({})", error.chain(), no_kafka()))
}

/// Makes ready to open the sink; connects nothing.
pub fn create(options: &Json, context: Context) -> Opening<dyn Sink> {
    (gantry_kafka::SINK.create)(options, context).unwrap_or_else(|error| panic!("{}", error.chain()))
}

/// Opens a sink with these options, writes the records in one batch, waits for their outcomes and closes it.
pub async fn write(options: &Json, records: Vec<Record>) -> Summary {
    let mut sink = open(options, context()).await;
    let summary = put(&mut *sink, records).await;
    sink.close().await.unwrap();
    summary
}

/// Writes the records in one batch and waits for their outcomes.
pub async fn put(sink: &mut dyn Sink, records: Vec<Record>) -> Summary {
    let mut courier = Courier::new();
    sink.put(courier.batch(records)).await.unwrap();
    tokio::time::timeout(DEADLINE, sink.flush()).await.expect("flush ends").unwrap();
    courier.outcomes(DEADLINE).await
}

/// Why an instance will never work again, once it shows.
pub async fn failed(health: &Health) -> (ErrorKind, String) {
    let mut conditions = health.subscribe();
    let failed = conditions.wait_for(|condition| matches!(condition, Condition::Failed(..)));
    let failed = tokio::time::timeout(DEADLINE, failed).await.expect("it fails").unwrap();
    let Condition::Failed(kind, reason) = &*failed else { unreachable!() };
    (*kind, reason.to_string())
}

/// Without what was written again later.
pub fn last_writes<T: Clone + Eq + std::hash::Hash>(written: Vec<T>) -> Vec<T> {
    let mut seen = std::collections::HashSet::new();
    let mut last: Vec<T> = written.into_iter().rev().filter(|item| seen.insert(item.clone())).collect();
    last.reverse();
    last
}

/// A record with this key and body.
pub fn record(key: impl Into<String>, value: impl Into<String>) -> Record {
    Record { key: Some(key.into().into()), value: Some(value.into().into()), ..Record::default() }
}
