//! Order, confirms, nacks.

use std::time::Duration;

use gantry_sdk::{Health, Lane, health::Condition};
use lapin::types::AMQPValue;
use serde_json::json;

use super::{
    super::support::{Rabbit, amqp_url, assert_numbers, closed, until, within},
    support::{Hand, context, deliver, drain_numbers, numbered, open, record, sink},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i5_records_of_each_lane_arrive_in_order_over_several_channels() {
    let rabbit = Rabbit::connect().await;
    let queues = [rabbit.queue("lane").await, rabbit.queue("lane").await, rabbit.queue("lane").await];
    let mut sink = open(json!({ "queue": "{queue}", "channels": 2, "window": 64 })).await;
    let mut hands = [Hand::new(0), Hand::new(1), Hand::new(2)];
    for start in (0..3000).step_by(50) {
        for (hand, queue) in hands.iter_mut().zip(&queues) {
            let mut records = numbered(start..start + 50);
            records.iter_mut().for_each(|record| record.origin.address = queue.name.as_str().into());
            hand.put(&mut *sink, records).await.expect("it takes them");
        }
    }
    within("flushing", sink.flush()).await.expect("it delivers");
    for (hand, queue) in hands.iter_mut().zip(&queues) {
        let fates = hand.fates().await;
        assert!(fates.refused.is_empty() && fates.abandoned == 0, "{fates:?}");
        assert_numbers(&drain_numbers(&rabbit, queue).await, 0..3000);
    }
    closed(sink.close()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i5_a_full_queue_holds_the_line_and_nothing_is_sent_twice() {
    let rabbit = Rabbit::connect().await;
    let arguments =
        [("x-max-length", AMQPValue::LongInt(10)), ("x-overflow", AMQPValue::LongString("reject-publish".into()))];
    let queue = rabbit.queue_with("full", &arguments).await;
    let health = Health::new();
    let mut sink = sink(json!({ "queue": queue.name, "window": 1 }), context(health.clone()));
    sink.open().await.expect("it opens");
    let mut hand = Hand::new(0);
    hand.put(&mut *sink, numbered(0..40)).await.expect("it takes them");
    until(true, async || matches!(health.get(), Condition::Blocked(_))).await;
    let mut arrived = Vec::new();
    while arrived.len() < 40 {
        arrived.extend(drain_numbers(&rabbit, &queue).await);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    within("flushing", sink.flush()).await.expect("it delivers");
    assert_eq!(hand.fates().await.refused.len(), 0);
    assert_numbers(&arrived, 0..40);
    until(true, async || health.get() == Condition::Up).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_queue_rejects_under_full_pipelining_comes_again_once_and_in_order() {
    let rabbit = Rabbit::connect().await;
    let arguments = [
        ("x-queue-type", AMQPValue::LongString("quorum".into())),
        ("x-max-length", AMQPValue::LongInt(100)),
        ("x-overflow", AMQPValue::LongString("reject-publish".into())),
    ];
    let queue = rabbit.queue_with("rejects", &arguments).await;
    let mut sink = open(json!({ "queue": queue.name })).await;
    let mut hand = Hand::new(0);
    hand.put(&mut *sink, numbered(0..500)).await.expect("it takes them");
    let mut arrived = Vec::new();
    let all = async {
        while arrived.len() < 500 {
            arrived.extend(drain_numbers(&rabbit, &queue).await);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    within("all arrive", all).await;
    within("flushing", sink.flush()).await.expect("it delivers");
    assert_eq!(hand.fates().await.refused.len(), 0);
    // What was rejected comes behind what was not, and each of the two in order.
    arrived.sort_unstable();
    assert_numbers(&arrived, 0..500);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_stays_full_is_given_up_in_the_time_for_retries() {
    let rabbit = Rabbit::connect().await;
    let arguments =
        [("x-max-length", AMQPValue::LongInt(1)), ("x-overflow", AMQPValue::LongString("reject-publish".into()))];
    let queue = rabbit.queue_with("stays-full", &arguments).await;
    let health = Health::new();
    let mut context = context(health.clone());
    context.retry.timeout = Some(Duration::from_millis(300));
    context.retry.delay = Duration::from_millis(50);
    let mut sink = sink(json!({ "queue": queue.name }), context);
    sink.open().await.expect("it opens");
    let mut hand = Hand::new(0);
    hand.put(&mut *sink, numbered(0..5)).await.expect("it takes them");
    let fates = hand.fates().await;
    // One fits; of the others one is told of and the rest left to the next instance.
    assert_eq!((fates.refused.len(), fates.abandoned), (1, 3), "{fates:?}");
    assert!(fates.refused[0].1.reason.contains("basic.nack"), "{fates:?}");
    until(true, async || matches!(health.get(), Condition::Failed(..))).await;
    let error = sink.put(hand.batch(vec![record("late")])).await.expect_err("it has ended");
    assert!(error.chain().contains("basic.nack"), "{}", error.chain());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_knows_its_lane() {
    let mut hand = Hand::new(7);
    assert_eq!(hand.batch(numbered(0..1)).receipt.lane(), Lane(7));
    let rabbit = Rabbit::connect().await;
    let queue = rabbit.queue("lane7").await;
    let mut sink = open(json!({ "queue": queue.name, "channels": 3 })).await;
    assert!(deliver(&mut *sink, numbered(0..3)).await.refused.is_empty());
    assert_numbers(&drain_numbers(&rabbit, &queue).await, 0..3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_fewer_channels_are_allowed_it_publishes_on_those() {
    let rabbit = Rabbit::connect().await;
    let queue = rabbit.queue("few").await;
    let connection = json!({ "urls": [format!("{}?channel_max=2", amqp_url())] });
    let mut sink = open(json!({ "connection": connection, "queue": queue.name, "channels": 8 })).await;
    let fates = deliver(&mut *sink, numbered(0..100)).await;
    assert!(fates.refused.is_empty() && fates.abandoned == 0, "{fates:?}");
    closed(sink.close()).await;
    assert_numbers(&drain_numbers(&rabbit, &queue).await, 0..100);
}
