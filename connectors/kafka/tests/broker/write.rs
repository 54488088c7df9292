//! What the sink writes is what a reader finds: bodies, keys, timestamps, headers, partitions, order.

use bytes::Bytes;
use gantry_kafka::headers::typed;
use gantry_sdk::{Origin, Properties, Record, Timestamp, Value};
use serde_json::json;

use crate::support::{self, Topic, context, open, options, put, record, write};

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_every_kind_arrive_as_they_are() {
    let topic = Topic::new("bodies", 1, &[]).await;
    let body = |value: Option<&'static [u8]>| Record { value: value.map(Bytes::from_static), ..Record::default() };
    let records = vec![body(Some(b"text")), body(Some(b"")), body(None), body(Some(&[0, 255, 10, 0]))];
    let summary = write(&options(&topic.name, json!({})), records).await;
    assert_eq!(summary.delivered, 4);
    let values: Vec<_> = topic.read(4).into_iter().map(|received| received.value).collect();
    assert_eq!(values, [Some(b"text".to_vec()), Some(vec![]), None, Some(vec![0, 255, 10, 0])]);
}

#[tokio::test(flavor = "multi_thread")]
async fn order_holds_per_key() {
    let topic = Topic::new("order", 6, &[]).await;
    let mut sink = open(&options(&topic.name, json!({ "linger": "1ms" })), context()).await;
    let mut courier = gantry_sdk::testkit::Courier::new();
    let keys = 7;
    for round in 0..200 {
        let records = (0..50).map(|n| {
            let number = round * 50 + n;
            record(format!("key-{}", number % keys), number.to_string())
        });
        sink.put(courier.batch(records.collect())).await.unwrap();
    }
    sink.flush().await.unwrap();
    assert_eq!(courier.outcomes(support::DEADLINE).await.delivered, 10_000);
    sink.close().await.unwrap();
    let received = topic.read(10_000);
    for key in 0..keys {
        let own = format!("key-{key}").into_bytes();
        let of_key: Vec<_> = received.iter().filter(|received| received.key.as_ref() == Some(&own)).collect();
        assert!(of_key.windows(2).all(|pair| pair[0].partition == pair[1].partition), "a key has one partition");
        let numbers: Vec<u32> = of_key.iter().map(|received| received.text().parse().unwrap()).collect();
        assert!(numbers.is_sorted() && numbers.len() >= 10_000 / 7, "key {key}: {} records", numbers.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn templates_make_key_partition_timestamp_and_headers() {
    let topic = Topic::new("templates", 4, &[]).await;
    let with = options(
        &topic.name,
        json!({
            "key": "{value.client}",
            "partition": "{header.shard}",
            "timestamp": "{value.at}",
            "headers": { "from": "{queue}/{routing_key}", "absent": "{header.nothing}", "fixed": "yes" },
            "header_mapping": { "include": [] },
        }),
    );
    let mut full = record("own key", r#"{"client":"Вася","at":1700000000123}"#);
    full.headers.push("shard", Value::I32(3));
    full.origin = Origin::new("queue", "orders".into()).with("routing_key", "new");
    let mut bare = record("own key", "not json");
    bare.timestamp = Some(1_600_000_000_000);
    bare.headers.push("shard", Value::I32(0));
    let summary = write(&with, vec![full, bare]).await;
    assert_eq!(summary.delivered, 2);
    let received = topic.read(2);
    let (bare, full) = (&received[0], &received[1]);
    assert_eq!((full.partition, bare.partition), (3, 0));
    assert_eq!(full.key.as_deref(), Some("Вася".as_bytes()));
    assert_eq!(bare.key, None, "a template that yields nothing gives no key");
    assert_eq!(full.timestamp, Some(1_700_000_000_123));
    assert_ne!(bare.timestamp, Some(1_600_000_000_000), "nor a timestamp: Kafka's clock says it");
    let names: Vec<_> = full.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["fixed", "from"]);
    assert_eq!(full.header_texts()["from"], "orders/new");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_templates_the_record_speaks_for_itself() {
    let topic = Topic::new("plain", 1, &[]).await;
    let mut sent = record("k", "v");
    sent.timestamp = Some(1_600_000_000_000);
    sent.headers.push("n", Value::I64(-5));
    sent.headers.push("n", Value::Null);
    sent.properties_mut().message_id = Some("m-1".into());
    write(&options(&topic.name, json!({})), vec![sent]).await;
    let received = &topic.read(1)[0];
    assert_eq!(received.key.as_deref(), Some(b"k".as_slice()));
    assert_eq!(received.timestamp, Some(1_600_000_000_000));
    let expected = [
        ("amqp.message_id".to_owned(), Some(b"m-1".to_vec())),
        ("n".to_owned(), Some(b"-5".to_vec())),
        ("n".to_owned(), None),
    ];
    assert_eq!(received.headers, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn typed_headers_survive_kafka() {
    let topic = Topic::new("typed", 1, &[]).await;
    let death = Value::List(vec![Value::Table(vec![
        ("count".into(), Value::I64(3)),
        ("time".into(), Value::Timestamp(Timestamp::from_seconds(1_700_000_000))),
        ("queue".into(), Value::text("orders")),
    ])]);
    let mut sent = record("k", "v");
    sent.headers.push("x-death", death);
    sent.headers.push("price", Value::Decimal { scale: 2, unscaled: 1999 });
    sent.headers.push("raw", Value::String(Bytes::from_static(&[0xff, 0xfe])));
    sent.headers.push("nothing", Value::Null);
    sent.set_properties(Properties {
        content_type: Some("application/json".into()),
        priority: Some(9),
        timestamp: Some(Timestamp::from_seconds(u64::MAX)),
        ..Properties::EMPTY
    });
    let with = options(&topic.name, json!({ "header_mapping": { "encoding": "typed" }, "headers": { "more": "1" } }));
    write(&with, vec![sent.clone()]).await;
    let received = &topic.read(1)[0];
    let list: Vec<_> = received.headers.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect();
    let decoded = typed::decode(&list).expect("the headers are typed");
    assert_eq!(decoded.headers, sent.headers);
    assert_eq!(&decoded.properties, sent.properties());
    assert_eq!(list[decoded.rest..], [("more", Some(b"1".as_slice()))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_compression_is_readable() {
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let topic = Topic::new(codec, 1, &[]).await;
        let bodies: Vec<_> = (0..100).map(|n| format!("{n} {}", "again and again ".repeat(20))).collect();
        let records = bodies.iter().map(|body| record("k", body)).collect();
        let summary = write(&options(&topic.name, json!({ "compression": codec })), records).await;
        assert_eq!(summary.delivered, 100, "{codec}");
        let received: Vec<_> = topic.read(100).iter().map(support::Received::text).collect();
        assert_eq!(received, bodies, "{codec}");
    }
}

/// The vectors of `UtilsTest.testMurmur2` in Kafka's own sources, and where Java's default partitioner puts such keys.
#[tokio::test(flavor = "multi_thread")]
async fn keys_go_where_java_clients_put_them() {
    let vectors: [(&str, i32); 6] = [
        ("21", -973_932_308),
        ("foobar", -790_332_482),
        ("a-little-bit-long-string", -985_981_536),
        ("a-little-bit-longer-string", -1_486_304_829),
        ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
        ("abc", 479_470_107),
    ];
    let topic = Topic::new("murmur2", 11, &[]).await;
    let records = vectors.iter().map(|(key, _)| record(*key, *key)).collect();
    write(&options(&topic.name, json!({})), records).await;
    for received in topic.read(vectors.len()) {
        let (key, hash) = vectors.iter().find(|(key, _)| *key == received.text()).unwrap();
        assert_eq!(received.partition, (hash & i32::MAX) % 11, "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn destinations_and_topic_templates_choose_the_topic() {
    let (base, other) = (support::unique("route"), Topic::new("other", 1, &[]).await);
    let (a, b) = (Topic::new("a", 1, &[]).await, Topic::new("b", 1, &[]).await);
    let mut sink = open(&options("{header.to}", json!({})), context()).await;
    let to = |name: &str, body: &str| {
        let mut record = record("k", body);
        record.headers.push("to", Value::text(name));
        record
    };
    let mut routed = to(&a.name, "routed");
    routed.destination = Some(other.name.as_str().into());
    let nowhere = to(&base, "nowhere");
    let illegal = to("a/b", "illegal");
    let lacking = record("k", "lacking");
    let records = vec![to(&a.name, "1"), nowhere, to(&b.name, "2"), illegal, to(&a.name, "3"), lacking, routed];
    let summary = put(&mut *sink, records).await;
    sink.close().await.unwrap();
    assert_eq!(summary.delivered, 4);
    let reasons: Vec<_> = summary.failed.iter().map(|failure| failure.reason.to_string()).collect();
    assert!(reasons[0].contains(&base) && reasons[0].contains("does not exist: create it"), "{reasons:?}");
    assert!(reasons[1].contains("\"a/b\" is not a legal topic name"), "{reasons:?}");
    assert!(reasons[2].contains("\"{header.to}\"") && reasons[2].contains("lacks a field"), "{reasons:?}");
    assert!(summary.failed.iter().all(|failure| failure.kind == gantry_sdk::FailureKind::Rejected));
    let texts = |topic: &Topic, count| topic.read(count).iter().map(support::Received::text).collect::<Vec<_>>();
    assert_eq!(texts(&a, 2), ["1", "3"]);
    assert_eq!(texts(&b, 1), ["2"]);
    assert_eq!(texts(&other, 1), ["routed"]);
}
