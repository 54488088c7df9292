//! What lies in a queue, taken out in order and shown as a topic's records are, so that one oracle judges both.

use futures_util::{FutureExt as _, StreamExt as _};
use lapin::{
    Consumer,
    message::Delivery,
    options::{BasicCancelOptions, BasicConsumeOptions},
    types::{AMQPValue, FieldTable},
};

use super::{SOON, feed, kafka::Stored, oracle, rabbit::Rabbit, unique};

impl Rabbit {
    /// Takes everything that is ready out of the queue, in order.
    pub async fn take_deliveries(&self, queue: &str) -> Vec<Delivery> {
        let (options, tag) = (BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() }, unique("take"));
        let consumer = self.channel.basic_consume(queue.into(), tag.as_str().into(), options, FieldTable::default());
        let mut consumer = consumer.await.expect("consuming");
        let mut taken = Vec::new();
        // The answer comes behind all that was delivered before it, so what it does not count is here.
        while self.ready(queue).await > 0 {
            take(&mut consumer, &mut taken).await;
        }
        self.channel.basic_cancel(tag.into(), BasicCancelOptions::default()).await.expect("cancelling");
        while let Some(delivery) = consumer.next().await {
            taken.push(delivery.expect("a delivery"));
        }
        taken
    }

    /// The same as records, in the order of the queue as offsets.
    pub async fn take_stored(&self, queue: &str) -> Vec<Stored> {
        self.take_deliveries(queue)
            .await
            .into_iter()
            .zip(0..)
            .map(|(delivery, offset)| stored(delivery, offset))
            .collect()
    }

    /// The oracle's messages, each in the partition where [`Feeder::sequence`](feed::Feeder::sequence) put it.
    pub async fn take_by_partition(&self, queue: &str, partitions: i32) -> Vec<Stored> {
        let mut taken = self.take_stored(queue).await;
        for record in &mut taken {
            record.partition = feed::partition_of(oracle::sequence_of(record), partitions);
        }
        taken
    }
}

/// All that has come in, and at least one.
async fn take(consumer: &mut Consumer, taken: &mut Vec<Delivery>) {
    let first = tokio::time::timeout(SOON, consumer.next()).await.expect("a delivery within the deadline");
    taken.extend(first.map(|delivery| delivery.expect("a delivery")));
    while let Some(Some(delivery)) = consumer.next().now_or_never() {
        taken.push(delivery.expect("a delivery"));
    }
}

fn stored(delivery: Delivery, offset: i64) -> Stored {
    let table = delivery.properties.headers().as_ref();
    let headers = table.into_iter().flatten().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
    let seconds = delivery.properties.timestamp().and_then(|seconds| i64::try_from(seconds).ok());
    Stored {
        partition: 0,
        offset,
        key: None,
        value: Some(delivery.data),
        headers,
        timestamp: seconds.and_then(|seconds| seconds.checked_mul(1000)),
    }
}

/// As `text` headers are in Kafka, for the kinds that tests judge by.
fn text(value: &AMQPValue) -> Option<Vec<u8>> {
    match value {
        AMQPValue::Void => None,
        AMQPValue::LongString(text) => Some(text.as_bytes().to_vec()),
        AMQPValue::LongLongInt(number) => Some(number.to_string().into_bytes()),
        other => Some(format!("{other:?}").into_bytes()),
    }
}
