//! Blocked, cut, silent: nothing is lost, and every end is told.

use std::time::Duration;

use gantry_sdk::{ErrorKind, Health, health::Condition};
use serde_json::json;

use super::{
    super::support::{Proxy, Rabbit, opened, until, within},
    support::{Hand, context, drain_numbers, numbered, record, sink},
};

/// AMQP 0-9-1 class `connection`.
const CONNECTION: u16 = 10;
/// RabbitMQ's extension: `connection.blocked` and `connection.unblocked`.
const BLOCKED: u16 = 60;
const UNBLOCKED: u16 = 61;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blocked_connection_holds_everything_and_fails_nothing() {
    let rabbit = Rabbit::connect().await;
    let queue = rabbit.queue("blocked").await;
    let (proxy, health) = (Proxy::start().await, Health::new());
    let connection = json!({ "urls": [proxy.url()] });
    // A confirm would be overdue at once: the time of the block does not count.
    let options = json!({ "connection": connection, "queue": queue.name, "confirm_timeout": "1s" });
    let mut sink = opened(sink(options, context(health.clone()))).await;
    proxy.say(0, CONNECTION, BLOCKED, b"\x0alow memory").await;
    until(true, async || matches!(health.get(), Condition::Blocked(reason) if reason.contains("low memory"))).await;
    let mut hand = Hand::new(0);
    hand.put(&mut *sink, numbered(0..10)).await.expect("one batch waits");
    let second = hand.batch(numbered(10..20));
    let putting = sink.put(second);
    let mut putting = Box::pin(putting);
    // Longer than the time for a confirm.
    let held = tokio::time::timeout(Duration::from_millis(2500), &mut putting).await;
    assert!(held.is_err(), "it took another batch: {held:?}");
    assert_eq!(rabbit.ready(&queue).await, 0);
    proxy.say(0, CONNECTION, UNBLOCKED, b"").await;
    within("putting", putting).await.expect("it goes on");
    within("flushing", sink.flush()).await.expect("it delivers");
    let fates = hand.fates().await;
    assert!(fates.refused.is_empty() && fates.abandoned == 0, "{fates:?}");
    assert_eq!(drain_numbers(&rabbit, &queue).await, (0..20).collect::<Vec<_>>());
    assert_eq!(health.get(), Condition::Up);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i1_a_connection_cut_in_the_middle_loses_nothing() {
    let rabbit = Rabbit::connect().await;
    let queue = rabbit.queue("cut").await;
    let proxy = Proxy::start().await;
    let options = json!({ "connection": { "urls": [proxy.url()] }, "queue": queue.name, "window": 200 });
    let mut next = 0;
    let mut cuts = 0;
    while next < 20_000 {
        let mut sink = opened(sink(options.clone(), context(Health::new()))).await;
        let mut hand = Hand::new(0);
        let mut given = next;
        while given < 20_000 {
            if given > next + 4000 && cuts < 4 {
                proxy.drop_connection().await;
                cuts += 1;
            }
            if hand.put(&mut *sink, numbered(given..given + 100)).await.is_err() {
                break;
            }
            given += 100;
        }
        let _ = within("flushing", sink.flush()).await;
        within("closing", sink.close()).await.ok();
        let fates = hand.fates().await;
        // As the runtime: on with the first that is not settled.
        next = given - fates.to_be_repeated("publishing to").div_ceil(100) * 100;
    }
    assert!(cuts > 0, "nothing was cut");
    let mut arrived = drain_numbers(&rabbit, &queue).await;
    arrived.sort_unstable();
    arrived.dedup();
    assert_eq!(arrived, (0..20_000).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_connection_is_told_while_nothing_is_on_its_way() {
    let rabbit = Rabbit::connect().await;
    let queue = rabbit.queue("idle").await;
    let (proxy, health) = (Proxy::start().await, Health::new());
    let options = json!({ "connection": { "urls": [proxy.url()] }, "queue": queue.name });
    let mut sink = opened(sink(options, context(health.clone()))).await;
    proxy.fail().await;
    until(true, async || matches!(health.get(), Condition::Failed(..))).await;
    let mut hand = Hand::new(0);
    let error = hand.put(&mut *sink, vec![record("x")]).await.expect_err("it has ended");
    assert_eq!(error.kind(), ErrorKind::Disconnected);
    within("closing", sink.close()).await.expect("there is nothing to close");
    assert_eq!(hand.fates().await.abandoned, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_falls_silent_is_given_up_in_the_time_for_confirms() {
    let rabbit = Rabbit::connect().await;
    let queue = rabbit.queue("silent").await;
    let (proxy, health) = (Proxy::start().await, Health::new());
    let options = json!({ "connection": { "urls": [proxy.url()] }, "queue": queue.name, "confirm_timeout": "1s" });
    let mut sink = opened(sink(options, context(health.clone()))).await;
    proxy.fall_silent();
    let mut hand = Hand::new(0);
    hand.put(&mut *sink, numbered(0..3)).await.expect("it takes them");
    let error = within("flushing", sink.flush()).await.expect_err("no confirm comes");
    assert!(error.chain().contains("no confirm in 1s"), "{}", error.chain());
    assert_eq!(hand.fates().await.to_be_repeated("no confirm in 1s"), 3);
    within("closing", sink.close()).await.ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_drops_what_is_not_confirmed() {
    let rabbit = Rabbit::connect().await;
    let queue = rabbit.queue("closing").await;
    let proxy = Proxy::start().await;
    let options = json!({ "connection": { "urls": [proxy.url()] }, "queue": queue.name });
    let mut sink = opened(sink(options, context(Health::new()))).await;
    proxy.fall_silent();
    let mut hand = Hand::new(0);
    hand.put(&mut *sink, numbered(0..3)).await.expect("it takes them");
    within("closing", sink.close()).await.ok();
    // Dropped without a word, or failed on a channel that closes: it may not have been published yet.
    assert_eq!(hand.fates().await.to_be_repeated("publishing to"), 3);
}
