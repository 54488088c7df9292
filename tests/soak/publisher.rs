//! Publishes to one queue for as long as the soak runs, through everything that happens to RabbitMQ.
//!
//! What is not confirmed is published again after a lost connection, from the first unconfirmed message on: so the queue
//! holds every message at least once and in order, and copies come from here as well as from the bridge.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties, PublisherConfirm,
    options::{BasicPublishOptions, ConfirmSelectOptions},
    types::{AMQPValue, FieldTable},
};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::{
    bridges::{Bridge, Fate},
    support::{amqp_url, oracle},
};

/// Messages that may wait for their confirm.
const WINDOW: usize = 500;

/// Messages that are published without a pause.
const PORTION: u64 = 20;

/// A broker that is starting refuses for a while. A blocked or silent one is waited for.
const RETRY: Duration = Duration::from_millis(500);

/// Longer than RabbitMQ is ever blocked on purpose.
const CONFIRM: Duration = Duration::from_secs(120);

/// How far a publisher is; shared with who watches.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// All below are in the queue.
    confirmed: AtomicU64,
    /// Published once more than needed.
    again: AtomicU64,
    /// To be published as fast as it goes.
    burst: AtomicU64,
    enough: AtomicBool,
}

impl Progress {
    /// How many messages are in the queue for certain: `0..confirmed()`.
    pub(crate) fn confirmed(&self) -> u64 {
        self.confirmed.load(Ordering::Acquire)
    }

    /// How many were published more than once: each may be a duplicate that no bridge made.
    pub(crate) fn again(&self) -> u64 {
        self.again.load(Ordering::Relaxed)
    }

    /// Asks for so many messages at once.
    pub(crate) fn burst(&self, messages: u64) {
        self.burst.fetch_add(messages, Ordering::Relaxed);
    }

    /// Asks for the end.
    pub(crate) fn finish(&self) {
        self.enough.store(true, Ordering::Relaxed);
    }
}

/// Publishes until [`Progress::finish`], so many messages a second, and ends when all are confirmed.
pub(crate) async fn publish(bridge: Bridge, progress: Arc<Progress>, rate: u64) {
    let mut sent = 0;
    loop {
        let last = sent;
        sent = progress.confirmed();
        progress.again.fetch_add(last - sent, Ordering::Relaxed);
        let ended = match connect().await {
            Ok((_connection, channel)) => run(&bridge, &progress, rate, &channel, &mut sent).await,
            Err(error) => Err(error),
        };
        match ended {
            Ok(()) => return,
            Err(_) => sleep(RETRY).await,
        }
    }
}

async fn connect() -> lapin::Result<(Connection, Channel)> {
    let connection = Connection::connect(&amqp_url(), ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    Ok((connection, channel))
}

async fn run(bridge: &Bridge, progress: &Progress, rate: u64, channel: &Channel, sent: &mut u64) -> lapin::Result<()> {
    let mut waiting: VecDeque<PublisherConfirm> = VecDeque::new();
    let mut due = Instant::now();
    while !progress.enough.load(Ordering::Relaxed) {
        for _ in 0..PORTION {
            waiting.push_back(send(bridge, channel, *sent).await?);
            *sent += 1;
            if waiting.len() >= WINDOW {
                confirm(&mut waiting, progress).await?;
            }
        }
        if progress.burst.load(Ordering::Relaxed) >= PORTION {
            progress.burst.fetch_sub(PORTION, Ordering::Relaxed);
            continue;
        }
        while !waiting.is_empty() {
            confirm(&mut waiting, progress).await?;
        }
        due = Instant::now().max(due + Duration::from_micros(PORTION * 1_000_000 / rate));
        sleep_until(due).await;
    }
    while !waiting.is_empty() {
        confirm(&mut waiting, progress).await?;
    }
    Ok(())
}

async fn send(bridge: &Bridge, channel: &Channel, sequence: u64) -> lapin::Result<PublisherConfirm> {
    let (body, properties) = match bridge.fate(sequence) {
        Fate::Arrives => (oracle::body(sequence, 200), oracle::properties(sequence)),
        Fate::Filtered => (oracle::body(sequence, 200), marked(sequence)),
        // The transforms ask for JSON.
        Fate::DeadLetter => (format!("poison {sequence}").into_bytes(), oracle::properties(sequence)),
    };
    let queue = bridge.queue.as_str().into();
    channel.basic_publish("".into(), queue, BasicPublishOptions::default(), &body, properties).await
}

fn marked(sequence: u64) -> BasicProperties {
    let properties = oracle::properties(sequence);
    let mut headers: FieldTable = properties.headers().clone().unwrap_or_default();
    headers.insert("noise".into(), AMQPValue::Boolean(true));
    properties.with_headers(headers)
}

async fn confirm(waiting: &mut VecDeque<PublisherConfirm>, progress: &Progress) -> lapin::Result<()> {
    let Some(oldest) = waiting.pop_front() else { return Ok(()) };
    let answer = timeout(CONFIRM, oldest).await.map_err(|_| std::io::Error::from(std::io::ErrorKind::TimedOut))??;
    if !answer.is_ack() {
        return Err(std::io::Error::other("the queue refused a message").into());
    }
    progress.confirmed.fetch_add(1, Ordering::Release);
    Ok(())
}
