//! The floor: RabbitMQ to Kafka by hand, the best straightforward program on the same client libraries.
//!
//! It does what any correct bridge must do and nothing else: it takes what the consumer already holds, produces each
//! message, and acknowledges in bulk whatever is delivered without a gap. One queue, one topic, no configuration, no
//! metrics, no reconnecting: the first error ends it with status 1, and unacknowledged messages stay in the queue. SIGTERM
//! delivers and acknowledges what is in flight, and ends it with status 0.

#[path = "../floor_args.rs"]
mod args;

use std::{
    borrow::Cow,
    collections::VecDeque,
    process::exit,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use anyhow::{Context as _, Result, bail};
use clap::Parser as _;
use futures_util::{FutureExt as _, StreamExt as _};
use jiff::Timestamp;
use lapin::{
    Channel, Connection, ConnectionProperties, Consumer,
    message::Delivery,
    options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions},
    protocol::basic::AMQPProperties,
    types::{AMQPValue, FieldTable},
};
use rdkafka::{
    ClientConfig, ClientContext,
    message::{Header, OwnedHeaders},
    producer::{BaseRecord, DeliveryResult, ProducerContext, ThreadedProducer},
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::Notify,
};

use args::Args;

/// RabbitMQ's own ceiling for quorum queues, and gantry's default.
const PREFETCH: u16 = 2000;
/// Messages a batch: a tenth of the prefetch, so that the broker goes on sending while a batch is under way.
const BATCH: u32 = 200;
/// Batches that can be in flight: no less than messages can.
const SLOTS: usize = 2048;
/// Added to a batch's count while it may still grow, so that it does not look complete too early.
const OPEN: u32 = 1 << 31;

#[tokio::main]
async fn main() -> Result<()> {
    // On a worker thread: the main thread is not one, and waking it costs more.
    tokio::spawn(run(Args::parse())).await.context("running")?
}

async fn run(args: Args) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    let deliveries = Arc::new(Deliveries { left: std::array::from_fn(|_| AtomicU32::new(0)), settled: Notify::new() });
    let producer = producer_config(&args.bootstrap_servers)
        .create_with_context(Callback(deliveries.clone()))
        .context("creating the producer")?;

    let connection =
        Connection::connect(&args.amqp_url, ConnectionProperties::default()).await.context("connecting")?;
    let channel = connection.create_channel().await.context("opening a channel")?;
    channel.basic_qos(PREFETCH, BasicQosOptions::default()).await.context("setting the prefetch")?;
    let queue = args.queue.as_str().into();
    let consumer = channel.basic_consume(queue, "floor".into(), BasicConsumeOptions::default(), FieldTable::default());
    let mut consumer = consumer.await.context("consuming")?;

    let mut bridge =
        Bridge { args, producer, channel, deliveries: deliveries.clone(), batches: VecDeque::new(), next: 0 };
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            () = deliveries.settled.notified() => bridge.acknowledge()?,
            message = consumer.next() => match message {
                Some(first) => bridge.produce(first?, &mut consumer)?,
                None => bail!("RabbitMQ cancelled the consumer"),
            },
        }
    }
    while !bridge.batches.is_empty() {
        deliveries.settled.notified().await;
        bridge.acknowledge()?;
    }
    connection.close(200, "done".into()).await.context("closing the connection")
}

struct Bridge {
    args: Args,
    producer: ThreadedProducer<Callback>,
    channel: Channel,
    deliveries: Arc<Deliveries>,
    /// In flight, in order: slot and last delivery tag.
    batches: VecDeque<(usize, u64)>,
    /// The slot of the next batch.
    next: usize,
}

/// What is in flight, shared with the callback.
struct Deliveries {
    /// Messages of each slot's batch that Kafka has not confirmed.
    left: [AtomicU32; SLOTS],
    /// A batch is complete.
    settled: Notify,
}

