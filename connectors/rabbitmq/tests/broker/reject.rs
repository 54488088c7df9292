//! Single messages that RabbitMQ itself dead-letters.

use gantry_sdk::{Lane, Source};
use lapin::types::AMQPValue;
use serde_json::json;

use crate::support::{Queue, Rabbit, closed, commit, numbers, open, records, until, within};

/// A queue, and the one that its dead letters go to.
async fn queues(rabbit: &Rabbit, kind: &str) -> (Queue, Queue) {
    let dead = rabbit.queue("dead").await;
    let arguments = [
        ("x-queue-type", AMQPValue::LongString(kind.into())),
        ("x-dead-letter-exchange", AMQPValue::LongString("".into())),
        ("x-dead-letter-routing-key", AMQPValue::LongString(dead.name.as_str().into())),
    ];
    (rabbit.queue_with("rejects", &arguments).await, dead)
}

async fn reject(source: &mut dyn Source, last: u64, back: u32) {
    let rejected = within("rejecting", source.reject(Lane(0), &last.into(), back)).await;
    rejected.unwrap_or_else(|error| panic!("{}", error.chain()));
}

/// Ten messages, of which some are rejected and all are committed, in two commits.
async fn rejecting(kind: &str, rejected: &[usize]) {
    let rabbit = Rabbit::connect().await;
    let (queue, dead) = queues(&rabbit, kind).await;
    rabbit.publish_numbers(&queue, 0..10).await;
    let mut source = open(json!({ "queue": queue.name, "prefetch": 10 })).await;
    records(&mut *source, 10).await;
    for number in rejected {
        reject(&mut *source, 10, 9 - u32::try_from(*number).expect("it is small")).await;
    }
    commit(&mut *source, 0, &5.into()).await;
    commit(&mut *source, 0, &10.into()).await;
    until(u32::try_from(rejected.len()).expect("few"), || rabbit.ready(&dead)).await;
    // The channel stands, and the prefetch is free again: an acknowledgement of a rejected tag would have closed it.
    rabbit.publish_numbers(&queue, 10..20).await;
    let (next, last) = records(&mut *source, 10).await;
    assert_eq!(numbers(&next), (10..20).collect::<Vec<_>>());
    commit(&mut *source, 0, &last).await;
    closed(source.close()).await;
    assert_eq!(rabbit.ready(&queue).await, 0);

    let mut source = open(json!({ "queue": dead.name })).await;
    let (letters, _) =
        if rejected.is_empty() { (Vec::new(), 0.into()) } else { records(&mut *source, rejected.len()).await };
    assert_eq!(numbers(&letters), rejected);
    closed(source.close()).await;
}

#[tokio::test]
async fn rejected_messages_are_dead_lettered_wherever_they_stand_in_a_batch() {
    for kind in ["classic", "quorum"] {
        for rejected in [&[0][..], &[4], &[5], &[9], &[2, 3, 4, 7], &[0, 9], &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]] {
            rejecting(kind, rejected).await;
        }
    }
}

#[tokio::test]
async fn what_is_not_on_its_way_cannot_be_rejected() {
    let rabbit = Rabbit::connect().await;
    let (queue, dead) = queues(&rabbit, "classic").await;
    rabbit.publish_numbers(&queue, 0..10).await;
    let mut source = open(json!({ "queue": queue.name, "prefetch": 10 })).await;
    records(&mut *source, 5).await;
    commit(&mut *source, 0, &2.into()).await;
    reject(&mut *source, 5, 1).await;
    for (last, back) in [(5, 1), (2, 0), (6, 0), (5, 5), (5, 9)] {
        assert!(source.reject(Lane(0), &last.into(), back).await.is_err(), "{last} {back}");
    }
    assert!(source.reject(Lane(1), &5.into(), 0).await.is_err());
    commit(&mut *source, 0, &5.into()).await;
    assert_eq!(numbers(&records(&mut *source, 5).await.0), (5..10).collect::<Vec<_>>());
    until(1, || rabbit.ready(&dead)).await;
    closed(source.close()).await;
    until(5, || rabbit.ready(&queue)).await;
}

#[tokio::test]
async fn a_rejected_message_is_not_given_back() {
    let rabbit = Rabbit::connect().await;
    let (queue, dead) = queues(&rabbit, "classic").await;
    rabbit.publish_numbers(&queue, 0..10).await;
    let mut source = open(json!({ "queue": queue.name, "prefetch": 10 })).await;
    records(&mut *source, 10).await;
    reject(&mut *source, 10, 9).await;
    closed(source.close()).await;
    assert_eq!((rabbit.ready(&queue).await, rabbit.ready(&dead).await), (9, 1));
}
