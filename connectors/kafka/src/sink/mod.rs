//! Writes records to Kafka topics.
//!
//! # What it promises
//! - Idempotent, `acks=all`: a record is settled when every in-sync replica has it, and a retry neither doubles nor
//!   reorders. librdkafka retries by itself, in order, as long as the bridge's `errors.retry` says.
//! - When a record is given up, everything behind it is taken back and fails too (I5), and the instance is
//!   [`Condition::Failed`]: the runtime closes it and opens another.
//! - A record that Kafka refuses is rejected alone, even when the broker refused its whole batch ([`recovery`]).
//! - Sinks with the same options write by one producer. None of them notices what another gets into ([`break_up`]).
//! - Nothing is settled by guessing: what has no report when the sink closes counts as abandoned.
//!
//! # Parts
//! [`config`] what is asked of the options · [`plan`] options made ready · [`open`] connecting · [`writer`] one record
//! into librdkafka · [`delivery`] reports to receipts · [`pool`] producers that sinks share · [`producer`] one of them, with its
//! [`members`] · [`poll_thread`] the thread that serves it · [`recovery`] after a refused batch · [`break_up`] the end of a producer that is
//! shared · [`moving`] how a sink goes on with another · [`watch`] health · [`topics`] topics of a template's making · [`limit`] sizes ·
//! [`transactions`] exactly once · [`times`] timestamps · [`cluster`] questions to the cluster
//!
//! [`Condition::Failed`]: gantry_sdk::health::Condition::Failed

mod break_up;
mod check;
mod cluster;
mod config;
mod delivery;
mod events;
mod limit;
mod members;
mod moving;
mod open;
mod options;
mod plan;
mod poll_thread;
mod pool;
mod probe;
mod producer;
mod producer_spec;
mod recovery;
mod sending;
mod sink_state;
mod stage;
mod times;
mod topics;
mod transaction_claim;
mod transaction_identity;
mod transaction_state;
mod transactions;
mod watch;
mod writer;

