//! Headers that belong to RabbitMQ, and a stranger's `user_id`: RabbitMQ does nothing because of them, and they are not lost.

use std::time::Duration;

use gantry_sdk::{Properties, Record, Value};
use lapin::types::AMQPValue;
use serde_json::{Value as Json, json};

use super::{
    super::support::{self as source_side, Queue, Rabbit, closed, within},
    support::{deliver, drain, only, open, record},
};

fn with(name: &str, value: Value) -> Record {
    let mut record = record("x");
    record.headers.push(name, value);
    record
}

/// What RabbitMQ writes of a message that expired in that queue.
fn death(queue: &str) -> Value {
    Value::List(vec![Value::Table(vec![
        ("count".into(), Value::I64(1)),
        ("exchange".into(), Value::text("")),
        ("queue".into(), Value::text(queue.to_owned())),
        ("reason".into(), Value::text("expired")),
        ("routing-keys".into(), Value::List(vec![Value::text(queue.to_owned())])),
    ])])
}

/// Everything in the queue, as our own source reads it.
async fn read(queue: &Queue, count: usize) -> Vec<Record> {
    let mut source = source_side::open(json!({ "queue": queue.name })).await;
    let (records, last) = source_side::records(&mut *source, count).await;
    source_side::commit(&mut *source, 0, &last).await;
    closed(source.close()).await;
    records
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_routing_header_copies_nothing_unless_it_is_asked_for() {
    let rabbit = Rabbit::connect().await;
    let (queue, other) = (rabbit.queue("cc").await, rabbit.queue("copies").await);
    let copies = || Value::List(vec![Value::text(other.name.clone())]);
    let options = |more: Json| {
        let mut options = json!({ "queue": queue.name });
        options.as_object_mut().expect("it is one").extend(more.as_object().expect("an object").clone());
        options
    };
    let mut sink = open(options(json!({}))).await;
    let records = vec![with("CC", copies()), with("BCC", copies()), with("CC", Value::text("no list"))];
    assert!(deliver(&mut *sink, records).await.refused.is_empty());
    assert_eq!(drain(&rabbit, &other).await.len(), 0, "it was copied");
    let mut kept = read(&queue, 3).await;
    assert_eq!(kept[0].headers.get("gantry.kept.CC"), Some(&copies()));
    assert_eq!(kept[1].headers.get("gantry.kept.BCC"), Some(&copies()));
    assert_eq!(kept[2].headers.get("gantry.kept.CC"), Some(&Value::text("no list")));
    // A further trip adds nothing, and asked for it is as it was.
    kept.truncate(1);
    assert!(deliver(&mut *sink, kept.clone()).await.refused.is_empty());
    assert_eq!(read(&queue, 1).await[0].headers, kept[0].headers);
    let mut sink = open(options(json!({ "broker_headers": "restore" }))).await;
    assert!(deliver(&mut *sink, kept).await.refused.is_empty());
    assert_eq!(read(&queue, 1).await[0].headers.get("CC"), Some(&copies()));
    assert_eq!(drain(&rabbit, &other).await.len(), 1, "it was asked for");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_death_elsewhere_is_no_circle_here() {
    let rabbit = Rabbit::connect().await;
    let last = rabbit.queue("expired").await;
    let text = |text: &str| AMQPValue::LongString(text.into());
    let arguments = [
        ("x-message-ttl", AMQPValue::LongInt(1)),
        ("x-dead-letter-exchange", text("")),
        ("x-dead-letter-routing-key", text(&last.name)),
    ];
    let queue = rabbit.queue_with("expires", &arguments).await;
    let mut sink = open(json!({ "queue": queue.name })).await;
    // On its way from Kafka: it died in a queue of that name once.
    assert!(deliver(&mut *sink, vec![with("x-death", death(&last.name))]).await.refused.is_empty());
    let mut arrived = Vec::new();
    let dead_lettered = async {
        while arrived.is_empty() {
            arrived.extend(drain(&rabbit, &last).await);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    within("it is dead-lettered", dead_lettered).await;
    let headers = arrived[0].delivery.properties.headers().clone().expect("it has headers");
    assert!(headers.contains_key("gantry.kept.x-death") && headers.contains_key("x-death"), "{headers:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_belongs_to_rabbitmq_is_kept_and_restored_with_its_type() {
    let rabbit = Rabbit::connect().await;
    let queue = rabbit.queue("kept").await;
    let mut sent = record("x");
    for name in
        ["x-received-from", "x-death", "x-first-death-queue", "x-opt-any", "x-stream-filter-value", "x-shovelled"]
    {
        sent.headers.push(name, death("q"));
    }
    sent.headers.push("x-delay", Value::I32(60_000));
    sent.headers.push("x-tenant", Value::I8(7));
    let mut sink = open(json!({ "queue": queue.name })).await;
    assert!(deliver(&mut *sink, vec![sent.clone()]).await.refused.is_empty());
    let kept = read(&queue, 1).await.remove(0);
    let is_kept = |name: &str| name.starts_with("gantry.kept.x-");
    assert_eq!(kept.headers.iter().filter(|(name, _)| is_kept(name)).count(), 7, "{kept:?}");
    assert_eq!(kept.headers.get("x-tenant"), Some(&Value::I8(7)));
    let mut sink = open(json!({ "queue": queue.name, "broker_headers": "restore" })).await;
    assert!(deliver(&mut *sink, vec![kept]).await.refused.is_empty());
    let restored = read(&queue, 1).await.remove(0);
    assert_eq!(restored.headers.len(), sent.headers.len());
    sent.headers.iter().for_each(|(name, value)| assert_eq!(restored.headers.get(name), Some(value), "{name}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strangers_user_id_is_kept_as_a_header_and_costs_no_channel() {
    let rabbit = Rabbit::connect().await;
    let queue = rabbit.queue("user").await;
    let mut sink = open(json!({ "queue": queue.name })).await;
    let by = |user: &str| {
        let mut record = record("x");
        record.set_properties(Properties { user_id: Some(user.into()), ..Properties::default() });
        record
    };
    let fates = deliver(&mut *sink, vec![by("mallory"), by("guest"), record("x")]).await;
    assert!(fates.refused.is_empty(), "{fates:?}");
    let arrived = read(&queue, 3).await;
    let users: Vec<_> = arrived.iter().map(|record| record.properties().user_id.as_deref()).collect();
    assert_eq!(users, [None, Some("guest"), None]);
    assert_eq!(arrived[0].headers.get("gantry.kept.user_id"), Some(&Value::text("mallory")));
    assert!(arrived[1].headers.is_empty() && arrived[2].headers.is_empty(), "{arrived:?}");
    // Once more: it is there once.
    assert!(deliver(&mut *sink, arrived).await.refused.is_empty());
    let properties = drain(&rabbit, &queue).await.remove(0).delivery.properties;
    assert_eq!(properties.headers().as_ref().map(|headers| headers.inner().len()), Some(1));
    let mut sink = open(json!({ "queue": queue.name, "properties": { "user_id": "" } })).await;
    assert!(deliver(&mut *sink, vec![by("mallory")]).await.refused.is_empty());
    assert_eq!(*only(&rabbit, &queue).await.0.headers(), None);
}
