//! The floor of the other direction: Kafka to RabbitMQ by hand, the best straightforward program on the same client libraries.
//!
//! It does what any correct bridge must do and nothing else: it takes what the consumer already holds, publishes each record
//! as a persistent message, mandatory and with confirms, and commits the offset of the last one that is confirmed without a
//! gap. One topic of one partition, one queue, no configuration, no metrics, no reconnecting: the first error ends it with
//! status 1, and what is not committed is read again. SIGTERM confirms and commits what is in flight, and ends it with status 0.

#[path = "../floor_args.rs"]
mod args;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use clap::Parser as _;
use futures_util::{FutureExt as _, StreamExt as _, stream::FuturesOrdered};
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, PublisherConfirm,
    options::{BasicPublishOptions, ConfirmSelectOptions},
    types::{AMQPValue, FieldTable, ShortString},
};
use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    consumer::{CommitMode, Consumer as _, StreamConsumer},
    message::{BorrowedMessage, Headers as _},
};
use tokio::signal::unix::{SignalKind, signal};

use args::Args;

/// Messages that RabbitMQ has not confirmed: gantry's default for one channel.
const WINDOW: usize = 1000;
/// How often offsets are committed: gantry's default.
const COMMIT_INTERVAL: Duration = Duration::from_secs(5);
/// Persistent.
const DELIVERY_MODE: u8 = 2;

#[tokio::main]
async fn main() -> Result<()> {
    // On a worker thread: the main thread is not one, and waking it costs more.
    tokio::spawn(run(Args::parse())).await.context("running")?
}

async fn run(args: Args) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    let consumer: StreamConsumer = consumer_config(&args).create().context("creating the consumer")?;
    consumer.subscribe(&[&args.topic]).context("subscribing")?;
    let connection =
        Connection::connect(&args.amqp_url, ConnectionProperties::default()).await.context("connecting")?;
    let channel = connection.create_channel().await.context("opening a channel")?;
    channel.confirm_select(ConfirmSelectOptions::default()).await.context("asking for confirms")?;

    let queue = args.queue.as_str().into();
    let mut bridge =
        Bridge { args, queue, channel, unconfirmed: FuturesOrdered::new(), confirmed: None, committed: Instant::now() };
    let mut records = consumer.stream();
    loop {
        let has_room = bridge.unconfirmed.len() < WINDOW;
        tokio::select! {
            _ = terminate.recv() => break,
            Some(confirmed) = bridge.unconfirmed.next() => bridge.confirm(confirmed?),
            record = records.next(), if has_room => match record {
                Some(record) => bridge.publish(&record.context("reading")?).await?,
                None => bail!("the consumer has ended"),
            },
        }
        // What is here already costs no wake-up.
        while bridge.unconfirmed.len() < WINDOW
            && let Some(Some(record)) = records.next().now_or_never()
        {
            bridge.publish(&record.context("reading")?).await?;
        }
        while let Some(Some(confirmed)) = bridge.unconfirmed.next().now_or_never() {
            bridge.confirm(confirmed?);
        }
        if bridge.committed.elapsed() >= COMMIT_INTERVAL {
            bridge.commit(&consumer, CommitMode::Async)?;
        }
    }
    while let Some(confirmed) = bridge.unconfirmed.next().await {
        bridge.confirm(confirmed?);
    }
    bridge.commit(&consumer, CommitMode::Sync)?;
    connection.close(200, "done".into()).await.context("closing the connection")
}

type Confirm = futures_util::future::BoxFuture<'static, Result<i64>>;

struct Bridge {
    args: Args,
    queue: ShortString,
    channel: Channel,
    /// In the order of the partition: each yields its offset.
    unconfirmed: FuturesOrdered<Confirm>,
    /// The last offset that is confirmed and not committed.
    confirmed: Option<i64>,
    committed: Instant,
}

impl Bridge {
    async fn publish(&mut self, record: &BorrowedMessage<'_>) -> Result<()> {
        let mut properties = BasicProperties::default().with_delivery_mode(DELIVERY_MODE);
        if self.args.headers {
            properties = properties.with_headers(headers(record));
        }
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let body = record.payload().unwrap_or_default();
        let publish = self.channel.basic_publish(ShortString::default(), self.queue.clone(), options, body, properties);
        let confirm = publish.await.context("publishing")?;
        self.unconfirmed.push_back(Box::pin(confirmed(confirm, record.offset())));
        Ok(())
    }

    fn confirm(&mut self, offset: i64) {
        self.confirmed = Some(offset);
    }

    fn commit(&mut self, consumer: &StreamConsumer, mode: CommitMode) -> Result<()> {
        self.committed = Instant::now();
        let Some(offset) = self.confirmed.take() else { return Ok(()) };
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.args.topic, 0, Offset::Offset(offset + 1)).context("naming an offset")?;
        consumer.commit(&list, mode).context("committing")
    }
}

/// The offset, once RabbitMQ has the message in the queue.
async fn confirmed(confirm: PublisherConfirm, offset: i64) -> Result<i64> {
    match confirm.await.context("waiting for a confirm")? {
        Confirmation::Ack(None) => Ok(offset),
        other => bail!("RabbitMQ did not take the record at offset {offset}: {other:?}"),
    }
}

/// Text headers become strings, as with gantry.
fn headers(record: &BorrowedMessage<'_>) -> FieldTable {
    let mut table = BTreeMap::new();
    for header in record.headers().into_iter().flat_map(|headers| headers.iter()) {
        let value = header.value.map_or(AMQPValue::Void, |value| AMQPValue::LongString(value.into()));
        table.insert(ShortString::from(header.key), value);
    }
    table.into()
}

/// The properties that gantry's Kafka source sets by default, so that both ask the same of librdkafka.
fn consumer_config(args: &Args) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &args.bootstrap_servers)
        .set("group.id", &args.topic)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "earliest")
        .set("isolation.level", "read_committed")
        .set("partition.assignment.strategy", "cooperative-sticky");
    config
}
