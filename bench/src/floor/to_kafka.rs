//! RabbitMQ to Kafka: takes what the consumer already holds, produces each message, and acknowledges in bulk whatever is delivered
//! without a gap. All queues share the producer; each has a channel of its own.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, Result, bail};
use futures_util::{FutureExt as _, StreamExt as _};
use lapin::{
    Channel, Connection, Consumer,
    message::Delivery,
    options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions},
    types::FieldTable,
};
use rdkafka::producer::{BaseRecord, Producer as _, ThreadedProducer};

use crate::{
    args::Args,
    deliveries::{Batches, Callback, Deliveries},
    headers::kafka_headers,
    tasks::{self, Stop},
};

/// RabbitMQ's own ceiling for quorum queues, and gantry's default.
const PREFETCH: u16 = 2000;
/// Messages a batch: a tenth of the prefetch, so that the broker goes on sending while a batch is under way.
const BATCH: u32 = 200;
/// How long Kafka may take to answer at the start.
const TIMEOUT: Duration = Duration::from_secs(10);

/// From every queue to its topic.
pub(crate) async fn run(args: &Args, connection: &Connection) -> Result<()> {
    let deliveries: Vec<_> = args.moves.iter().map(|_| Deliveries::new()).collect();
    let producer = producer_config(args).create_with_context(Callback(deliveries.clone()));
    let producer: Arc<ThreadedProducer<Callback>> = Arc::new(producer.context("creating the producer")?);
    // Reached before anything is consumed, as gantry does: no message waits for a handshake.
    for (_, topic) in &args.moves {
        producer.client().fetch_metadata(Some(topic), TIMEOUT).context("reaching Kafka")?;
    }
    let mut queues = Vec::new();
    for (number, ((queue, topic), deliveries)) in args.moves.iter().zip(deliveries).enumerate() {
        let channel = connection.create_channel().await.context("opening a channel")?;
        channel.basic_qos(PREFETCH, BasicQosOptions::default()).await.context("setting the prefetch")?;
        let (queue, options) = (queue.as_str().into(), BasicConsumeOptions::default());
        let consumer = channel.basic_consume(queue, "floor".into(), options, FieldTable::default());
        let consumer = consumer.await.context("consuming")?;
        let (topic, headers, producer) = (topic.clone(), args.headers, Arc::clone(&producer));
        let batches = Batches::new(Arc::clone(&deliveries), number);
        queues.push((Queue { topic, headers, producer, channel, batches }, consumer, deliveries));
    }
    tasks::run(queues, |(queue, consumer, deliveries), stop| queue.run(consumer, deliveries, stop)).await
}

struct Queue {
    topic: String,
    headers: bool,
    producer: Arc<ThreadedProducer<Callback>>,
    channel: Channel,
    batches: Batches,
}

impl Queue {
    async fn run(mut self, mut consumer: Consumer, deliveries: Arc<Deliveries>, mut stop: Stop) -> Result<()> {
        loop {
            tokio::select! {
                () = stop.asked() => break,
                () = deliveries.settled.notified() => self.acknowledge()?,
                message = consumer.next() => match message {
                    Some(first) => self.produce(first?, &mut consumer)?,
                    None => bail!("RabbitMQ cancelled the consumer"),
                },
            }
        }
        while !self.batches.is_empty() {
            deliveries.settled.notified().await;
            self.acknowledge()?;
        }
        self.channel.close(200, "done".into()).await.context("closing a channel")
    }

    /// Produces a message and those behind it that are here already.
    fn produce(&mut self, first: Delivery, consumer: &mut Consumer) -> Result<()> {
        let place = self.batches.begin();
        let (mut last, mut count) = (first.delivery_tag, 1);
        self.send(&first, place)?;
        while count < BATCH {
            // An end of the consumer shows again at the next call.
            let Some(Some(message)) = consumer.next().now_or_never() else { break };
            let message = message.context("consuming")?;
            self.send(&message, place)?;
            (last, count) = (message.delivery_tag, count + 1);
        }
        if self.batches.end(last, count) {
            self.acknowledge()?;
        }
        Ok(())
    }

    fn send(&self, message: &Delivery, place: usize) -> Result<()> {
        let mut record = BaseRecord::<(), [u8], usize>::with_opaque_to(&self.topic, place).payload(&message.data);
        if self.headers {
            record.headers = Some(kafka_headers(&message.properties)?);
            record.timestamp = message.properties.timestamp().map(|seconds| seconds as i64 * 1000);
        }
        // librdkafka's queue has no limit but the prefetch, so it is never full.
        self.producer.send(record).map_err(|(error, _)| error).context("producing")
    }

    /// One acknowledgement for all batches that are complete without a gap.
    fn acknowledge(&mut self) -> Result<()> {
        let Some(tag) = self.batches.complete() else { return Ok(()) };
        // Written in order by lapin; waiting until it is written would only hold up the next messages.
        match self.channel.basic_ack(tag, BasicAckOptions { multiple: true }).now_or_never() {
            Some(Err(error)) => Err(error).context("acknowledging"),
            _ => Ok(()),
        }
    }
}

/// The properties that gantry's Kafka sink sets by default, so that both ask the same of librdkafka.
fn producer_config(args: &Args) -> rdkafka::ClientConfig {
    let mut config = args.kafka();
    config
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("linger.ms", "5")
        .set("batch.size", "1000000")
        .set("batch.num.messages", "10000")
        .set("compression.codec", "none")
        .set("partitioner", "murmur2_random")
        .set("message.timeout.ms", "0")
        .set("retry.backoff.ms", "300")
        .set("retry.backoff.max.ms", "60000")
        // The prefetch bounds what is in flight.
        .set("queue.buffering.max.messages", "0")
        .set("queue.buffering.max.kbytes", i32::MAX.to_string())
        .set("allow.auto.create.topics", "false");
    config
}
