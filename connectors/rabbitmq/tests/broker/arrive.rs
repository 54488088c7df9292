//! What arrives of a message: the conversion table, through a real broker.

use bytes::Bytes;
use gantry_sdk::{Origin, Record, Timestamp, Value};
use lapin::{
    BasicProperties,
    options::{BasicGetOptions, BasicRejectOptions, QueueBindOptions},
    types::{AMQPValue, ByteArray, DecimalValue, FieldArray, FieldTable, LongString},
};
use serde_json::json;

use crate::support::{Queue, Rabbit, closed, commit, open, records};

async fn only_record(queue: &Queue) -> Record {
    let mut source = open(json!({ "queue": queue.name })).await;
    let (mut all, last) = records(&mut *source, 1).await;
    commit(&mut *source, 0, &last).await;
    closed(source.close()).await;
    all.remove(0)
}

/// Every type that the client library can put on the wire, and what must become of it.
fn every_type() -> Vec<(&'static str, AMQPValue, Value)> {
    let mut inner = FieldTable::default();
    inner.insert(
        "deep".into(),
        AMQPValue::FieldArray(FieldArray::from(vec![AMQPValue::Void, AMQPValue::Boolean(true)])),
    );
    let nested = Value::Table(vec![("deep".into(), Value::List(vec![Value::Null, Value::Bool(true)]))]);
    vec![
        ("array", AMQPValue::FieldArray(FieldArray::from(vec![AMQPValue::FieldTable(inner.clone())])), {
            Value::List(vec![nested.clone()])
        }),
        ("array-empty", AMQPValue::FieldArray(FieldArray::default()), Value::List(vec![])),
        ("boolean", AMQPValue::Boolean(false), Value::Bool(false)),
        ("byte", AMQPValue::ShortShortInt(-128), Value::I8(-128)),
        ("byte-unsigned", AMQPValue::ShortShortUInt(255), Value::U8(255)),
        ("bytes", AMQPValue::ByteArray(ByteArray::from(vec![0, 0xff])), Value::Bytes(Bytes::from_static(&[0, 0xff]))),
        (
            "decimal",
            AMQPValue::DecimalValue(DecimalValue { scale: 2, value: u32::MAX }),
            Value::Decimal { scale: 2, unscaled: u32::MAX },
        ),
        ("double", AMQPValue::Double(f64::MIN_POSITIVE), Value::F64(f64::MIN_POSITIVE)),
        ("float", AMQPValue::Float(-0.5), Value::F32(-0.5)),
        ("int", AMQPValue::LongInt(i32::MIN), Value::I32(i32::MIN)),
        ("int-unsigned", AMQPValue::LongUInt(u32::MAX), Value::U32(u32::MAX)),
        ("long", AMQPValue::LongLongInt(i64::MIN), Value::I64(i64::MIN)),
        ("short", AMQPValue::ShortInt(i16::MIN), Value::I16(i16::MIN)),
        ("short-unsigned", AMQPValue::ShortUInt(u16::MAX), Value::U16(u16::MAX)),
        ("string", AMQPValue::LongString("Вася".into()), Value::text("Вася")),
        (
            "string-latin1",
            AMQPValue::LongString(LongString::from(vec![0xe9])),
            Value::String(Bytes::from_static(&[0xe9])),
        ),
        ("table", AMQPValue::FieldTable(inner), nested),
        ("timestamp", AMQPValue::Timestamp(u64::MAX), Value::Timestamp(Timestamp::from_seconds(u64::MAX))),
        ("void", AMQPValue::Void, Value::Null),
    ]
}

#[tokio::test]
async fn every_header_type_arrives_as_itself() {
    let rabbit = Rabbit::connect().await;
    let queue = rabbit.queue("types").await;
    let mut table = FieldTable::default();
    for (name, amqp, _) in every_type() {
        table.insert(name.into(), amqp);
    }
    rabbit.publish(&queue, b"body", BasicProperties::default().with_headers(table)).await;

    let record = only_record(&queue).await;
    let expected: Vec<_> = every_type().into_iter().map(|(name, _, value)| (name.into(), value)).collect();
    assert_eq!(record.headers.to_vec(), expected);
    assert_eq!(record.value.as_deref(), Some(b"body".as_slice()));
}

