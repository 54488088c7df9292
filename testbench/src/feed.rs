//! Records for Kafka, from the test's side: in order in each partition, every one of them confirmed.

use futures_util::{StreamExt as _, stream::FuturesOrdered};
use rdkafka::{
    ClientConfig,
    message::{Header, OwnedHeaders},
    producer::{DeliveryFuture, FutureProducer, FutureRecord},
};

use super::{SOON, kafka::Cluster, oracle};

/// Records that Kafka has not confirmed yet; far fewer than librdkafka's own queue takes.
const WINDOW: usize = 10_000;

/// Writes records and waits for their confirmations, a window of them at a time.
pub struct Feeder {
    producer: FutureProducer,
    unconfirmed: FuturesOrdered<DeliveryFuture>,
}

impl Feeder {
    /// For this cluster.
    pub fn new(cluster: &Cluster) -> Self {
        Self::with(cluster, &[])
    }

    /// The same with librdkafka properties of its own.
    pub fn with(cluster: &Cluster, properties: &[(&str, &str)]) -> Self {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", cluster.servers()).set("enable.idempotence", "true").set("linger.ms", "5");
        for (name, value) in properties {
            config.set(*name, *value);
        }
        Self { producer: config.create().expect("a producer"), unconfirmed: FuturesOrdered::new() }
    }

    /// One record, behind all others of its partition.
    pub async fn send(&mut self, record: FutureRecord<'_, [u8], [u8]>) {
        let sent = self.producer.send_result(record);
        self.unconfirmed.push_back(sent.unwrap_or_else(|(error, _)| panic!("writing to Kafka: {error}")));
        if self.unconfirmed.len() >= WINDOW {
            self.confirm_one().await;
        }
    }

    /// Waits until everything is confirmed.
    pub async fn confirmed(&mut self) {
        while !self.unconfirmed.is_empty() {
            self.confirm_one().await;
        }
    }

    async fn confirm_one(&mut self) {
        let confirmation = tokio::time::timeout(SOON, self.unconfirmed.next()).await.expect("Kafka answers");
        let delivered = confirmation.expect("there is one").expect("the producer is there");
        delivered.unwrap_or_else(|(error, _)| panic!("Kafka refused a record: {error}"));
    }

    /// The oracle's messages `from..to`, message by message to the next of so many partitions; all are confirmed.
    pub async fn sequence(&mut self, topic: &str, partitions: i32, from: u64, to: u64, size: usize) {
        for sequence in from..to {
            let (body, number) = (oracle::body(sequence, size), sequence.to_string());
            let headers = OwnedHeaders::new_with_capacity(1).insert(Header { key: "seq", value: Some(&number) });
            let record = FutureRecord::to(topic)
                .partition(partition_of(sequence, partitions))
                .key(number.as_bytes())
                .payload(body.as_slice())
                .headers(headers);
            self.send(record).await;
        }
        self.confirmed().await;
    }
}

/// Where [`Feeder::sequence`] puts a message.
pub fn partition_of(sequence: u64, partitions: i32) -> i32 {
    let partitions = u64::try_from(partitions).expect("a topic has partitions");
    i32::try_from(sequence % partitions).expect("fewer than there are partitions")
}
