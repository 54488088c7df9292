//! A real RabbitMQ to test against, and the runtime's part in short.

mod management;
mod proxy;
mod rabbit;
pub(crate) mod raw;

use std::{fmt::Debug, future::Future, time::Duration};

use gantry_rabbitmq::SOURCE;
use gantry_sdk::{Context, Error, Health, Lane, Limits, Opening, Polled, Position, Record, Result, Source, testkit};
use serde_json::{Value as Json, json};

pub(crate) use management::Management;
pub(crate) use proxy::Proxy;
pub(crate) use rabbit::{Queue, Rabbit, amqp_url, unique};
pub(crate) use raw::publish_raw;

/// No test waits longer for anything; nothing takes near as long unless it hangs.
const DEADLINE: Duration = Duration::from_secs(180);

/// As large as a runtime's may be: the source's own limits show.
pub(crate) const ALL: Limits = Limits { records: usize::MAX, bytes: usize::MAX };

/// What `future` yields; a test that would hang fails instead.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(DEADLINE, future).await {
        Ok(value) => value,
        Err(_) => panic!("{what}: nothing in {DEADLINE:?}"),
    }
}

/// Closes a source or a sink. On a busy machine the answer may come too late; then the connection is cut, to the same end.
pub(crate) async fn closed<T>(closing: impl Future<Output = Result<T>>) {
    let Err(error) = within("closing", closing).await else { return };
    assert!(error.to_string().contains("no answer in"), "{}", error.chain());
}

/// Waits until `probe` yields `expected`.
pub(crate) async fn until<T: PartialEq + Debug, F: Future<Output = T>>(expected: T, mut probe: impl FnMut() -> F) {
    let mut last = None;
    let tried = async {
        loop {
            let value = probe().await;
            if value == expected {
                return;
            }
            last = Some(value);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let reached = tokio::time::timeout(DEADLINE, tried).await;
    assert!(reached.is_ok(), "still {last:?} and not {expected:?} after {DEADLINE:?}");
}

/// What an opening opens.
pub(crate) async fn opened<T: ?Sized>(opening: Opening<T>) -> Box<T> {
    within("opening", opening).await.unwrap_or_else(|error| panic!("{}", error.chain()))
}

/// The error that an opening comes to.
pub(crate) async fn unopened<T: ?Sized>(opening: Opening<T>) -> Error {
    match within("opening", opening).await {
        Ok(_) => panic!("it opened"),
        Err(error) => error,
    }
}

/// A source of these options, made as the runtime makes it, on the test broker unless they say otherwise.
pub(crate) fn source(options: Json) -> Opening<dyn Source> {
    source_with_health(options, Health::new())
}

/// The same, with an eye on its health.
pub(crate) fn source_with_health(options: Json, health: Health) -> Opening<dyn Source> {
    source_of(options, health, 64 << 20)
}

fn source_of(options: Json, health: Health, in_flight_bytes: usize) -> Opening<dyn Source> {
    source_with(options, Context { health, in_flight_bytes, ..testkit::context() })
}

/// A source of these options for a task that says so much.
pub(crate) fn source_with(options: Json, context: Context) -> Opening<dyn Source> {
    let mut whole = json!({ "connection": { "urls": [amqp_url()] } });
    let fields = whole.as_object_mut().expect("it is one");
    fields.extend(options.as_object().expect("options are an object").clone());
    (SOURCE.create)(&whole, context).unwrap_or_else(|error| panic!("{}", error.chain()))
}

/// The same, opened.
pub(crate) async fn open(options: Json) -> Box<dyn Source> {
    opened(source(options)).await
}

/// The same, opened, with so many bytes to have on its way.
pub(crate) async fn open_within(options: Json, in_flight_bytes: usize) -> Box<dyn Source> {
    opened(source_of(options, Health::new(), in_flight_bytes)).await
}

/// What `future` yields while the source is looked after as the runtime does it when it does not poll.
pub(crate) async fn tending<T>(source: &mut dyn Source, future: impl Future<Output = T>) -> T {
    tokio::select! {
        value = future => value,
        error = source.watch_connection() => panic!("{}", error.chain()),
    }
}

/// Everything settled up to there.
pub(crate) async fn commit(source: &mut dyn Source, lane: u32, upto: &Position) {
    try_commit(source, lane, upto).await.unwrap_or_else(|error| panic!("{}", error.chain()));
}

/// The same, if it can be said.
pub(crate) async fn try_commit(source: &mut dyn Source, lane: u32, upto: &Position) -> Result<()> {
    source.commit(Lane(lane), upto);
    within("committing", source.sync()).await
}

/// One batch: lane, records, position.
pub(crate) async fn batch(source: &mut dyn Source, limits: Limits) -> (u32, Vec<Record>, Position) {
    match try_poll(source, limits).await {
        Ok(batch) => batch,
        Err(error) => panic!("{}", error.chain()),
    }
}

/// The error that polling comes to, past whatever is delivered before it.
pub(crate) async fn end_of(source: &mut dyn Source) -> Error {
    loop {
        if let Err(error) = try_poll(source, ALL).await {
            return error;
        }
    }
}

async fn try_poll(source: &mut dyn Source, limits: Limits) -> Result<(u32, Vec<Record>, Position)> {
    match within("polling", source.poll(limits)).await? {
        Polled::Batch { lane, records, last, answers: None } => Ok((lane.0, records, last)),
        other => panic!("{other:?}"),
    }
}

/// That many records of a source of one queue, and the position of the last.
pub(crate) async fn records(source: &mut dyn Source, count: usize) -> (Vec<Record>, Position) {
    let mut all = Vec::new();
    loop {
        let limits = Limits { records: count - all.len(), ..ALL };
        let (_, mut records, last) = batch(source, limits).await;
        all.append(&mut records);
        if all.len() == count {
            return (all, last);
        }
    }
}

/// Asserts that these are `from..to`, and says where not.
pub(crate) fn assert_numbers(numbers: &[usize], expected: std::ops::Range<usize>) {
    let wrong = numbers.iter().zip(expected.clone()).find(|(number, expected)| *number != expected);
    assert_eq!(wrong, None, "the order is lost");
    assert_eq!(numbers.len(), expected.len());
}

/// The numbers that [`Rabbit::publish_numbers`] wrote into the bodies.
pub(crate) fn numbers(records: &[Record]) -> Vec<usize> {
    let number = |record: &Record| {
        let body = record.value.as_ref().expect("it has a body");
        std::str::from_utf8(body).expect("it is text").parse().expect("it is a number")
    };
    records.iter().map(number).collect()
}
