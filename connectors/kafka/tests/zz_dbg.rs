mod support;
use std::time::Duration;
use gantry_sdk::testkit::Courier;
use serde_json::json;
use support::*;
#[tokio::test(flavor = "multi_thread")]
async fn dbg() {
    let topic = Topic::new("disappears", 1, &[]).await;
    let context = context();
    let with = options(&topic.name, json!({ "properties": { "topic.metadata.propagation.max.ms": 0, "debug":"topic,metadata,msg,eos" } }));
    let mut sink = open(&with, context.clone()).await;
    tokio::task::spawn_blocking(move || drop(topic)).await.unwrap();
    let mut courier = Courier::new();
    sink.put(courier.batch((0..10).map(|n| record("k", n.to_string())).collect())).await.unwrap();
    for _ in 0..15 { tokio::time::sleep(Duration::from_secs(1)).await; eprintln!("{:?}", context.health.get()); }
    sink.close().await.unwrap();
}
