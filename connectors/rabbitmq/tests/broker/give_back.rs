//! What close returns to the queue.

use std::{
    task::Poll,
    time::{Duration, Instant},
};

use gantry_sdk::{ErrorKind, Polled};
use lapin::types::AMQPValue;
use serde_json::json;

use crate::support::{
    ALL, Management, Proxy, Queue, Rabbit, assert_numbers, closed, commit, numbers, open, records, source, unique,
    unopened, until, within,
};

#[tokio::test]
async fn close_returns_what_is_not_acknowledged_also_what_was_never_polled() {
    let rabbit = Rabbit::connect().await;
    let queue = rabbit.queue("return").await;
    rabbit.publish_numbers(&queue, 0..50).await;
    let mut source = open(json!({ "queue": queue.name })).await;
    records(&mut *source, 10).await;
    commit(&mut *source, 0, &3.into()).await;
    until(0, || rabbit.ready(&queue)).await;
    closed(source.close()).await;
    // A queue hears by itself that the channel of a cancelled consumer is gone, so it may be a moment later.
    until(47, || rabbit.ready(&queue)).await;

    let mut source = open(json!({ "queue": queue.name })).await;
    let (again, last) = records(&mut *source, 47).await;
    assert_eq!(numbers(&again), (3..50).collect::<Vec<_>>());
    assert!(again.iter().all(|record| record.origin.redelivered));
    commit(&mut *source, 0, &last).await;
    closed(source.close()).await;
    assert_eq!(rabbit.ready(&queue).await, 0);
}

/// What has to be said one after the other has one deadline for all. Past it the connection is cut, to the same end: an acknowledgement that has
/// not arrived by then may be lost, and what was settled comes again.
#[tokio::test]
async fn i5_closing_over_a_slow_wire_does_not_wait_for_every_answer_and_gives_back_in_order() {
    let rabbit = Rabbit::connect().await;
    for (millis, may_be_lost) in [(700, false), (30_000, true)] {
        let latency = Duration::from_millis(millis);
        let (queue, proxy) = (unlimited_quorum_queue(&rabbit).await, Proxy::start().await);
        rabbit.publish_numbers(&queue, 0..100).await;
        let mut source = open(json!({
            "connection": { "urls": [proxy.url()] }, "queue": queue.name, "adaptive_prefetch": false,
        }))
        .await;
        records(&mut *source, 50).await;
        commit(&mut *source, 0, &10.into()).await;
        proxy.slow_down(latency);
        let began = Instant::now();
        closed(source.close()).await;
        assert!(!may_be_lost || began.elapsed() < latency, "it has waited for an answer");
        until(true, || async { rabbit.ready(&queue).await >= 90 }).await;
        let begin = if may_be_lost && rabbit.ready(&queue).await == 100 { 0 } else { 10 };
        let mut source = open(json!({ "queue": queue.name })).await;
        let (again, _) = records(&mut *source, 100 - begin).await;
        assert_numbers(&numbers(&again), begin..100);
        closed(source.close()).await;
    }
}

/// Its consumer has begun, and another of the same connection cannot.
#[tokio::test]
async fn i5_an_opening_that_fails_gives_back_in_order() {
    let rabbit = Rabbit::connect().await;
    let queue = unlimited_quorum_queue(&rabbit).await;
    rabbit.publish_numbers(&queue, 0..1000).await;
    for _ in 0..5 {
        let options = json!({ "queues": [queue.name, unique("missing")], "adaptive_prefetch": false });
        assert_eq!(unopened(source(options)).await.kind(), ErrorKind::Missing);
        until(1000, || rabbit.ready(&queue)).await;
    }
    all_in_order(&queue, 1000).await;
}

/// However far it came.
#[tokio::test]
async fn i5_an_opening_that_is_dropped_gives_back_in_order() {
    let rabbit = Rabbit::connect().await;
    let queues = [unlimited_quorum_queue(&rabbit).await, rabbit.queue("classic").await];
    for queue in &queues {
        rabbit.publish_numbers(queue, 0..1000).await;
    }
    let options = json!({ "queues": queues.each_ref().map(|queue| &queue.name), "adaptive_prefetch": false });
    for polls in 1.. {
        let mut opening = source(options.clone());
        let mut left = polls;
        // A whole look at it each time: dropped after the first, the second, and so on.
        let looked = std::future::poll_fn(|context| {
            left -= 1;
            match opening.as_mut().poll(context) {
                Poll::Pending if left > 0 => Poll::Pending,
                looked => Poll::Ready(looked.is_ready()),
            }
        });
        let is_open = within("opening", looked).await;
        drop(opening);
        if is_open {
            break;
        }
    }
    for queue in &queues {
        until(1000, || rabbit.ready(queue)).await;
        all_in_order(queue, 1000).await;
    }
}

pub(crate) async fn unlimited_quorum_queue(rabbit: &Rabbit) -> Queue {
    // None is unlimited before 4.0, -1 since.
    quorum_queue(rabbit, (Management::new().version() >= (4, 0)).then_some(-1)).await
}

async fn all_in_order(queue: &Queue, count: usize) {
    all_in_order_from(queue, 0, count).await;
}

async fn all_in_order_from(queue: &Queue, first: usize, end: usize) {
    let mut source = open(json!({ "queue": queue.name })).await;
    let (taken, last) = records(&mut *source, end - first).await;
    assert_numbers(&numbers(&taken), first..end);
    commit(&mut *source, 0, &last).await;
    closed(source.close()).await;
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
    commit(&mut *source, 0, &last).await;
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
    all_in_order(queue, 100).await;
}

#[tokio::test]
async fn i5_a_quorum_queue_without_a_limit_keeps_its_order_over_many_rounds() {
    let rabbit = Rabbit::connect().await;
    let queue = unlimited_quorum_queue(&rabbit).await;
    rabbit.publish_numbers(&queue, 0..100).await;
    i5_order_survives(20, &queue).await;
}

/// While the broker sends what the last acknowledgement made room for. Of a queue with more than the prefetch, and to its end.
#[tokio::test]
async fn i5_a_quorum_queue_keeps_its_order_when_it_is_given_back_in_full_flow() {
    let rabbit = Rabbit::connect().await;
    let queues = [unlimited_quorum_queue(&rabbit).await, quorum_queue(&rabbit, Some(20)).await];
    for (queue, prefetch) in queues.iter().zip([200, 200]).chain(queues.iter().zip([2000, 2000])) {
        rabbit.publish_numbers(queue, 0..1000).await;
        let mut next = 0;
        for round in 0..9 {
            let options = json!({ "queue": queue.name, "prefetch": prefetch, "adaptive_prefetch": false });
            let mut source = open(options).await;
            for _ in 0..2 {
                let (taken, last) = records(&mut *source, 50).await;
                assert_numbers(&numbers(&taken), next..next + 50);
                commit(&mut *source, 0, &last).await;
                next += 50;
            }
            closed(source.close()).await;
            assert_eq!(next, (round + 1) * 100);
        }
        all_in_order_from(queue, next, 1000).await;
    }
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
            commit(&mut *source, 0, &tag.into()).await;
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