#[tokio::test]
async fn properties_and_origin_arrive() {
    let rabbit = Rabbit::connect().await;
    let queue = rabbit.queue("origin").await;
    let properties = BasicProperties::default()
        .with_message_id("m-1".into())
        .with_correlation_id("c-1".into())
        .with_content_type("application/json".into())
        .with_timestamp(1_700_000_000)
        .with_priority(4)
        .with_delivery_mode(2);
    let bind = rabbit.channel.queue_bind(
        queue.name.as_str().into(),
        "amq.topic".into(),
        format!("{}.*", queue.name).into(),
        QueueBindOptions::default(),
        FieldTable::default(),
    );
    bind.await.expect("amq.topic is always there");
    rabbit.publish_to("amq.topic", &format!("{}.new", queue.name), b"{}", properties).await;

    let record = only_record(&queue).await;
    assert_eq!(record.timestamp, Some(1_700_000_000_000));
    let key = format!("{}.new", queue.name);
    let origin = Origin::new("queue", queue.name.as_str().into());
    assert_eq!(record.origin, origin.with("exchange", "amq.topic").with("routing_key", &*key));
    assert_eq!(record.key, None);
    let properties = record.properties();
    assert_eq!(properties.message_id.as_deref(), Some("m-1"));
    assert_eq!(properties.correlation_id.as_deref(), Some("c-1"));
    assert_eq!(properties.content_type.as_deref(), Some("application/json"));
    assert_eq!((properties.priority, properties.delivery_mode), (Some(4), Some(2)));
}

#[tokio::test]
async fn bodies_of_any_size_arrive_whole() {
    let rabbit = Rabbit::connect().await;
    let queue = rabbit.queue("sizes").await;
    // RabbitMQ's frames hold 128 KiB: none, one full to the byte, one more, and many.
    let bodies: Vec<Vec<u8>> = [0, 1, 131_064, 131_065, 3_000_000]
        .into_iter()
        .map(|size| (0..size).map(|index: u32| index.to_le_bytes()[0]).collect())
        .collect();
    for body in &bodies {
        rabbit.publish(&queue, body, BasicProperties::default()).await;
    }
    let mut source = open(json!({ "queue": queue.name })).await;
    let (all, _) = records(&mut *source, bodies.len()).await;
    for (record, body) in all.iter().zip(&bodies) {
        assert!(record.value.as_deref() == Some(body.as_slice()), "{} bytes differ", body.len());
    }
    closed(source.close()).await;
}

#[tokio::test]
async fn a_dead_letters_history_arrives() {
    let rabbit = Rabbit::connect().await;
    let dead = rabbit.queue("dead").await;
    let arguments = [
        ("x-dead-letter-exchange", AMQPValue::LongString("".into())),
        ("x-dead-letter-routing-key", AMQPValue::LongString(dead.name.as_str().into())),
    ];
    let queue = rabbit.queue_with("alive", &arguments).await;
    rabbit.publish(&queue, b"poison", BasicProperties::default()).await;
    let got = rabbit.channel.basic_get(queue.name.as_str().into(), BasicGetOptions::default()).await;
    let message = got.expect("the queue is there").expect("so is the message");
    message.delivery.reject(BasicRejectOptions { requeue: false }).await.expect("it can be rejected");

    let record = only_record(&dead).await;
    let Some(Value::List(deaths)) = record.headers.get("x-death") else { panic!("{:?}", record.headers) };
    let [Value::Table(death)] = deaths.as_slice() else { panic!("{deaths:?}") };
    let field = |name: &str| death.iter().find(|(own, _)| own == name).map(|(_, value)| value);
    assert_eq!(field("reason"), Some(&Value::text("rejected")));
    assert_eq!(field("queue"), Some(&Value::text(queue.name.as_str())));
    assert_eq!(field("count"), Some(&Value::I64(1)));
    assert!(matches!(field("time"), Some(Value::Timestamp(_))), "{death:?}");
}
