//! Sinks on one connection: what holds one of them up, or ends its channel, disturbs no other.

use gantry_rabbitmq::SINK;
use gantry_sdk::{Health, Properties, Record, Sink, health::Condition};
use lapin::types::AMQPValue;
use serde_json::{Value as Json, json};

use super::{
    super::{
        sharing::Process,
        support::{Rabbit, amqp_url, assert_numbers, closed, opened, unique, unopened, until},
    },
    support::{Hand, arrive, deliver, drain, drain_numbers, numbered, record},
};

async fn sink(process: &Process, options: Json, health: Health) -> Box<dyn Sink> {
    let context = gantry_sdk::Context { health, ..process.context() };
    opened((SINK.create)(&process.options(options), context).expect("good options")).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_holds_up_no_other_sink() {
    let rabbit = Rabbit::connect().await;
    let arguments =
        [("x-max-length", AMQPValue::LongInt(1)), ("x-overflow", AMQPValue::LongString("reject-publish".into()))];
    let (full, other) = (rabbit.queue_with("full", &arguments).await, rabbit.queue("other").await);
    let process = Process::at(amqp_url());
    let health = Health::new();
    let mut stuck = sink(&process, json!({ "queue": full.name, "window": 1 }), health.clone()).await;
    let mut goes = sink(&process, json!({ "queue": other.name }), Health::new()).await;
    let mut hand = Hand::new(0);
    hand.put(&mut *stuck, numbered(0..5)).await.expect("it takes them");
    until(true, async || matches!(health.get(), Condition::Blocked(_))).await;
    assert!(deliver(&mut *goes, numbered(0..1000)).await.refused.is_empty());
    assert_numbers(&drain_numbers(&rabbit, &other).await, 0..1000);
    assert_numbers(&arrive(&rabbit, &full, 5).await, 0..5);
    closed(stuck.close()).await;
    closed(goes.close()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_that_close_their_channel_disturb_no_other_sink() {
    let rabbit = Rabbit::connect().await;
    let (refused, other) = (rabbit.queue("refused").await, rabbit.queue("other").await);
    let process = Process::at(amqp_url());
    let options = json!({ "queue": refused.name, "properties": { "user_id": "{user_id}" } });
    let mut bad = sink(&process, options, Health::new()).await;
    let mut good = sink(&process, json!({ "queue": other.name }), Health::new()).await;
    let mut records = numbered(0..500);
    for record in records.iter_mut().step_by(100) {
        record.set_properties(Properties { user_id: Some("mallory".into()), ..Properties::default() });
    }
    let (fates, others) = tokio::join!(deliver(&mut *bad, records), deliver(&mut *good, numbered(0..3000)));
    assert_eq!(fates.refused_numbers(), [0, 100, 200, 300, 400], "{fates:?}");
    assert!(others.refused.is_empty() && others.abandoned == 0, "{others:?}");
    assert_numbers(&drain_numbers(&rabbit, &other).await, 0..3000);
    closed(bad.close()).await;
    closed(good.close()).await;
}

/// AMQP writes a message in frames, and those of others between them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_of_16_mib_disturbs_no_other_sink() {
    const SIZE: usize = 16 << 20;
    let rabbit = Rabbit::connect().await;
    let (large, other) = (rabbit.queue("large").await, rabbit.queue("other").await);
    let process = Process::at(amqp_url());
    let mut slow = sink(&process, json!({ "queue": large.name }), Health::new()).await;
    let mut quick = sink(&process, json!({ "queue": other.name }), Health::new()).await;
    let bodies: Vec<Record> = vec![record(vec![7; SIZE]), record(vec![8; SIZE])];
    let (fates, others) = tokio::join!(deliver(&mut *slow, bodies), deliver(&mut *quick, numbered(0..1000)));
    assert!(fates.refused.is_empty() && others.refused.is_empty(), "{fates:?} {others:?}");
    assert_numbers(&drain_numbers(&rabbit, &other).await, 0..1000);
    let arrived = drain(&rabbit, &large).await;
    let whole = |(index, body): (usize, &[u8])| body.len() == SIZE && body.iter().all(|byte| *byte == 7 + index as u8);
    assert!(arrived.len() == 2 && arrived.iter().map(|one| &*one.delivery.data).enumerate().all(whole));
    closed(slow.close()).await;
    closed(quick.close()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sink_that_is_dropped_in_full_flow_disturbs_no_other() {
    let rabbit = Rabbit::connect().await;
    let (left, other) = (rabbit.queue("left").await, rabbit.queue("other").await);
    let process = Process::at(amqp_url());
    let mut stays = sink(&process, json!({ "queue": other.name }), Health::new()).await;
    for round in 0..10 {
        let mut goes = sink(&process, json!({ "queue": left.name }), Health::new()).await;
        Hand::new(0).put(&mut *goes, numbered(0..100)).await.expect("it takes them");
        drop(goes);
        let delivered = deliver(&mut *stays, numbered(round * 100..round * 100 + 100)).await;
        assert!(delivered.refused.is_empty() && delivered.abandoned == 0, "{delivered:?}");
    }
    assert_numbers(&drain_numbers(&rabbit, &other).await, 0..1000);
    // One that is not there is told so alone, too.
    let missing = (SINK.create)(&process.options(json!({ "queue": unique("missing") })), process.context());
    unopened(missing.expect("good options")).await;
    assert!(deliver(&mut *stays, numbered(0..10)).await.refused.is_empty());
    closed(stays.close()).await;
}
