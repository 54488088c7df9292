//! Suspended: the broker sends nothing more, what is here comes out, and nothing goes back.

use std::collections::VecDeque;

use futures_util::FutureExt;
use gantry_sdk::{ErrorKind, Polled, Position, Source};
use lapin::{BasicProperties, options::QueueDeleteOptions, types::AMQPValue};
use serde_json::json;

use crate::support::{
    ALL, Management, Proxy, Rabbit, assert_numbers, batch, closed, commit, end_of, numbers, open, records, tending,
    unique, until, within,
};

/// Everything that comes until the source says that it is suspended; nothing is committed.
async fn rest(source: &mut dyn Source) -> (Vec<usize>, Option<Position>) {
    let (mut seen, mut upto) = (Vec::new(), None);
    loop {
        match within("polling", source.poll(ALL)).await.unwrap_or_else(|error| panic!("{}", error.chain())) {
            Polled::Batch { records, last, .. } => {
                seen.extend(numbers(&records));
                upto = Some(last);
            }
            Polled::Suspended => return (seen, upto),
            Polled::End | Polled::LaneEnded(_) => panic!("a queue has no end"),
        }
    }
}

async fn suspend(source: &mut dyn Source) {
    assert!(within("suspending", source.suspend()).await.unwrap_or_else(|error| panic!("{}", error.chain())));
}

#[tokio::test]
async fn what_is_here_comes_out_and_nothing_after_it() {
    let rabbit = Rabbit::connect().await;
    let queue = rabbit.queue("suspend").await;
    rabbit.publish_numbers(&queue, 0..5000).await;
    let mut source = open(json!({ "queue": queue.name })).await;
    let (first, _) = records(&mut *source, 500).await;
    suspend(&mut *source).await;
    let (more, last) = rest(&mut *source).await;
    let seen: Vec<_> = numbers(&first).into_iter().chain(more).collect();
    assert_numbers(&seen, 0..seen.len());
    assert_eq!(rabbit.ready(&queue).await as usize, 5000 - seen.len());
    commit(&mut *source, 0, &last.expect("the prefetch was full")).await;
    rabbit.publish_numbers(&queue, 5000..5010).await;
    // It says so as often as it is asked, and what comes to the queue stays there.
    assert!(rest(&mut *source).await.0.is_empty());
    assert_eq!(rabbit.ready(&queue).await as usize, 5010 - seen.len());

    within("resuming", source.resume()).await.expect("it resumes");
    let mut after = Vec::new();
    while seen.len() + after.len() < 5010 {
        let (_, records, last) = batch(&mut *source, ALL).await;
        assert!(records.iter().all(|record| !record.origin.redelivered));
        after.extend(numbers(&records));
        commit(&mut *source, 0, &last).await;
    }
    assert_numbers(&after, seen.len()..5010);
    closed(source.close()).await;
    assert_eq!(rabbit.ready(&queue).await, 0);
}

#[tokio::test]
async fn suspending_and_resuming_at_any_moment_keeps_the_order() {
    let rabbit = Rabbit::connect().await;
    let queue = rabbit.queue("moments").await;
    rabbit.publish_numbers(&queue, 0..20_000).await;
    let mut source = open(json!({ "queue": queue.name })).await;
    let mut seen = Vec::new();
    let mut round = 0;
    while seen.len() < 20_000 {
        round += 1;
        match round % 7 {
            0 => suspend(&mut *source).await,
            // Sometimes it was not suspended, or is on its way to it.
            3 | 5 => within("resuming", source.resume()).await.expect("it resumes"),
            _ => {}
        }
        match within("polling", source.poll(ALL)).await.unwrap_or_else(|error| panic!("{}", error.chain())) {
            Polled::Batch { records, last, lane, .. } => {
                assert!(records.iter().all(|record| !record.origin.redelivered));
                seen.extend(numbers(&records));
                commit(&mut *source, lane.0, &last).await;
            }
            Polled::Suspended => within("resuming", source.resume()).await.expect("it resumes"),
            Polled::End | Polled::LaneEnded(_) => panic!("a queue has no end"),
        }
    }
    assert_numbers(&seen, 0..20_000);
    closed(source.close()).await;
    assert_eq!(rabbit.ready(&queue).await, 0);
}

