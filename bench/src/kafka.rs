//! Kafka, from the benchmark's side.

use std::{fmt, time::Duration};

use anyhow::{Context as _, Result};
use futures_util::future::try_join_all;
use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer as _},
    message::{BorrowedMessage, Headers as _},
    producer::{DeliveryFuture, FutureProducer, FutureRecord, Producer as _},
};

use crate::{arrivals::Arrivals, message::Message, route::Sequences};

const TIMEOUT: Duration = Duration::from_secs(10);
/// Records that are handed to librdkafka at a time: enough to keep it busy, and fewer than its queue takes.
const WINDOW: usize = 10_000;
/// What the names of our topics begin with.
const PREFIX: &str = "gantry-bench-";

/// A name for the queues and the topic of a run, which no earlier run had.
pub(crate) fn fresh_name(what: impl fmt::Display) -> String {
    let millis = std::time::UNIX_EPOCH.elapsed().unwrap_or_default().as_millis();
    format!("{PREFIX}{what}-{millis}")
}

/// A connection to Kafka.
pub(crate) struct Kafka {
    bootstrap_servers: String,
    admin: AdminClient<DefaultClientContext>,
    /// For asking only; it reads nothing.
    asking: BaseConsumer,
}

/// A Kafka header.
pub(crate) type Header = (String, Option<Vec<u8>>);

impl Kafka {
    /// Connects, and removes topics that an interrupted benchmark has left.
    pub(crate) async fn connect(bootstrap_servers: &str) -> Result<Self> {
        let config = config(bootstrap_servers);
        let kafka = Self {
            bootstrap_servers: bootstrap_servers.to_owned(),
            admin: config.create().context("creating a Kafka client")?,
            asking: config.create().context("creating a Kafka client")?,
        };
        let metadata = kafka.asking.fetch_metadata(None, TIMEOUT);
        let metadata = metadata.context("connecting to Kafka (is it up? `scripts/brokers up` starts one)")?;
        for topic in metadata.topics().iter().filter(|topic| topic.name().starts_with(PREFIX)) {
            kafka.delete(topic.name()).await?;
        }
        Ok(kafka)
    }

    /// Makes a topic of one partition: the order of the queue is then the order of the topic.
    pub(crate) async fn create(&self, topic: &str) -> Result<()> {
        // Retention goes by the records' own timestamps, and ours are old: a run would lose its first records while it counts.
        let new = NewTopic::new(topic, 1, TopicReplication::Fixed(1)).set("retention.ms", "-1");
        let options = AdminOptions::new().operation_timeout(Some(TIMEOUT));
        let created = self.admin.create_topics([&new], &options).await.context("creating a topic")?;
        created
            .into_iter()
            .try_for_each(|result| result.map(drop))
            .map_err(|(_, code)| code)
            .context("creating a topic")
    }

    pub(crate) async fn delete(&self, topic: &str) -> Result<()> {
        let deleted = self.admin.delete_topics(&[topic], &AdminOptions::new()).await.context("deleting a topic")?;
        deleted
            .into_iter()
            .try_for_each(|result| result.map(drop))
            .map_err(|(_, code)| code)
            .context("deleting a topic")
    }

    /// Records that the topic has ever had. Waits for the answer without yielding.
    pub(crate) fn count(&self, topic: &str) -> Result<u64> {
        let (_, high) = self.asking.fetch_watermarks(topic, 0, TIMEOUT).context("asking for a topic's end")?;
        Ok(high.cast_unsigned())
    }

    /// Puts the records with these numbers into the topic.
    pub(crate) async fn fill(&self, topic: &str, message: Message, sequences: Sequences) -> Result<()> {
        let mut config = config(&self.bootstrap_servers);
        let producer: FutureProducer =
            config.set("enable.idempotence", "true").set("linger.ms", "5").create().context("creating a producer")?;
        let mut sequences = sequences.peekable();
        while sequences.peek().is_some() {
            let window = sequences.by_ref().take(WINDOW);
            let sent: Result<Vec<_>> = window.map(|sequence| send(&producer, topic, message, sequence)).collect();
            for confirmed in try_join_all(sent?).await.context("the producer is gone")? {
                confirmed.map_err(|(error, _)| error).context("filling a topic")?;
            }
        }
        producer.flush(TIMEOUT).context("filling a topic")
    }

