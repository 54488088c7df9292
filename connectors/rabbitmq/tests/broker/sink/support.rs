//! A sink, and what the runtime does with it.

use std::{sync::Arc, time::Duration};

use gantry_rabbitmq::SINK;
use gantry_sdk::{
    Batch, Delivered, Epoch, Failure, FailureKind, Health, Lane, Ledger, Opening, Record, Result, Sink,
    plugin::Context,
    receipt::{self, OutcomeReceiver, Outlet},
    testkit,
};
use lapin::{
    BasicProperties,
    message::BasicGetMessage,
    options::{BasicGetOptions, ExchangeDeclareOptions},
};
use serde_json::{Value as Json, json};

use super::super::support::{Queue, Rabbit, amqp_url, opened, unique, within};

pub(super) fn context(health: Health) -> Context {
    Context { health, ..testkit::context() }
}

/// A sink of these options, on the test broker unless they say otherwise.
pub(super) fn sink(options: Json, context: Context) -> Opening<dyn Sink> {
    let mut whole = json!({ "connection": { "urls": [amqp_url()] } });
    let fields = whole.as_object_mut().expect("it is one");
    fields.extend(options.as_object().expect("options are an object").clone());
    (SINK.create)(&whole, context).unwrap_or_else(|error| panic!("{}", error.chain()))
}

/// The same, opened, on one channel unless the options say otherwise.
pub(super) async fn open(options: Json) -> Box<dyn Sink> {
    opened(sink(options, context(Health::new()))).await
}

/// What became of records, by their index among all that were given.
#[derive(Debug, Default)]
pub(super) struct Fates {
    pub(super) refused: Vec<(usize, Failure)>,
    pub(super) abandoned: usize,
    pub(super) answers: Vec<(usize, Delivered)>,
}

impl Fates {
    pub(super) fn refused_numbers(&self) -> Vec<usize> {
        self.refused.iter().map(|(number, _)| *number).collect()
    }

    /// How many are to be sent again: abandoned, or in flight when the sink ended. Each of those says why.
    pub(super) fn to_be_repeated(&self, why: &str) -> usize {
        for (number, failure) in &self.refused {
            assert_eq!(failure.kind, FailureKind::Retriable, "{number}: {failure:?}");
            assert!(failure.reason.contains(why), "{number}: {failure:?}");
        }
        self.refused.len() + self.abandoned
    }
}

/// Puts batches of one lane and collects outcomes.
pub(super) struct Hand {
    ledger: Ledger<usize>,
    receiver: OutcomeReceiver,
    given: usize,
    /// Somebody waits for what is said of each record.
    pub(super) wants_answers: bool,
}

impl Hand {
    pub(super) fn new(lane: u32) -> Self {
        let (sender, receiver) = receipt::outcomes();
        Self { ledger: Ledger::new(Lane(lane), Epoch(1), sender), receiver, given: 0, wants_answers: false }
    }

    pub(super) fn batch(&mut self, records: Vec<Record>) -> Batch {
        let count = u32::try_from(records.len()).expect("a test's batch fits in 32 bits");
        let sequence = self.ledger.open((self.given as u64).into(), self.given);
        self.given += records.len();
        let receipt =
            self.ledger.part(sequence, Outlet::Sink(0), count, self.wants_answers).expect("it was just opened");
        self.ledger.routed(sequence);
        Batch { records: Arc::new(records), receipt, checkpoint: None }
    }

    pub(super) async fn put(&mut self, sink: &mut dyn Sink, records: Vec<Record>) -> Result<()> {
        let batch = self.batch(records);
        within("putting", sink.put(batch)).await
    }