/// A bridge that is stopped and started in full flow. What goes back counts as a delivery, and after two the queue drops it.
#[tokio::test]
async fn stops_in_full_flow_cost_a_quorum_queue_no_delivery() {
    let rabbit = Rabbit::connect().await;
    let quorum = ("x-queue-type", AMQPValue::LongString("quorum".into()));
    let queue = rabbit.queue_with("stops", &[quorum, ("x-delivery-limit", AMQPValue::LongLongInt(1))]).await;
    rabbit.publish_numbers(&queue, 0..40_000).await;
    let mut seen = Vec::new();
    for round in 0..10 {
        let mut source = open(json!({ "queue": queue.name })).await;
        let mut on_the_way = VecDeque::new();
        let until = seen.len() + 100 + round * 150;
        let mut suspended = false;
        loop {
            if seen.len() >= until && !suspended {
                suspend(&mut *source).await;
                suspended = true;
            }
            match within("polling", source.poll(ALL)).await.unwrap_or_else(|error| panic!("{}", error.chain())) {
                Polled::Batch { records, last, .. } => {
                    assert!(records.iter().all(|record| !record.origin.redelivered), "round {round}: some went back");
                    seen.extend(numbers(&records));
                    on_the_way.push_back(last);
                    if on_the_way.len() > 2 {
                        commit(&mut *source, 0, &on_the_way.pop_front().expect("there are three")).await;
                    }
                }
                Polled::Suspended => break,
                Polled::End | Polled::LaneEnded(_) => panic!("a queue has no end"),
            }
        }
        let last = on_the_way.pop_back().expect("some came");
        commit(&mut *source, 0, &last).await;
        closed(source.close()).await;
        assert_numbers(&seen, 0..seen.len());
        until_ready(&rabbit, &queue, 40_000 - seen.len()).await;
    }
}

async fn until_ready(rabbit: &Rabbit, queue: &crate::support::Queue, count: usize) {
    until(count, || async { rabbit.ready(queue).await as usize }).await;
}

#[tokio::test]
async fn every_lane_is_suspended() {
    let rabbit = Rabbit::connect().await;
    let (busy, idle) = (rabbit.queue("busy").await, rabbit.queue("idle").await);
    rabbit.publish_numbers(&busy, 0..100).await;
    let mut source = open(json!({ "queues": [busy.name, idle.name], "prefetch": 10 })).await;
    suspend(&mut *source).await;
    assert_eq!(rest(&mut *source).await.0, (0..10).collect::<Vec<_>>());
    rabbit.publish_numbers(&idle, 0..5).await;
    assert!(rest(&mut *source).await.0.is_empty());
    assert_eq!((rabbit.ready(&busy).await, rabbit.ready(&idle).await), (90, 5));
    closed(source.close()).await;
}

#[tokio::test]
async fn a_queue_that_goes_while_it_is_suspended_shows_when_it_resumes() {
    let rabbit = Rabbit::connect().await;
    let queue = rabbit.queue("goes").await;
    let mut source = open(json!({ "queue": queue.name })).await;
    suspend(&mut *source).await;
    rabbit.channel.queue_delete(queue.name.as_str().into(), QueueDeleteOptions::default()).await.expect("it is there");
    assert!(rest(&mut *source).await.0.is_empty());
    within("resuming", source.resume()).await.expect("the channel stands");
    let error = end_of(&mut *source).await;
    assert_eq!(error.kind(), ErrorKind::Missing, "{}", error.chain());
    closed(source.close()).await;
}

