//! A real Kafka, from the test's side.

use std::time::Duration;

use rdkafka::{
    ClientConfig, Message as _, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer as _},
    message::{BorrowedMessage, Headers as _},
};

use super::{SOON, bootstrap_servers, eventually};

/// One record as it lies in a topic.
#[derive(Debug, Clone)]
pub struct Stored {
    pub partition: i32,
    pub offset: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    pub timestamp: Option<i64>,
}

impl Stored {
    /// The first header of that name, as text.
    pub fn header(&self, name: &str) -> Option<String> {
        let (_, value) = self.headers.iter().find(|(own, _)| own == name)?;
        Some(String::from_utf8_lossy(value.as_ref()?).into_owned())
    }
}

fn config() -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap_servers());
    config
}

fn admin() -> AdminClient<DefaultClientContext> {
    config().create().expect("an admin client")
}

/// Makes a topic with that many partitions.
pub async fn create_topic(name: &str, partitions: i32) {
    create_topic_with(name, partitions, &[]).await;
}

/// Makes a topic with its own configuration.
pub async fn create_topic_with(name: &str, partitions: i32, settings: &[(&str, &str)]) {
    let mut topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
    for (key, value) in settings {
        topic = topic.set(key, value);
    }
    let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(30)));
    let made = admin().create_topics([&topic], &options).await;
    let made = made.unwrap_or_else(|error| panic!("no Kafka for the tests ({error}): run `scripts/brokers up` first"));
    assert!(made.iter().all(Result::is_ok), "making topic {name}: {made:?}");
}

/// Removes a topic.
pub async fn delete_topic(name: &str) {
    let deleted = admin().delete_topics(&[name], &AdminOptions::new()).await.expect("asking Kafka");
    assert!(deleted.iter().all(Result::is_ok), "deleting topic {name}: {deleted:?}");
}

/// How many records the topic holds.
pub fn count(topic: &str) -> Option<i64> {
    let consumer: BaseConsumer = config().set("group.id", "gantry-tests").create().expect("a consumer");
    partitions(&consumer, topic)?
        .into_iter()
        .map(|partition| {
            let (low, high) = consumer.fetch_watermarks(topic, partition, Duration::from_secs(5)).ok()?;
            Some(high - low)
        })
        .sum()
}

/// Waits until the topic holds at least so many records.
pub async fn wait_for_count(topic: &str, at_least: i64) {
    let what = format!("topic {topic} holds {at_least} records");
    eventually(&what, 3 * SOON, async || count(topic).filter(|count| *count >= at_least)).await;
}

fn partitions(consumer: &BaseConsumer, topic: &str) -> Option<Vec<i32>> {
    let metadata = consumer.fetch_metadata(Some(topic), Duration::from_secs(5)).ok()?;
    Some(metadata.topics().first()?.partitions().iter().map(|partition| partition.id()).collect())
}

/// Everything that the topic holds now, by partition and offset.
pub fn read_all(topic: &str) -> Vec<Stored> {
    let consumer: BaseConsumer = config()
        .set("group.id", "gantry-tests")
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest")
        .create()
        .expect("a consumer");
    let mut list = TopicPartitionList::new();
    let mut left = 0;
    for partition in partitions(&consumer, topic).expect("the topic's partitions") {
        let ends = consumer.fetch_watermarks(topic, partition, Duration::from_secs(10)).expect("the topic's ends");
        left += ends.1 - ends.0;
        list.add_partition_offset(topic, partition, rdkafka::Offset::Beginning).expect("an offset");
    }
    consumer.assign(&list).expect("assigning");
    let mut stored = Vec::with_capacity(usize::try_from(left).unwrap_or(0));
    while left > 0 {
        let message = consumer.poll(SOON).expect("a record within the deadline").expect("no error");
        stored.push(keep(&message));
        left -= 1;
    }
    stored.sort_by_key(|record| (record.partition, record.offset));
    stored
}

fn keep(message: &BorrowedMessage<'_>) -> Stored {
    let headers = message.headers().map(|headers| {
        headers.iter().map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec))).collect()
    });
    Stored {
        partition: message.partition(),
        offset: message.offset(),
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
        headers: headers.unwrap_or_default(),
        timestamp: message.timestamp().to_millis(),
    }
}
