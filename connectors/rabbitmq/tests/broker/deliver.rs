//! What is delivered, in which batches, and what an acknowledgement takes from the queue.

use futures_util::FutureExt;
use gantry_sdk::{ErrorKind, Lane, Limits, Polled};
use lapin::BasicProperties;
use serde_json::json;

use crate::support::{ALL, Rabbit, batch, closed, commit, numbers, open, records, try_commit, until};

#[tokio::test]
async fn i1_a_commit_takes_exactly_what_it_covers() {
    let rabbit = Rabbit::connect().await;
    let queue = rabbit.queue("commit").await;
    rabbit.publish_numbers(&queue, 0..1000).await;

    let mut source = open(json!({ "queue": queue.name })).await;
    let (first, upto) = records(&mut *source, 600).await;
    commit(&mut *source, 0, &upto).await;
    let (second, _) = records(&mut *source, 400).await;
    assert_eq!(numbers(&first), (0..600).collect::<Vec<_>>());
    assert_eq!(numbers(&second), (600..1000).collect::<Vec<_>>());
    closed(source.close()).await;

    until(400, || rabbit.ready(&queue)).await;
    let mut source = open(json!({ "queue": queue.name })).await;
    let (again, _) = records(&mut *source, 400).await;
    assert_eq!(numbers(&again), (600..1000).collect::<Vec<_>>());
    assert!(again.iter().all(|record| record.origin.redelivered));
    closed(source.close()).await;
}

#[tokio::test]
async fn i2_a_commit_that_goes_back_changes_nothing_and_one_too_far_is_never_sent() {
    let rabbit = Rabbit::connect().await;
    let queue = rabbit.queue("back").await;
    rabbit.publish_numbers(&queue, 0..10).await;

    let mut source = open(json!({ "queue": queue.name })).await;
    records(&mut *source, 10).await;
    commit(&mut *source, 0, &7.into()).await;
    commit(&mut *source, 0, &7.into()).await;
    commit(&mut *source, 0, &3.into()).await;
    let too_far = try_commit(&mut *source, 0, &11.into()).await.expect_err("it was never delivered");
    assert_eq!(too_far.kind(), ErrorKind::Internal);
    assert_eq!(*source.lane_key(Lane(0)), format!("{}/0", queue.name));
    let no_lane = try_commit(&mut *source, 1, &1.into()).await.expect_err("there is one queue");
    assert_eq!(no_lane.kind(), ErrorKind::Internal);
    // The broker closes the channel on a tag that it does not know; had it got one, this would not arrive.
    rabbit.publish_numbers(&queue, 10..11).await;
    assert_eq!(numbers(&records(&mut *source, 1).await.0), [10]);
    closed(source.close()).await;
    until(4, || rabbit.ready(&queue)).await;
}

#[tokio::test]
async fn a_batch_is_a_tenth_of_the_prefetch_and_within_the_limits() {
    let rabbit = Rabbit::connect().await;
    let queue = rabbit.queue("batch").await;
    for _ in 0..500 {
        rabbit.publish(&queue, &[0; 100], BasicProperties::default()).await;
    }
    let mut source = open(json!({ "queue": queue.name, "prefetch": 300 })).await;
    // The prefetch is on its way or here already; a batch never takes more than its part of it.
    let mut sizes = Vec::new();
    while sizes.iter().sum::<usize>() < 300 {
        sizes.push(batch(&mut *source, ALL).await.1.len());
    }
    assert!(sizes.iter().all(|size| *size <= 30), "{sizes:?}");
    commit(&mut *source, 0, &300.into()).await;
    // All of the next two hundred are here before the first is taken.
    until(0, || rabbit.ready(&queue)).await;
    let (_, few, _) = batch(&mut *source, Limits { records: 7, ..ALL }).await;
    assert!(few.len() <= 7, "{}", few.len());
    let (_, small, _) = batch(&mut *source, Limits { bytes: 250, ..ALL }).await;
    assert!(small.len() <= 3, "{}", small.len());
    let (_, one, _) = batch(&mut *source, Limits { records: 0, bytes: 0 }).await;
    assert_eq!(one.len(), 1);
    closed(source.close()).await;
}

#[tokio::test]
async fn i4_the_broker_never_has_more_than_the_prefetch_on_its_way() {
    let rabbit = Rabbit::connect().await;
    let queue = rabbit.queue("prefetch").await;
    rabbit.publish_numbers(&queue, 0..100).await;

    let mut source = open(json!({ "queue": queue.name, "prefetch": 10 })).await;
    records(&mut *source, 10).await;
    assert!(source.poll(ALL).now_or_never().is_none(), "an eleventh came");
    assert_eq!(rabbit.ready(&queue).await, 90);
    commit(&mut *source, 0, &5.into()).await;
    records(&mut *source, 5).await;
    assert!(source.poll(ALL).now_or_never().is_none(), "a sixteenth came");
    assert_eq!(rabbit.ready(&queue).await, 85);
    closed(source.close()).await;
}

#[tokio::test]
async fn i5_each_queue_is_a_lane_with_its_own_order_and_none_waits_for_another() {
    let rabbit = Rabbit::connect().await;
    let (busy, idle) = (rabbit.queue("busy").await, rabbit.queue("idle").await);
    rabbit.publish_numbers(&busy, 0..1000).await;
    rabbit.publish_numbers(&idle, 0..5).await;

    let mut source = open(json!({ "queues": [busy.name, idle.name], "prefetch": 100 })).await;
    let mut seen: [Vec<usize>; 2] = Default::default();
    while seen[0].len() < 1000 || seen[1].len() < 5 {
        let (lane, records, last) = batch(&mut *source, ALL).await;
        let name = [&busy.name, &idle.name][lane as usize];
        assert!(records.iter().all(|record| record.origin.address == name.as_str()));
        seen[lane as usize].extend(numbers(&records));
        commit(&mut *source, lane, &last).await;
    }
    assert_eq!(seen[0], (0..1000).collect::<Vec<_>>());
    assert_eq!(seen[1], (0..5).collect::<Vec<_>>());
    closed(source.close()).await;
    assert_eq!((rabbit.ready(&busy).await, rabbit.ready(&idle).await), (0, 0));
}

#[tokio::test]
async fn a_poll_that_is_dropped_has_taken_nothing() {
    let rabbit = Rabbit::connect().await;
    let queue = rabbit.queue("cancel").await;
    let mut source = open(json!({ "queue": queue.name })).await;
    let mut seen = Vec::new();
    for number in 0..50 {
        // Most of these polls are dropped while they wait.
        while let Some(polled) = source.poll(ALL).now_or_never() {
            let Polled::Batch { records, .. } = polled.expect("it polls") else { panic!("a queue has no end") };
            seen.extend(numbers(&records));
        }
        rabbit.publish_numbers(&queue, number..number + 1).await;
    }
    let left = 50 - seen.len();
    if left > 0 {
        seen.extend(numbers(&records(&mut *source, left).await.0));
    }
    assert_eq!(seen, (0..50).collect::<Vec<_>>());
    closed(source.close()).await;
}
