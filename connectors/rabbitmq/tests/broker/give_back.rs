//! What close returns to the queue.

use gantry_sdk::{Lane, Polled};
use lapin::types::AMQPValue;
use serde_json::json;

use crate::support::{ALL, Management, Queue, Rabbit, closed, numbers, open, records, source, until, within};

#[tokio::test]
async fn close_returns_what_is_not_acknowledged_also_what_was_never_polled() {
    let rabbit = Rabbit::connect().await;
    let queue = rabbit.queue("return").await;
    rabbit.publish_numbers(&queue, 0..50).await;
    let mut source = open(json!({ "queue": queue.name })).await;
    records(&mut *source, 10).await;
    source.commit(Lane(0), &3.into()).await.expect("it commits");
    until(0, || rabbit.ready(&queue)).await;
    closed(source.close()).await;
    // A queue hears by itself that the channel of a cancelled consumer is gone, so it may be a moment later.
    until(47, || rabbit.ready(&queue)).await;

    let mut source = open(json!({ "queue": queue.name })).await;
    let (again, last) = records(&mut *source, 47).await;
    assert_eq!(numbers(&again), (3..50).collect::<Vec<_>>());
    assert!(again.iter().all(|record| record.origin.redelivered));
    source.commit(Lane(0), &last).await.expect("it commits");
    closed(source.close()).await;
    assert_eq!(rabbit.ready(&queue).await, 0);
}

#[tokio::test]
async fn closing_twice_or_before_opening_is_nothing() {
    let rabbit = Rabbit::connect().await;
    let queue = rabbit.queue("twice").await;
    let mut never_opened = source(json!({ "queue": queue.name }));
    never_opened.close().await.expect("there is nothing to close");
    let mut source = open(json!({ "queue": queue.name })).await;
    closed(source.close()).await;
    within("closing", source.close()).await.expect("there is nothing left to close");
}

#[tokio::test]
async fn a_source_that_is_dropped_gives_back_too() {
    let rabbit = Rabbit::connect().await;
    let queue = rabbit.queue("dropped").await;
    rabbit.publish_numbers(&queue, 0..10).await;
    let mut source = open(json!({ "queue": queue.name })).await;
    records(&mut *source, 10).await;
    drop(source);
    until(10, || rabbit.ready(&queue)).await;
}

#[tokio::test]
async fn nack_returns_it_too() {
    let rabbit = Rabbit::connect().await;
    let queue = rabbit.queue("nack").await;
    rabbit.publish_numbers(&queue, 0..100).await;
    let options = json!({ "queue": queue.name, "give_back": "nack", "prefetch": 60 });
    for _ in 0..3 {
        let mut source = open(options.clone()).await;
        let (taken, _) = records(&mut *source, 50).await;
        assert_eq!(numbers(&taken), (0..50).collect::<Vec<_>>());
        closed(source.close()).await;
        until(100, || rabbit.ready(&queue)).await;
    }
    // With nothing to return there is nothing to say that the broker would take amiss.
    let mut source = open(json!({ "queue": queue.name, "give_back": "nack" })).await;
    let (_, last) = records(&mut *source, 100).await;
    source.commit(Lane(0), &last).await.expect("it commits");
    closed(source.close()).await;
    assert_eq!(rabbit.ready(&queue).await, 0);
}

async fn quorum_queue(rabbit: &Rabbit, limit: Option<i64>) -> Queue {
    let mut arguments = vec![("x-queue-type", AMQPValue::LongString("quorum".into()))];
    arguments.extend(limit.map(|limit| ("x-delivery-limit", AMQPValue::LongLongInt(limit))));
    rabbit.queue_with("quorum", &arguments).await
}

/// What a bridge does that stops and starts: takes some, returns all, and finds all in order again.
async fn i5_order_survives(rounds: usize, queue: &Queue) {
    for _ in 0..rounds {
        let mut source = open(json!({ "queue": queue.name, "prefetch": 60, "adaptive_prefetch": false })).await;
        let (taken, _) = records(&mut *source, 50).await;
        assert_eq!(numbers(&taken), (0..50).collect::<Vec<_>>());
        closed(source.close()).await;
    }
    let mut source = open(json!({ "queue": queue.name })).await;
    let (taken, last) = records(&mut *source, 100).await;
    assert_eq!(numbers(&taken), (0..100).collect::<Vec<_>>());
    source.commit(Lane(0), &last).await.expect("it commits");
    closed(source.close()).await;
}

#[tokio::test]
async fn i5_a_quorum_queue_without_a_limit_keeps_its_order_over_many_rounds() {
    let rabbit = Rabbit::connect().await;
    // None is unlimited before 4.0, -1 since.
    let limit = (Management::new().version() >= (4, 0)).then_some(-1);
    let queue = quorum_queue(&rabbit, limit).await;
    rabbit.publish_numbers(&queue, 0..100).await;
    i5_order_survives(20, &queue).await;
}

/// Every delivery that is returned counts, so a limit of five bears five rounds and loses none.
#[tokio::test]
async fn i5_a_quorum_queue_with_a_limit_keeps_its_order_and_loses_none_within_it() {
    let rabbit = Rabbit::connect().await;
    let queue = quorum_queue(&rabbit, Some(5)).await;
    rabbit.publish_numbers(&queue, 0..100).await;
    i5_order_survives(5, &queue).await;
}

/// A quorum queue takes acknowledgements one after the other, and its channel holds back those that come too fast
/// (`rabbit_fifo_client`, the soft limit). Closing must not overtake them.
#[tokio::test]
async fn what_was_acknowledged_just_before_the_close_of_a_quorum_queue_stays_acknowledged() {
    let rabbit = Rabbit::connect().await;
    for suspended in [false, true] {
        let queue = quorum_queue(&rabbit, None).await;
        rabbit.publish_numbers(&queue, 0..1000).await;
        let mut source = open(json!({ "queue": queue.name, "adaptive_prefetch": false })).await;
        records(&mut *source, 1000).await;
        if suspended {
            assert!(source.suspend().await.expect("it suspends"));
            assert!(matches!(within("polling", source.poll(ALL)).await, Ok(Polled::Suspended)));
        }
        for tag in 1..=1000u64 {
            source.commit(Lane(0), &tag.into()).await.expect("it commits");
        }
        closed(source.close()).await;
        // What went back would come before it.
        rabbit.publish_numbers(&queue, 1000..1001).await;
        let mut source = open(json!({ "queue": queue.name })).await;
        assert_eq!(numbers(&records(&mut *source, 1).await.0), [1000]);
        closed(source.close()).await;
        until(1, || rabbit.ready(&queue)).await;
    }
}