impl Bridge {
    /// Produces a message and those behind it that are here already.
    fn produce(&mut self, first: Delivery, consumer: &mut Consumer) -> Result<()> {
        let slot = self.next;
        self.next = (slot + 1) % SLOTS;
        self.deliveries.left[slot].store(OPEN, Ordering::Release);
        let (mut last, mut count) = (first.delivery_tag, 1);
        self.send(&first, slot)?;
        while count < BATCH {
            // An end of the consumer shows again at the next call.
            let Some(Some(message)) = consumer.next().now_or_never() else { break };
            let message = message.context("consuming")?;
            self.send(&message, slot)?;
            (last, count) = (message.delivery_tag, count + 1);
        }
        self.batches.push_back((slot, last));
        let more = OPEN - count;
        if self.deliveries.left[slot].fetch_sub(more, Ordering::AcqRel) == more {
            self.acknowledge()?;
        }
        Ok(())
    }

    fn send(&self, message: &Delivery, slot: usize) -> Result<()> {
        let mut record = BaseRecord::<(), [u8], usize>::with_opaque_to(&self.args.topic, slot).payload(&message.data);
        if self.args.headers {
            record.headers = Some(kafka_headers(&message.properties)?);
            record.timestamp = message.properties.timestamp().map(|seconds| seconds as i64 * 1000);
        }
        // librdkafka's queue has no limit but the prefetch, so it is never full.
        self.producer.send(record).map_err(|(error, _)| error).context("producing")
    }

    /// One acknowledgement for all batches that are complete without a gap.
    fn acknowledge(&mut self) -> Result<()> {
        let mut upto = None;
        while let Some(&(slot, last)) = self.batches.front()
            && self.deliveries.is_complete(slot)
        {
            upto = Some(last);
            self.batches.pop_front();
        }
        let Some(tag) = upto else { return Ok(()) };
        // Written in order by lapin; waiting until it is written would only hold up the next messages.
        match self.channel.basic_ack(tag, BasicAckOptions { multiple: true }).now_or_never() {
            Some(Err(error)) => Err(error).context("acknowledging"),
            _ => Ok(()),
        }
    }
}

impl Deliveries {
    fn is_complete(&self, slot: usize) -> bool {
        self.left[slot].load(Ordering::Acquire) == 0
    }
}

/// Counts confirmations; runs on the producer's polling thread.
struct Callback(Arc<Deliveries>);

impl ClientContext for Callback {}

impl ProducerContext for Callback {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, slot: usize) {
        if let Err((error, _)) = result {
            eprintln!("producing: {error}");
            exit(1);
        }
        if self.0.left[slot].fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.settled.notify_one();
        }
    }
}

/// The properties that gantry's Kafka sink sets by default, so that both ask the same of librdkafka.
fn producer_config(bootstrap_servers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", bootstrap_servers)
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

/// Properties and headers as text, under gantry's names and in its order: those that the benchmark sends.
fn kafka_headers(properties: &AMQPProperties) -> Result<OwnedHeaders> {
    let texts = [
        ("amqp.message_id", properties.message_id()),
        ("amqp.correlation_id", properties.correlation_id()),
        ("amqp.content_type", properties.content_type()),
    ];
    let own = properties.headers().as_ref().map(FieldTable::inner);
    let mut headers = OwnedHeaders::new_with_capacity(texts.len() + 2 + own.map_or(0, |own| own.len()));
    for (key, text) in texts {
        if let Some(text) = text {
            headers = headers.insert(Header { key, value: Some(text.as_str()) });
        }
    }
    if let Some(mode) = properties.delivery_mode() {
        headers = headers.insert(Header { key: "amqp.delivery_mode", value: Some(&mode.to_string()) });
    }
    if let Some(seconds) = properties.timestamp() {
        let time = Timestamp::from_second(seconds.cast_signed()).context("reading a timestamp")?;
        headers = headers.insert(Header { key: "amqp.timestamp", value: Some(&time.to_string()) });
    }
    for (name, value) in own.into_iter().flatten() {
        headers = headers.insert(Header { key: name.as_str(), value: Some(&*text_of(value)?) });
    }
    Ok(headers)
}

/// The kinds of values that the benchmark sends.
fn text_of(value: &AMQPValue) -> Result<Cow<'_, [u8]>> {
    Ok(match value {
        AMQPValue::LongString(text) => text.as_bytes().into(),
        AMQPValue::LongInt(number) => number.to_string().into_bytes().into(),
        AMQPValue::LongLongInt(number) => number.to_string().into_bytes().into(),
        AMQPValue::Boolean(value) => value.to_string().into_bytes().into(),
        _ => bail!("the benchmark sends no header like {value:?}"),
    })
}
