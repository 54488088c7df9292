//! Everything arrives, once in an undisturbed run, in order, as it was.

use lapin::{
    BasicProperties,
    types::{AMQPValue, DecimalValue, FieldArray, FieldTable},
};

use crate::{
    bridge,
    support::{
        gantry::Gantry,
        kafka, oracle,
        rabbit::{self, Rabbit},
        unique,
    },
};

/// How many messages a thorough run moves; `GANTRY_TEST_MESSAGES` changes it.
fn many() -> u64 {
    std::env::var("GANTRY_TEST_MESSAGES").ok().and_then(|text| text.parse().ok()).unwrap_or(300_000)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_queue_arrives_exactly_once_in_order() {
    let (queue, topic, messages) = (unique("long"), unique("long"), many());
    let rabbit = Rabbit::connect().await;
    rabbit.queue(&queue).await;
    kafka::create_topic(&topic, 3).await;
    rabbit.publish_sequence(&queue, 0, messages, 200).await;

    let mut gantry = Gantry::start(&bridge(&format!("queue: {queue}"), &format!("topic: {topic}"), ""));
    kafka::wait_for_count(&topic, i64::try_from(messages).expect("few")).await;
    rabbit.wait_until_empty(&queue).await;
    gantry.check_conservation("b");
    assert!(gantry.terminate().await.success());

    let verdict = oracle::assert_nothing_lost(&kafka::read_all(&topic), messages);
    assert_eq!(verdict.duplicates, 0, "an undisturbed run makes no duplicates");
    assert_eq!(verdict.arrived, messages);
    rabbit.delete(&queue).await;
    kafka::delete_topic(&topic).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_queues_keep_their_own_order() {
    let queues: Vec<_> = (0..3).map(|_| unique("several")).collect();
    let topic = unique("several");
    let rabbit = Rabbit::connect().await;
    kafka::create_topic(&topic, 1).await;
    for queue in &queues {
        rabbit.queue(queue).await;
        rabbit.publish_sequence(queue, 0, 5_000, 100).await;
    }

    let source = format!("queues: [{}], prefetch: 500", queues.join(", "));
    let sink = format!("topic: {topic}, key: \"{{queue}}\"");
    let _gantry = Gantry::start(&bridge(&source, &sink, ""));
    kafka::wait_for_count(&topic, 15_000).await;

    let stored = kafka::read_all(&topic);
    for queue in &queues {
        let of_queue: Vec<_> =
            stored.iter().filter(|record| record.key.as_deref() == Some(queue.as_bytes())).cloned().collect();
        assert_eq!(oracle::assert_nothing_lost(&of_queue, 5_000).duplicates, 0);
        rabbit.wait_until_empty(queue).await;
        rabbit.delete(queue).await;
    }
    kafka::delete_topic(&topic).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_property_and_header_arrives() {
    let (queue, topic) = (unique("fields"), unique("fields"));
    let rabbit = Rabbit::connect().await;
    rabbit.queue(&queue).await;
    kafka::create_topic(&topic, 1).await;
    let mut death = FieldTable::default();
    death.insert("count".into(), AMQPValue::LongLongInt(3));
    death.insert("reason".into(), AMQPValue::LongString("rejected".into()));
    let mut headers = FieldTable::default();
    headers.insert("x-death".into(), AMQPValue::FieldArray(FieldArray::from(vec![AMQPValue::FieldTable(death)])));
    headers.insert("void".into(), AMQPValue::Void);
    headers.insert("price".into(), AMQPValue::DecimalValue(DecimalValue { scale: 2, value: 1050 }));
    headers.insert("flag".into(), AMQPValue::Boolean(true));
    let properties = BasicProperties::default()
        .with_content_type("application/json".into())
        .with_message_id("m-1".into())
        .with_correlation_id("c-1".into())
        .with_timestamp(1_700_000_000)
        .with_priority(5)
        .with_headers(headers);
    rabbit.publish(&queue, "{\"client\":\"Вася\"}".as_bytes(), properties).await;

    let sink = format!("topic: {topic}, key: \"{{message_id}}\"");
    let _gantry = Gantry::start(&bridge(&format!("queue: {queue}"), &sink, ""));
    kafka::wait_for_count(&topic, 1).await;

    let stored = kafka::read_all(&topic).remove(0);
    assert_eq!(stored.value.as_deref(), Some("{\"client\":\"Вася\"}".as_bytes()));
    assert_eq!(stored.key.as_deref(), Some(b"m-1".as_slice()));
    assert_eq!(stored.timestamp, Some(1_700_000_000_000));
    assert_eq!(stored.header("x-death").as_deref(), Some(r#"[{"count":3,"reason":"rejected"}]"#));
    assert_eq!(stored.header("price").as_deref(), Some("10.50"));
    assert_eq!(stored.header("flag").as_deref(), Some("true"));
    assert!(stored.headers.contains(&("void".to_owned(), None)), "{:?}", stored.headers);
    for (name, value) in
        [("amqp.content_type", "application/json"), ("amqp.correlation_id", "c-1"), ("amqp.priority", "5")]
    {
        assert_eq!(stored.header(name).as_deref(), Some(value), "{name} in {:?}", stored.headers);
    }
    rabbit.delete(&queue).await;
    kafka::delete_topic(&topic).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn transforms_filter_and_route_and_are_counted() {
    let (queue, even, odd) = (unique("route"), unique("even"), unique("odd"));
    let rabbit = Rabbit::connect().await;
    rabbit.queue(&queue).await;
    kafka::create_topic(&even, 1).await;
    kafka::create_topic(&odd, 1).await;
    for number in 0..100 {
        let body = format!(r#"{{"n":{number},"kind":"{}"}}"#, ["even", "odd", "noise"][number % 3]);
        rabbit.publish(&queue, body.as_bytes(), BasicProperties::default()).await;
    }

    let transforms = format!(
        r#"transforms:
      - filter: {{ drop: {{ field: value.kind, equals: noise }} }}
      - route: {{ field: value.kind, regex: "^even$", to: {even} }}"#
    );
    let gantry = Gantry::start(&bridge(&format!("queue: {queue}"), &format!("topic: {odd}"), &transforms));
    rabbit.wait_until_empty(&queue).await;
    assert_eq!((kafka::read_all(&even).len(), kafka::read_all(&odd).len()), (34, 33));
    assert_eq!(gantry.metric("gantry_records_filtered_total", "b"), Some(33.0));
    gantry.check_conservation("b");
    rabbit.delete(&queue).await;
    kafka::delete_topic(&even).await;
    kafka::delete_topic(&odd).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_nested_as_deep_as_a_frame_allows_stop_nothing() {
    let (queue, topic) = (unique("deep"), unique("deep"));
    let rabbit = Rabbit::connect().await;
    rabbit.queue(&queue).await;
    kafka::create_topic(&topic, 1).await;
    let nested = rabbit::publish_nested(&queue, 18_000);
    rabbit.publish_sequence(&queue, 0, 10, 100).await;

    let gantry = Gantry::start(&bridge(&format!("queue: {queue}"), &format!("topic: {topic}"), ""));
    rabbit.wait_until_empty(&queue).await;
    gantry.check_conservation("b");
    let mut stored = kafka::read_all(&topic);
    let deep = stored.remove(0);
    assert_eq!(deep.value.as_deref(), Some(b"deep".as_slice()));
    assert_eq!(deep.header("x"), Some(nested));
    assert_eq!(oracle::assert_nothing_lost(&stored, 10).duplicates, 0);
    rabbit.delete(&queue).await;
    kafka::delete_topic(&topic).await;
}
