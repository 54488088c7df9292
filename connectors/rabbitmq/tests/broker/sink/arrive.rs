//! What arrives of a record.

use gantry_sdk::{
    Properties, Record, Timestamp, Value,
    testkit::{any_headers, any_properties},
};
use lapin::types::AMQPValue;
use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::TestRunner,
};
use serde_json::json;

use super::{
    super::support::{self as source_side, Rabbit, closed, opened},
    support::{context, deliver, drain, only, open, record, refusal, sink},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_property_and_header_type_survives_the_way_there_and_back() {
    let rabbit = Rabbit::connect().await;
    let queue = rabbit.queue("round").await;
    let mut sink = open(json!({ "queue": queue.name })).await;
    let mut runner = TestRunner::deterministic();
    let mut made = || {
        let mut record = record("body");
        record.headers = any_headers().new_tree(&mut runner).expect("it can be made").current();
        let mut properties = any_properties().new_tree(&mut runner).expect("it can be made").current();
        // RabbitMQ takes only the connection's own.
        properties.user_id = properties.user_id.map(|_| "guest".into());
        properties.delivery_mode = Some(2);
        // An empty time to live would be over before the message is read.
        properties.expiration = properties.expiration.map(|_| "600000".into());
        record.set_properties(properties);
        record
    };
    let records: Vec<_> = (0..300).map(|_| made()).collect();
    let fates = deliver(&mut *sink, records.clone()).await;
    assert!(fates.refused.is_empty(), "{fates:?}");
    let mut source = source_side::open(json!({ "queue": queue.name })).await;
    let (arrived, last) = source_side::records(&mut *source, records.len()).await;
    source_side::commit(&mut *source, 0, &last).await;
    for (sent, arrived) in records.iter().zip(&arrived) {
        assert_eq!(sent.properties(), arrived.properties());
        // By text, because a NaN is not equal to itself.
        assert_eq!(format!("{:?}", sorted(sent)), format!("{:?}", sorted(arrived)));
    }
}

/// AMQP's tables are sorted by name, at every depth.
fn sorted(record: &Record) -> Value {
    fn sort(value: &Value) -> Value {
        match value {
            Value::Table(fields) => {
                let mut fields: Vec<_> = fields.iter().map(|(name, value)| (name.clone(), sort(value))).collect();
                fields.sort_by(|left, right| left.0.cmp(&right.0));
                Value::Table(fields)
            }
            Value::List(items) => Value::List(items.iter().map(sort).collect()),
            other => other.clone(),
        }
    }
    sort(&Value::Table(record.headers.iter().cloned().collect()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_of_kafka_survive_the_way_there_and_back() {
    let rabbit = Rabbit::connect().await;
    let queue = rabbit.queue("kafka").await;
    let mut sink = open(json!({ "queue": queue.name })).await;
    let mut sent = record("x");
    sent.headers.push("a", Value::text("1"));
    sent.headers.push("a", Value::Null);
    sent.headers.push("a", Value::Bytes(vec![0xff, 0].into()));
    sent.headers.push("b", Value::List(vec![Value::I8(1)]));
    sent.headers.push("n", Value::Null);
    assert!(deliver(&mut *sink, vec![sent.clone()]).await.refused.is_empty());
    let mut source = source_side::open(json!({ "queue": queue.name })).await;
    let (arrived, last) = source_side::records(&mut *source, 1).await;
    source_side::commit(&mut *source, 0, &last).await;
    assert_eq!(arrived[0].headers, sent.headers);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_text_every_header_is_a_string_and_as_none_there_are_none() {
    let rabbit = Rabbit::connect().await;
    let queue = rabbit.queue("text").await;
    let mut sent = record("x");
    sent.headers.push("number", Value::I32(-5));
    sent.headers.push("twice", Value::text("a"));
    sent.headers.push("twice", Value::Bool(true));
    let mut sink =
        open(json!({ "queue": queue.name, "header_mapping": "text", "headers": { "more": "{value}" } })).await;
    assert!(deliver(&mut *sink, vec![sent.clone()]).await.refused.is_empty());
    let (properties, _) = only(&rabbit, &queue).await;
    let table = properties.headers().clone().expect("it has headers");
    for (name, expected) in [("number", "-5"), ("twice", "a, true"), ("more", "x")] {
        assert_eq!(table.inner().get(name), Some(&AMQPValue::LongString(expected.into())), "{name}");
    }
    let mut sink = open(json!({ "queue": queue.name, "header_mapping": "none" })).await;
    assert!(deliver(&mut *sink, vec![sent]).await.refused.is_empty());
    assert_eq!(*only(&rabbit, &queue).await.0.headers(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn properties_are_made_by_template_and_persistent_by_default() {
    let rabbit = Rabbit::connect().await;
    let queue = rabbit.queue("properties").await;
    let mut sink = open(json!({ "queue": queue.name })).await;
    assert!(deliver(&mut *sink, vec![record("x")]).await.refused.is_empty());
    let (properties, _) = only(&rabbit, &queue).await;
    assert_eq!(*properties.delivery_mode(), Some(2));
    let mut transient = record("x");
    transient.set_properties(Properties { delivery_mode: Some(1), ..Properties::default() });
    assert!(deliver(&mut *sink, vec![transient.clone()]).await.refused.is_empty());
    assert_eq!(*only(&rabbit, &queue).await.0.delivery_mode(), Some(1));
    let properties = json!({
        "content_type": "text/plain", "content_encoding": "utf-8", "correlation_id": "{key}", "reply_to": "answers",
        "expiration": 60000, "message_id": "m-{key}", "type": "t", "app_id": "gantry", "user_id": "guest",
        "priority": 7, "timestamp": "{timestamp}", "delivery_mode": 2,
    });
    let mut sink = open(json!({ "queue": queue.name, "properties": properties })).await;
    let made = Record { key: Some("k".into()), timestamp: Some(1_700_000_000_999), ..transient };
    assert!(deliver(&mut *sink, vec![made]).await.refused.is_empty());
    let mut source = source_side::open(json!({ "queue": queue.name })).await;
    let (arrived, last) = source_side::records(&mut *source, 1).await;
    source_side::commit(&mut *source, 0, &last).await;
    let text = |text: &str| Some(text.into());
    let expected = Properties {
        message_id: text("m-k"),
        correlation_id: text("k"),
        reply_to: text("answers"),
        content_type: text("text/plain"),
        content_encoding: text("utf-8"),
        message_type: text("t"),
        user_id: text("guest"),
        app_id: text("gantry"),
        expiration: text("60000"),
        priority: Some(7),
        delivery_mode: Some(2),
        timestamp: Some(Timestamp::from_seconds(1_700_000_000)),
        cluster_id: None,
    };
    assert_eq!(*arrived[0].properties(), expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tombstones_follow_the_policy() {
    let rabbit = Rabbit::connect().await;
    let queue = rabbit.queue("tombstones").await;
    let tombstone = || Record { key: Some("k".into()), ..Record::default() };
    let with = async |policy: &str| open(json!({ "queue": queue.name, "tombstones": policy })).await;

    let mut sink = open(json!({ "queue": queue.name })).await;
    assert!(deliver(&mut *sink, vec![tombstone(), record("")]).await.refused.is_empty());
    let mut source = source_side::open(json!({ "queue": queue.name })).await;
    let (arrived, last) = source_side::records(&mut *source, 2).await;
    source_side::commit(&mut *source, 0, &last).await;
    closed(source.close()).await;
    assert_eq!((&arrived[0].value, arrived[0].headers.len()), (&None, 0));
    assert_eq!(arrived[1].value.as_deref(), Some(&b""[..]));

    assert!(deliver(&mut *with("empty").await, vec![tombstone()]).await.refused.is_empty());
    let (properties, body) = only(&rabbit, &queue).await;
    assert!(body.is_empty() && properties.headers().is_none());

    assert!(deliver(&mut *with("skip").await, vec![tombstone(), record("x")]).await.refused.is_empty());
    assert_eq!(only(&rabbit, &queue).await.1, b"x");

    let failure = refusal(&mut *with("dead_letter").await, tombstone()).await;
    assert!(failure.reason.contains("tombstone"), "{}", failure.reason);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_letter_takes_any_shape() {
    let rabbit = Rabbit::connect().await;
    let queue = rabbit.queue("dead").await;
    let other = rabbit.queue("other").await;
    let mut context = context(gantry_sdk::Health::new());
    context.dead_letter = true;
    let mut sink = opened(sink(json!({ "queue": queue.name, "tombstones": "dead_letter" }), context)).await;
    let mut odd = Record::default();
    odd.headers.push("large", Value::Bytes(vec![7; 200_000].into()));
    odd.headers.push("n".repeat(300), Value::Null);
    odd.headers.push("number", Value::U64(u64::MAX));
    odd.headers.push("CC", Value::List(vec![Value::text(other.name.as_str())]));
    odd.headers.push("BCC", Value::text("no list"));
    odd.headers.push("__connect.errors.exception.message", Value::text("why"));
    let properties = Properties {
        expiration: Some("1".into()),
        delivery_mode: Some(1),
        user_id: Some("mallory".into()),
        ..Properties::default()
    };
    odd.set_properties(properties);
    assert!(deliver(&mut *sink, vec![odd]).await.refused.is_empty());
    assert!(drain(&rabbit, &other).await.is_empty(), "a dead letter goes nowhere else");
    let (properties, _) = only(&rabbit, &queue).await;
    assert_eq!((properties.expiration(), properties.delivery_mode()), (&None, &Some(2)));
    let table = properties.headers().clone().expect("it has headers");
    let Some(AMQPValue::FieldTable(note)) = table.inner().get("gantry.letter") else { panic!("no note: {table:?}") };
    assert_eq!(note.inner().get("left_out"), Some(&AMQPValue::LongUInt(3)));
    let Some(AMQPValue::FieldTable(properties)) = note.inner().get("properties") else {
        panic!("no properties: {note:?}")
    };
    assert_eq!(properties.inner().get("expiration"), Some(&AMQPValue::LongString("1".into())));
    assert_eq!(properties.inner().get("user_id"), Some(&AMQPValue::LongString("mallory".into())));
    assert_eq!(table.inner().get("__connect.errors.exception.message"), Some(&AMQPValue::LongString("why".into())));
    assert_eq!(table.inner().get("gantry.tombstone"), Some(&AMQPValue::Boolean(true)));
    let Some(AMQPValue::FieldTable(own)) = note.inner().get("own") else { panic!("no headers: {note:?}") };
    assert_eq!(own.inner().get("BCC"), Some(&AMQPValue::LongString("no list".into())));
    assert!(matches!(own.inner().get("CC"), Some(AMQPValue::FieldArray(_))), "{own:?}");
}
