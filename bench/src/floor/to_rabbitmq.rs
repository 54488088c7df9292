//! Kafka to RabbitMQ: takes what the consumer already holds, publishes each record as a persistent message, mandatory and with
//! confirms, a window of them at a time, and commits behind the last one that is confirmed without a gap. Topics have one partition; each
//! has a consumer group and a channel of its own.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use futures_util::{FutureExt as _, StreamExt as _};
use lapin::{
    BasicProperties, Channel, Connection,
    options::{BasicPublishOptions, ConfirmSelectOptions},
    types::ShortString,
};
use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    consumer::{CommitMode, Consumer as _, StreamConsumer},
    message::BorrowedMessage,
};

use crate::{
    args::Args,
    confirms::{Publishing, Unconfirmed},
    headers::amqp_headers,
    tasks::{self, Stop},
};

/// Messages that RabbitMQ has not confirmed: gantry's default for one channel.
const WINDOW: usize = 1000;
/// How often offsets are committed: gantry's default.
const COMMIT_INTERVAL: Duration = Duration::from_secs(5);
/// Persistent.
const DELIVERY_MODE: u8 = 2;

/// From every topic to its queue.
pub(crate) async fn run(args: &Args, connection: &Connection) -> Result<()> {
    let mut topics = Vec::new();
    for (topic, queue) in &args.moves {
        let consumer: StreamConsumer = consumer_config(args, topic).create().context("creating the consumer")?;
        consumer.subscribe(&[topic]).context("subscribing")?;
        let channel = connection.create_channel().await.context("opening a channel")?;
        channel.confirm_select(ConfirmSelectOptions::default()).await.context("asking for confirms")?;
        let (topic, queue) = (topic.clone(), queue.as_str().into());
        topics.push((Topic { topic, queue, headers: args.headers, channel }, consumer));
    }
    tasks::run(topics, |(topic, consumer), stop| async move { topic.run(&consumer, stop).await }).await
}

struct Topic {
    topic: String,
    queue: ShortString,
    headers: bool,
    channel: Channel,
}

impl Topic {
    async fn run(&self, consumer: &StreamConsumer, mut stop: Stop) -> Result<()> {
        let (mut unconfirmed, mut committed) = (Unconfirmed::new(WINDOW), Instant::now());
        let mut records = consumer.stream();
        loop {
            let has_room = unconfirmed.has_room();
            tokio::select! {
                () = stop.asked() => break,
                confirmed = unconfirmed.confirmed() => confirmed?,
                record = records.next(), if has_room => match record {
                    Some(record) => self.publish(record.context("reading")?, &mut unconfirmed),
                    None => bail!("the consumer has ended"),
                },
            }
            // What is here already costs no wake-up.
            while unconfirmed.has_room()
                && let Some(Some(record)) = records.next().now_or_never()
            {
                self.publish(record.context("reading")?, &mut unconfirmed);
            }
            if committed.elapsed() >= COMMIT_INTERVAL {
                committed = Instant::now();
                self.commit(consumer, &mut unconfirmed, CommitMode::Async)?;
            }
        }
        while !unconfirmed.is_empty() {
            unconfirmed.confirmed().await?;
        }
        self.commit(consumer, &mut unconfirmed, CommitMode::Sync)?;
        self.channel.close(200, "done".into()).await.context("closing a channel")
    }

    fn publish<'a>(&'a self, record: BorrowedMessage<'a>, unconfirmed: &mut Unconfirmed<'a>) {
        let offset = record.offset();
        let mut properties = BasicProperties::default().with_delivery_mode(DELIVERY_MODE);
        if self.headers {
            properties = properties.with_headers(amqp_headers(&record));
        }
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let publishing: Publishing<'a> = Box::pin(async move {
            let body = record.payload().unwrap_or_default();
            let (exchange, queue) = (ShortString::default(), self.queue.clone());
            let confirm = self.channel.basic_publish(exchange, queue, options, body, properties).await?;
            confirm.await
        });
        unconfirmed.publish(offset, publishing);
    }

    fn commit(&self, consumer: &StreamConsumer, unconfirmed: &mut Unconfirmed<'_>, mode: CommitMode) -> Result<()> {
        let Some(offset) = unconfirmed.take_confirmed() else { return Ok(()) };
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.topic, 0, Offset::Offset(offset + 1)).context("naming an offset")?;
        consumer.commit(&list, mode).context("committing")
    }
}

/// The properties that gantry's Kafka source sets by default, so that both ask the same of librdkafka.
fn consumer_config(args: &Args, group: &str) -> ClientConfig {
    let mut config = args.kafka();
    config
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "earliest")
        .set("isolation.level", "read_committed")
        .set("partition.assignment.strategy", "cooperative-sticky");
    config
}
