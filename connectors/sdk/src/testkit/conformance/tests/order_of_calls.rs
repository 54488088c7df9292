//! The order of calls: what may not come now is a panic that says so.

use super::{memory_sink, memory_source};
use crate::{
    Batch, Context, Lane, Limits, Polled, Position, Record, Sink, Source,
    testkit::{
        Courier, OrderedSink, OrderedSource,
        conformance::{SinkWorld, SourceWorld},
        context,
    },
};

const FEW: Limits = Limits { records: 3, bytes: 100 };

async fn source() -> OrderedSource {
    let mut world = memory_source::Memory::right();
    world.put(1..=20).await;
    OrderedSource::new(world.open(context()).await.expect("it opens"))
}

async fn batch(source: &mut OrderedSource) -> (Lane, Position) {
    match source.poll(FEW).await.expect("records are there") {
        Polled::Batch { lane, last, .. } => (lane, last),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
#[should_panic(expected = "polled without credit")]
async fn a_poll_without_credit() {
    let _ = source().await.poll(Limits { records: 0, bytes: 1 }).await;
}

#[tokio::test]
#[should_panic(expected = "which it did not give")]
async fn a_commit_that_comes_twice() {
    let mut source = source().await;
    let (lane, last) = batch(&mut source).await;
    source.commit(lane, &last);
    source.commit(lane, &last);
}

#[tokio::test]
#[should_panic(expected = "given back")]
async fn a_commit_of_what_was_given_back() {
    let mut source = source().await;
    let (lane, last) = batch(&mut source).await;
    assert!(source.give_back().await.expect("nothing is wrong"));
    source.commit(lane, &last);
}

#[tokio::test]
#[should_panic(expected = "which never gave a record")]
async fn a_commit_on_a_lane_that_gave_nothing() {
    source().await.commit(Lane(7), &1.into());
}

#[tokio::test]
#[should_panic(expected = "which is not out")]
async fn a_reject_of_what_is_committed() {
    let mut source = source().await;
    let (lane, last) = batch(&mut source).await;
    source.commit(lane, &last);
    let _ = source.reject(lane, &last, 0).await;
}

#[tokio::test]
#[should_panic(expected = "the order of calls: suspend while the source is Suspending")]
async fn suspended_twice() {
    let mut source = source().await;
    let _ = source.suspend().await;
    let _ = source.suspend().await;
}

#[tokio::test]
#[should_panic(expected = "the order of calls: resume while the source is Flowing")]
async fn resumed_without_a_suspend() {
    let _ = source().await.resume().await;
}

#[tokio::test]
#[should_panic(expected = "the order of calls: give_back while the source is Suspending")]
async fn given_back_while_suspended() {
    let mut source = source().await;
    let _ = source.suspend().await;
    let _ = source.give_back().await;
}

#[tokio::test]
#[should_panic(expected = "the order of calls: poll while the source is Suspended")]
async fn polled_when_everything_is_handed_out() {
    let mut source = source().await;
    let _ = source.suspend().await;
    while !matches!(source.poll(FEW).await, Ok(Polled::Suspended)) {}
    let _ = source.poll(FEW).await;
}

#[tokio::test]
#[should_panic(expected = "the order of calls: poll while the source is Failed")]
async fn polled_after_an_error() {
    let mut world = memory_source::Memory::right();
    let mut source = OrderedSource::new(world.open(context()).await.expect("it opens"));
    world.cut().await;
    assert!(source.poll(FEW).await.is_err());
    let _ = source.poll(FEW).await;
}

async fn sink(context: Context) -> OrderedSink {
    OrderedSink::new(memory_sink::Memory::right().open(context).await.expect("it opens"))
}

fn exactly_once() -> Context {
    Context { exactly_once: true, ..context() }
}

fn one(courier: &mut Courier) -> Batch {
    courier.batch(vec![Record { value: Some("1".into()), ..Record::default() }])
}

#[tokio::test]
#[should_panic(expected = "the order of calls: start before the sink is ready")]
async fn started_twice() {
    let (mut sink, mut courier) = (sink(context()).await, Courier::new());
    sink.start(one(&mut courier));
    sink.start(one(&mut courier));
}

#[tokio::test]
#[should_panic(expected = "the order of calls: start without a transaction")]
async fn started_outside_of_a_transaction() {
    let (mut sink, mut courier) = (sink(exactly_once()).await, Courier::new());
    sink.start(one(&mut courier));
}

#[tokio::test]
#[should_panic(expected = "the order of calls: begin within a transaction")]
async fn begun_twice() {
    let mut sink = sink(exactly_once()).await;
    let transactions = sink.transactions().expect("it has some");
    transactions.begin().await.expect("it begins");
    let _ = transactions.begin().await;
}

#[tokio::test]
#[should_panic(expected = "the order of calls: commit without a transaction")]
async fn committed_outside_of_a_transaction() {
    let mut sink = sink(exactly_once()).await;
    let _ = sink.transactions().expect("it has some").commit(&[]).await;
}