    /// Writes to the topic one record at a time, without delay.
    pub(crate) fn writer(&self, topic: &str) -> Result<Writer> {
        let mut config = config(&self.bootstrap_servers);
        let producer = config.set("linger.ms", "0").create().context("creating a producer")?;
        Ok(Writer { producer, topic: topic.to_owned() })
    }

    /// Starts reading the topic from its beginning.
    pub(crate) fn reader(&self, topic: &str, arrivals: Arrivals) -> Result<Reader> {
        let consumer: BaseConsumer = config(&self.bootstrap_servers).create().context("creating a consumer")?;
        let mut from = TopicPartitionList::new();
        from.add_partition_offset(topic, 0, Offset::Beginning)?;
        consumer.assign(&from).context("assigning a partition")?;
        Ok(Reader { consumer, arrivals, first: None })
    }
}

fn send(producer: &FutureProducer, topic: &str, message: Message, sequence: u64) -> Result<DeliveryFuture> {
    let body = message.body(sequence);
    let mut record = FutureRecord::<(), [u8]>::to(topic).payload(&body);
    record.headers = message.kafka_headers(sequence);
    producer.send_result(record).map_err(|(error, _)| error).context("filling a topic")
}

fn config(bootstrap_servers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", bootstrap_servers)
        .set("group.id", "gantry-bench")
        .set("enable.auto.commit", "false");
    config
}

/// Writes to a topic.
pub(crate) struct Writer {
    producer: FutureProducer,
    topic: String,
}

impl Writer {
    /// Sends one record. What becomes of it the queue will tell.
    pub(crate) fn write(&self, message: Message, sequence: u64) -> Result<()> {
        send(&self.producer, &self.topic, message, sequence).map(drop)
    }

    /// Returns when Kafka has everything. A producer that goes before that takes with it what is on its way.
    pub(crate) fn finish(self) -> Result<()> {
        self.producer.flush(TIMEOUT).context("writing to a topic")
    }
}

/// Reads a topic, and accepts only what may arrive.
pub(crate) struct Reader {
    consumer: BaseConsumer,
    arrivals: Arrivals,
    first: Option<Vec<Header>>,
}

impl Reader {
    /// The next record's number; `None` when there is none within `wait`. Waits without yielding.
    pub(crate) fn next(&mut self, wait: Duration) -> Result<Option<u64>> {
        let Some(message) = self.consumer.poll(wait) else { return Ok(None) };
        let message = message.context("reading a topic")?;
        let sequence = self.arrivals.accept(message.payload().unwrap_or_default())?;
        if sequence == 1 {
            self.first = Some(headers(&message));
        }
        Ok(Some(sequence))
    }

    /// Reads all of `count` messages that are there.
    pub(crate) fn read_all(&mut self, count: u64) -> Result<()> {
        while self.arrivals.count() < count {
            let read = self.next(TIMEOUT)?;
            read.with_context(|| format!("only {} of {count} messages can be read", self.arrivals.count()))?;
        }
        Ok(())
    }

    /// The headers of message 1, sorted.
    pub(crate) fn first_headers(self) -> Vec<Header> {
        self.first.unwrap_or_default()
    }
}

fn headers(message: &BorrowedMessage<'_>) -> Vec<Header> {
    let Some(headers) = message.headers() else { return Vec::new() };
    let own = |header: rdkafka::message::Header<'_, &[u8]>| (header.key.to_owned(), header.value.map(<[u8]>::to_vec));
    let mut headers: Vec<Header> = headers.iter().map(own).collect();
    headers.sort();
    headers
}
