#![allow(clippy::unwrap_used)]
mod support;
use serde_json::json;
use support::*;
use std::time::Duration;
use rdkafka::{ClientConfig, consumer::{BaseConsumer, Consumer}, TopicPartitionList, Offset, Message};

#[tokio::test(flavor = "multi_thread")]
async fn restart() {
    let name = unique("restart");
    let sasl = json!({"mechanism":"PLAIN","username":"admin","password":"admin-secret"});
    let options = json!({ "connection": { "bootstrap_servers": "127.0.0.1:49092", "sasl": sasl }, "topic": name, "declare": {"partitions": 1}, "batch_records": 100 });
    let c = context();
    let mut health = c.health.subscribe();
    let t = std::time::Instant::now();
    tokio::spawn(async move { loop { println!("{:?} {:?}", t.elapsed(), *health.borrow_and_update()); if health.changed().await.is_err() { break } } });
    let mut sink = open(&options, c).await;
    let mut courier = gantry_sdk::testkit::Courier::new();
    for round in 0..400u32 {
        sink.put(courier.batch((0..100).map(|n| record("k", (round * 100 + n).to_string())).collect())).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    tokio::time::timeout(Duration::from_secs(100), sink.flush()).await.unwrap().unwrap();
    let s = courier.outcomes(DEADLINE).await;
    println!("{} {} {}", s.delivered, s.failed.len(), s.abandoned);
    sink.close().await.unwrap();
    let consumer: BaseConsumer = ClientConfig::new().set("bootstrap.servers","127.0.0.1:49092").set("security.protocol","sasl_plaintext").set("sasl.mechanism","PLAIN").set("sasl.username","admin").set("sasl.password","admin-secret").set("group.id","x").create().unwrap();
    let mut a = TopicPartitionList::new(); a.add_partition_offset(&name, 0, Offset::Beginning).unwrap(); consumer.assign(&a).unwrap();
    let (_, hi) = consumer.fetch_watermarks(&name, 0, DEADLINE).unwrap();
    let mut v: Vec<u32> = vec![];
    while (v.len() as i64) < hi { if let Some(m) = consumer.poll(Duration::from_millis(500)) { v.push(String::from_utf8(m.unwrap().payload().unwrap().to_vec()).unwrap().parse().unwrap()); } }
    println!("{} in order and once: {}", v.len(), v.iter().copied().eq(0..40_000));
}