#[tokio::test]
async fn a_connection_that_ends_is_noticed_while_nobody_polls() {
    let rabbit = Rabbit::connect().await;
    let queue = rabbit.queue("noticed").await;
    rabbit.publish_numbers(&queue, 0..100).await;
    for suspended in [false, true] {
        let name = unique("noticed");
        let proxy = Proxy::start().await;
        let mut source = open(json!({
            "connection": { "urls": [proxy.url()], "connection_name": name }, "queue": queue.name, "prefetch": 10,
        }))
        .await;
        if suspended {
            suspend(&mut *source).await;
            rest(&mut *source).await;
        }
        assert!(source.watch_connection().now_or_never().is_none());
        let management = Management::new();
        until(true, || async { management.connection(&name).is_some() }).await;
        let connection = management.connection(&name).expect("it was there");
        management.delete(&format!("connections/{}", connection.replace(' ', "%20").replace('>', "%3E")));
        let error = within("noticing", source.watch_connection()).await;
        assert_eq!(error.kind(), ErrorKind::Disconnected);
        assert!(error.chain().contains("RabbitMQ answered 320 CONNECTION_FORCED"), "{}", error.chain());
        let resumed = within("resuming", source.resume()).await;
        assert!(resumed.is_err() || !suspended);
        closed(source.close()).await;
    }
}

#[tokio::test]
async fn a_cancelled_consumer_is_noticed_behind_what_it_left() {
    let rabbit = Rabbit::connect().await;
    let queue = rabbit.queue("behind").await;
    rabbit.publish_numbers(&queue, 0..100).await;
    let mut source = open(json!({ "queue": queue.name })).await;
    tending(&mut *source, until(0, || rabbit.ready(&queue))).await;
    rabbit.channel.queue_delete(queue.name.as_str().into(), QueueDeleteOptions::default()).await.expect("it is there");
    let error = within("noticing", source.watch_connection()).await;
    assert!(error.chain().contains("RabbitMQ cancelled the consumer"), "{}", error.chain());
    closed(source.close()).await;
}

#[tokio::test]
async fn what_was_tended_is_polled_in_order_within_the_limits() {
    let rabbit = Rabbit::connect().await;
    let queue = rabbit.queue("tended").await;
    rabbit.publish_numbers(&queue, 0..1000).await;
    let mut source = open(json!({ "queue": queue.name, "prefetch": 500 })).await;
    tending(&mut *source, until(true, || async { rabbit.ready(&queue).await < 500 })).await;
    let limits = gantry_sdk::Limits { records: 7, ..ALL };
    let mut seen = Vec::new();
    while seen.len() < 1000 {
        let Polled::Batch { records, last, lane, .. } = within("polling", source.poll(limits)).await.expect("it polls")
        else {
            panic!("a queue has no end")
        };
        assert!(records.len() <= 7);
        seen.extend(numbers(&records));
        commit(&mut *source, lane.0, &last).await;
    }
    assert_numbers(&seen, 0..1000);
    closed(source.close()).await;
}

#[tokio::test]
async fn the_backlog_is_what_waits_in_all_queues() {
    let rabbit = Rabbit::connect().await;
    let (a, b) = (rabbit.queue("a").await, rabbit.queue("b").await);
    for _ in 0..30 {
        rabbit.publish(&a, b"x", BasicProperties::default()).await;
    }
    rabbit.publish(&b, b"x", BasicProperties::default()).await;
    let mut source = open(json!({ "queues": [a.name, b.name], "prefetch": 10 })).await;
    let backlog = within("counting", source.backlog()).await.expect("it counts");
    assert_eq!(backlog, Some(20));
    rabbit.channel.queue_delete(b.name.as_str().into(), QueueDeleteOptions::default()).await.expect("it is there");
    let error = within("counting", source.backlog()).await.expect_err("one queue is gone");
    assert_eq!(error.kind(), ErrorKind::Missing);
    assert!(within("noticing", source.watch_connection()).await.chain().contains(&b.name), "only the counting ended");
    closed(source.close()).await;
}
