//! Order, confirms, nacks.

use std::{collections::BTreeSet, time::Duration};

use gantry_sdk::{FailureKind, Health, Lane, health::Condition};
use lapin::{ExchangeKind, types::AMQPValue};
use serde_json::json;

use super::{
    super::support::{Rabbit, amqp_url, assert_numbers, closed, opened, until, within},
    support::{Hand, arrive, bind, context, deliver, drain, drain_numbers, exchange, numbered, open, record, sink},
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
    let mut sink = opened(sink(json!({ "queue": queue.name, "window": 1 }), context(health.clone()))).await;
    let mut hand = Hand::new(0);
    hand.put(&mut *sink, numbered(0..40)).await.expect("it takes them");
    until(true, async || matches!(health.get(), Condition::Blocked(_))).await;
    let arrived = arrive(&rabbit, &queue, 40).await;
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
    let mut arrived = arrive(&rabbit, &queue, 500).await;
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
    let mut sink = opened(sink(json!({ "queue": queue.name }), context)).await;
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

fn full(length: i32) -> [(&'static str, AMQPValue); 2] {
    [("x-max-length", AMQPValue::LongInt(length)), ("x-overflow", AMQPValue::LongString("reject-publish".into()))]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i5_a_full_queue_holds_up_only_what_goes_there() {
    let rabbit = Rabbit::connect().await;
    let mut queues = vec![rabbit.queue_with("full", &full(3)).await];
    for _ in 1..8 {
        queues.push(rabbit.queue("room").await);
    }
    let map: serde_json::Map<_, _> =
        queues.iter().enumerate().map(|(topic, queue)| (format!("t{topic}"), json!(queue.name))).collect();
    let health = Health::new();
    let mut sink = opened(sink(json!({ "map": map, "channels": 1, "window": 16 }), context(health.clone()))).await;
    let mut hand = Hand::new(0);
    for start in (0..1600).step_by(80) {
        let mut records = numbered(start..start + 80);
        for (number, record) in records.iter_mut().enumerate() {
            record.origin.address = format!("t{}", number % 8).into();
        }
        hand.put(&mut *sink, records).await.expect("it takes them, although one queue is full");
    }
    for (place, queue) in queues.iter().enumerate().skip(1) {
        let mut arrived = Vec::new();
        let all = async {
            while arrived.len() < 200 {
                arrived.extend(drain_numbers(&rabbit, queue).await);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        within("the others starve", all).await;
        assert_eq!(arrived, (0..1600).filter(|number| number % 8 == place).collect::<Vec<_>>());
    }
    let Condition::Blocked(why) = health.get() else { panic!("{:?}", health.get()) };
    assert!(why.contains(&format!("queue \"{}\"", queues[0].name)), "{why}");
    // Nothing of it is lost or sent twice.
    let mut arrived = Vec::new();
    let all = async {
        while arrived.len() < 200 {
            arrived.extend(drain_numbers(&rabbit, &queues[0]).await);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    within("all arrive", all).await;
    within("flushing", sink.flush()).await.expect("it delivers");
    assert!(hand.fates().await.refused.is_empty());
    let mut sorted = arrived.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, (0..1600).step_by(8).collect::<Vec<_>>());
    assert_eq!(arrived[16..], sorted[16..], "what had not been sent when it was refused keeps its order");
    until(true, async || health.get() == Condition::Up).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i5_a_full_queue_of_several_keeps_its_order_with_a_window_of_one() {
    let rabbit = Rabbit::connect().await;
    let (narrow, wide) = (rabbit.queue_with("full", &full(10)).await, rabbit.queue("room").await);
    let map = json!({ "narrow": narrow.name, "wide": wide.name });
    let mut sink = open(json!({ "map": map, "channels": 1, "window": 1 })).await;
    let mut hand = Hand::new(0);
    let mut records = numbered(0..120);
    for (number, record) in records.iter_mut().enumerate() {
        record.origin.address = if number % 2 == 0 { "narrow".into() } else { "wide".into() };
    }
    hand.put(&mut *sink, records).await.expect("it takes them");
    let mut arrived = Vec::new();
    let all = async {
        while arrived.len() < 60 {
            arrived.extend(drain_numbers(&rabbit, &narrow).await);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    within("all arrive", all).await;
    assert_eq!(arrived, (0..120).step_by(2).collect::<Vec<_>>());
    assert_eq!(drain_numbers(&rabbit, &wide).await, (1..120).step_by(2).collect::<Vec<_>>());
    assert!(hand.fates().await.refused.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_so_many_tries_what_a_queue_does_not_take_is_refused_for_good() {
    let rabbit = Rabbit::connect().await;
    let (narrow, wide) = (rabbit.queue_with("full", &full(2)).await, rabbit.queue("copies").await);
    let fanout = exchange(&rabbit, ExchangeKind::Fanout).await;
    bind(&rabbit, &narrow, &fanout, "").await;
    bind(&rabbit, &wide, &fanout, "").await;
    let mut context = context(Health::new());
    context.retry.max_attempts = Some(3);
    context.retry.delay = Duration::from_millis(10);
    let mut sink = opened(sink(json!({ "exchange": fanout, "routing_key": "{value}", "window": 1 }), context)).await;
    let fates = deliver(&mut *sink, numbered(0..5)).await;
    assert_eq!(fates.refused_numbers(), [2, 3, 4], "{fates:?}");
    for (_, failure) in &fates.refused {
        assert_eq!(failure.kind, FailureKind::Rejected);
        assert!(failure.reason.contains("max_attempts") && failure.reason.contains(&fanout), "{failure:?}");
    }
    // A queue that has room got a copy at each try: three of the first, then one each time that another was tried.
    let copies = drain_numbers(&rabbit, &wide).await;
    // On a slow machine a second try may come before the first one of what stands behind it.
    let mut tried = BTreeSet::new();
    let firsts: Vec<_> = copies.iter().copied().filter(|copy| tried.insert(*copy)).collect();
    assert_eq!(firsts, [0, 1, 2, 3, 4]);
    for (number, most) in [(0, 1), (1, 1), (2, 3), (3, 3), (4, 3)] {
        let tries = copies.iter().filter(|copy| **copy == number).count();
        assert!((1..=most).contains(&tries), "{number} was tried {tries} times: {copies:?}");
    }
    // Once there is room it is as if nothing had been.
    drain(&rabbit, &narrow).await;
    assert!(deliver(&mut *sink, numbered(5..7)).await.refused.is_empty());
    assert_eq!(drain_numbers(&rabbit, &narrow).await, [5, 6]);
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