use std::{
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use gantry_sdk::{Batch, Error, ErrorKind, Failure, Record, Result, Sink, Transactions};
use rdkafka::producer::Producer as _;

use delivery::{Delivery, Token};
use open::Client;
use plan::Plan;
use sending::Sender;
use sink_state::SinkState;
use stage::STAGE;
use topics::{Found, Known, Topics};
use transactions::SinkTransactions;
use writer::{Obstacle, Stamp};

use crate::headers::Scratch;

pub use options::{Compression, Declare, SinkOptions};

/// How long a wait may last before the reason for it is looked at again.
const LOOK: Duration = Duration::from_millis(20);
/// Between two attempts to look up a topic while the cluster does not answer.
const RETRY: Duration = Duration::from_millis(500);

/// How long the limit of the topic's that was read is good for before it is read again for a record that is larger.
const LIMIT_AGE: Duration = Duration::from_secs(1);

/// The sink.
pub(crate) struct KafkaSink {
    client: Client,
    transactions: Option<SinkTransactions>,
    topics: Topics,
    scratch: Scratch,
    /// When the topic's limit was read.
    limit_read: Instant,
    sending: Option<Sending>,
    /// What the cluster is asked before `sending` goes on. It outlives a call of [`Sink::ready`] that is dropped.
    asking: Option<Pin<Box<dyn Future<Output = Answer> + Send>>>,
}

/// A batch that is on its way into librdkafka. Dropped early, it lets go of what was not sent.
struct Sending {
    delivery: Arc<Delivery>,
    records: Arc<Vec<Record>>,
    slot: u32,
    next: usize,
}

/// What came of a question to the cluster.
enum Answer {
    /// Whether a topic can be written to; `None`: nobody waits for it any more.
    Topic(String, Option<Found>),
    /// The topic's limit was read again.
    Limit,
}

/// Why sending cannot go on now.
enum Pause {
    /// Records are being sent again, or librdkafka's queue is full.
    Wait,
    /// A topic has to be looked up first.
    LookUp(String),
    /// The topic's limit has to be read again first.
    ReadLimit,
}

#[async_trait]
impl Sink for KafkaSink {
    fn start(&mut self, batch: Batch) {
        let shared = &self.client.shared;
        debug_assert!(self.sending.is_none(), "started before it was ready");
        for topic in shared.delivery.take_vanished() {
            self.topics.forget(&topic);
        }
        self.sending = Some(Sending::new(Arc::clone(&shared.delivery), batch));
        if shared.writer.is_limit_doubtful() && self.is_limit_old() {
            self.read_limit();
        }
    }

    async fn ready(&mut self) -> Result<()> {
        self.work_off().await;
        Ok(())
    }

    async fn flush(&mut self) -> Result<()> {
        self.work_off().await;
        flush(&self.client.shared).await;
        Ok(())
    }

    async fn close(self: Box<Self>) -> Result<()> {
        let Self { client, transactions, sending, asking, .. } = *self;
        drop((sending, asking));
        if let Some(transactions) = transactions {
            client.shared.delivery.close();
            transactions.close().await;
        }
        client.stop().await;
        Ok(())
    }

    fn transactions(&mut self) -> Option<&mut dyn Transactions> {
        self.transactions.as_mut().map(|transactions| transactions as &mut dyn Transactions)
    }
}

// === impl KafkaSink ===

impl KafkaSink {
    /// Connects and checks the topic. Dropped early, the client ends by itself.
    async fn open(plan: Plan) -> Result<Box<dyn Sink>> {
        let (client, transactions) = open::open(&Arc::new(plan)).await?;
        Ok(Box::new(Self {
            client,
            transactions,
            topics: Topics::default(),
            scratch: Scratch::default(),
            limit_read: Instant::now(),
            sending: None,
            asking: None,
        }))
    }

    /// Works off the batch that was started. Cancel-safe.
    async fn work_off(&mut self) {
        let delivery = Arc::clone(&self.client.shared.delivery);
        loop {
            if let Some(asking) = &mut self.asking {
                let answer = asking.await;
                self.asking = None;
                self.take(answer);
            }
            let moved = delivery.moved();
            let paused = self.advance();
            self.client.wake();
            match paused {
                None => return,
                Some(Pause::Wait) => {
                    let _ = tokio::time::timeout(LOOK, moved).await;
                }
                Some(Pause::LookUp(topic)) => {
                    self.asking = Some(Box::pin(look_up(Arc::clone(&self.client.shared), topic)));
                }
                Some(Pause::ReadLimit) => self.read_limit(),
            }
        }
    }

    /// Sends as much as it can without waiting; `None` when nothing is left.
    fn advance(&mut self) -> Option<Pause> {
        let limit_is_old = self.is_limit_old();
        let sending = self.sending.as_mut()?;
        let shared = &*self.client.shared;
        // Who sends again takes it too, and may hold it for long.
        let Some(_gate) = shared.delivery.try_gate() else { return Some(Pause::Wait) };
        // The sink keeps it until this is over: it moves only when nobody sends.
        let seat = shared.seat();
        let sender = Sender { writer: &shared.writer, delivery: &shared.delivery, seat: &seat };
        shared.writer.times.tick();
        while sending.next < sending.records.len() {
            let (record, token) = (&sending.records[sending.next], sending.token());
            let sent = if shared.delivery.is_halted() {
                match shared.delivery.stopped() {
                    Some(failure) => Err(Obstacle::Failed(failure)),
                    None => return Some(Pause::Wait),
                }
            } else {
                offer(&sender, &self.topics, record, token, &mut self.scratch)
            };
            match sent {
                Ok(()) => {}
                Err(Obstacle::Full) => {
                    shared.delivery.starve();
                    return Some(Pause::Wait);
                }
                Err(Obstacle::Unknown(topic)) => return Some(Pause::LookUp(topic)),
                Err(Obstacle::TooLarge(_)) if limit_is_old => return Some(Pause::ReadLimit),
                Err(Obstacle::TooLarge(failure) | Obstacle::Failed(failure)) => shared.delivery.refuse(token, failure),
            }
            sending.next += 1;
        }
        self.sending = None;
        None
    }

    fn take(&mut self, answer: Answer) {
        match answer {
            Answer::Topic(topic, Some(Found::Ready)) => self.topics.ready(&topic),
            Answer::Topic(topic, Some(Found::Missing(reason))) => self.topics.unusable(&topic, reason),
            Answer::Topic(..) => {}
            Answer::Limit => self.limit_read = Instant::now(),
        }
    }

    fn is_limit_old(&self) -> bool {
        self.limit_read.elapsed() >= LIMIT_AGE
    }

    /// Asks again how large a record may be: somebody may have changed it.
    fn read_limit(&mut self) {
        self.asking = Some(Box::pin(read_limit(Arc::clone(&self.client.shared))));
    }
}

async fn flush(shared: &SinkState) {
    loop {
        let moved = shared.delivery.moved();
        if shared.delivery.is_empty() {
            return;
        }
        // Tells librdkafka not to linger; it returns at once, the poll thread serves the reports.
        let _ = shared.producer().flush(Duration::ZERO);
        let _ = tokio::time::timeout(LOOK, moved).await;
    }
}

/// Finds out whether a topic can be written to. While the cluster does not answer it waits as long as a record may be
/// retried.
async fn look_up(shared: Arc<SinkState>, topic: String) -> Answer {
    let begun = Instant::now();
    let timeout = shared.writer.plan.context.retry.timeout;
    let error = loop {
        match topics::look_up(&shared, &topic).await {
            Ok(Found::Denied(reason)) => break Error::new(ErrorKind::Refused, reason),
            Ok(found) => return Answer::Topic(topic, Some(found)),
            Err(error) if error.kind() != ErrorKind::Disconnected => break error,
            Err(error) if timeout.is_some_and(|timeout| begun.elapsed() >= timeout) => break error,
            Err(_) if shared.delivery.is_halted() => return Answer::Topic(topic, None),
            Err(_) => tokio::time::sleep(RETRY).await,
        }
    };
    shared.delivery.stop(Failure::ended(STAGE, &error));
    Answer::Topic(topic, None)
}

async fn read_limit(shared: Arc<SinkState>) -> Answer {
    let plan = &shared.writer.plan;
    if let Some(topic) = &plan.topic {
        let rules = open::rules(&shared, topic, Instant::now() + plan.connect_timeout()).await;
        if !shared.writer.take_limit(&rules) {
            let reason = format!("topic \"{topic}\" takes less than before: starting anew with smaller batches");
            shared.delivery.stop(Failure::ended(STAGE, &Error::disconnected(reason)));
        }
    }
    Answer::Limit
}

/// Gives a record to librdkafka, if its topic is known.
fn offer(
    sender: &Sender<'_>,
    topics: &Topics,
    record: &Record,
    token: Token,
    scratch: &mut Scratch,
) -> Result<(), Obstacle> {
    let destination = sender.writer.destination(record).map_err(Obstacle::Failed)?;
    let topic = destination.name();
    if !destination.is_fixed() {
        match topics.know(topic) {
            Known::Ready => {}
            Known::Unknown => return Err(Obstacle::Unknown(topic.to_owned())),
            Known::Unusable(reason) => return Err(Obstacle::Failed(Failure::rejected(STAGE, reason))),
        }
    }
    sender.send(record, topic, token, Stamp::Own, scratch)
}

// === impl Sending ===

impl Sending {
    fn new(delivery: Arc<Delivery>, batch: Batch) -> Self {
        let slot = delivery.open(&batch);
        Self { delivery, records: batch.records, slot, next: 0 }
    }

    /// Names the next record. A batch has fewer than 2^32: its receipt counts them in as many bits.
    const fn token(&self) -> Token {
        Token::new(self.slot, self.next as u32)
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        let unsent = self.records.len() - self.next;
        if unsent > 0 {
            self.delivery.abandon(self.slot, unsent as u32);
        }
    }
}