    /// Waits until everything has its outcome.
    pub(super) async fn fates(&mut self) -> Fates {
        let mut fates = Fates::default();
        while !self.ledger.is_empty() {
            let outcome = within("outcomes", self.receiver.recv()).await.expect("the hand holds a sender");
            let (sequence, first) = self.ledger.find(&outcome).expect("there is one epoch");
            let first = *first;
            fates.abandoned += outcome.abandoned as usize;
            fates.refused.extend(outcome.failures.into_iter().map(|(index, why)| (first + index as usize, why)));
            fates.answers.extend(outcome.answers.into_iter().map(|(index, answer)| (first + index as usize, answer)));
            self.ledger.settle(sequence);
            self.ledger.advance(|_| {});
        }
        fates.refused.sort_by_key(|(number, _)| *number);
        fates
    }
}

/// Puts these records in batches of a hundred, flushes, and says what became of them.
pub(super) async fn deliver(sink: &mut dyn Sink, records: Vec<Record>) -> Fates {
    let mut hand = Hand::new(0);
    for batch in records.chunks(100) {
        hand.put(sink, batch.to_vec()).await.unwrap_or_else(|error| panic!("{}", error.chain()));
    }
    within("flushing", sink.flush()).await.unwrap_or_else(|error| panic!("{}", error.chain()));
    hand.fates().await
}

/// The one refusal of one record.
pub(super) async fn refusal(sink: &mut dyn Sink, record: Record) -> Failure {
    let mut fates = deliver(sink, vec![record]).await;
    assert_eq!((fates.refused.len(), fates.abandoned), (1, 0), "{fates:?}");
    fates.refused.remove(0).1
}

pub(super) fn record(body: impl Into<Vec<u8>>) -> Record {
    Record { value: Some(body.into().into()), ..Record::default() }
}

/// Records whose bodies are their numbers.
pub(super) fn numbered(numbers: std::ops::Range<usize>) -> Vec<Record> {
    numbers.map(|number| record(number.to_string())).collect()
}

/// Everything that lies in the queue, taken out.
pub(super) async fn drain(rabbit: &Rabbit, queue: &Queue) -> Vec<BasicGetMessage> {
    let mut messages = Vec::new();
    loop {
        let got = rabbit.channel.basic_get(queue.name.as_str().into(), BasicGetOptions { no_ack: true }).await;
        match got.expect("the queue is there") {
            Some(message) => messages.push(message),
            None => return messages,
        }
    }
}

/// The numbers in the bodies of everything that lies in the queue.
pub(super) async fn drain_numbers(rabbit: &Rabbit, queue: &Queue) -> Vec<usize> {
    let number = |message: &BasicGetMessage| {
        std::str::from_utf8(&message.delivery.data).expect("it is text").parse().expect("it is a number")
    };
    drain(rabbit, queue).await.iter().map(number).collect()
}

/// The same, taken out as they come, until there are so many.
pub(super) async fn arrive(rabbit: &Rabbit, queue: &Queue, count: usize) -> Vec<usize> {
    let mut arrived = Vec::new();
    let all = async {
        while arrived.len() < count {
            arrived.extend(drain_numbers(rabbit, queue).await);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    within("all arrive", all).await;
    arrived
}

/// The only message in the queue.
pub(super) async fn only(rabbit: &Rabbit, queue: &Queue) -> (BasicProperties, Vec<u8>) {
    let mut messages = drain(rabbit, queue).await;
    assert_eq!(messages.len(), 1, "{messages:?}");
    let delivery = messages.remove(0).delivery;
    (delivery.properties, delivery.data)
}

/// An exchange that is deleted when its last binding goes.
pub(super) async fn exchange(rabbit: &Rabbit, kind: lapin::ExchangeKind) -> String {
    let name = unique("exchange");
    let options = ExchangeDeclareOptions { durable: true, auto_delete: true, ..ExchangeDeclareOptions::default() };
    let declared = rabbit.channel.exchange_declare(name.as_str().into(), kind, options, Default::default());
    declared.await.expect("the exchange is new");
    name
}

/// Binds the queue.
pub(super) async fn bind(rabbit: &Rabbit, queue: &Queue, exchange: &str, key: &str) {
    let (queue, exchange) = (queue.name.as_str().into(), exchange.into());
    let bound = rabbit.channel.queue_bind(queue, exchange, key.into(), Default::default(), Default::default());
    bound.await.expect("both are there");
}
