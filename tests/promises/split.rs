//! A list becomes records, and is one record still for its source, the counts and the dead letter.

use lapin::BasicProperties;

use crate::{
    bridge,
    support::{
        gantry::Gantry,
        kafka::{self, Stored},
        rabbit::Rabbit,
        unique,
    },
};

/// Publishes bodies, with what an element must still have.
async fn publish(rabbit: &Rabbit, queue: &str, bodies: &[String]) {
    for (number, body) in bodies.iter().enumerate() {
        let id = format!("m-{number}");
        let properties = BasicProperties::default().with_message_id(id.as_str().into()).with_timestamp(1_700_000_000);
        rabbit.publish(queue, body.as_bytes(), properties).await;
    }
}

/// Key, body, index and count.
fn told(record: &Stored) -> [String; 4] {
    let text = |bytes: &Option<Vec<u8>>| String::from_utf8_lossy(bytes.as_deref().unwrap_or_default()).into_owned();
    let header = |name: &str| record.header(name).unwrap_or_default();
    [text(&record.key), text(&record.value), header("x-gantry-split-index"), header("x-gantry-split-count")]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_becomes_records_and_counts_as_the_one_that_it_was() {
    let (queue, topic, dead) = (unique("lists"), unique("elements"), unique("dead"));
    let rabbit = Rabbit::connect().await;
    rabbit.queue(&queue).await;
    kafka::create_topic(&topic, 1).await;
    kafka::create_topic(&dead, 1).await;
    let refused = r#"{"items":[{"n":6},{"m":0},{"n":7}]}"#;
    let bodies = [
        r#"{"items":[{"n":1}, {"n":2.50},{"n":"Вася"}]}"#,
        r#"{"items":[]}"#,
        r#"{"items":[{"n":4},{"n":5}]}"#,
        refused,
    ];
    publish(&rabbit, &queue, &bodies.map(str::to_owned)).await;

    let rest = format!(
        r#"transforms:
      - split: {{ at: items }}
      - key: {{ from: "{{value.n}}" }}
    errors: {{ dead_letter: {{ kafka: {{ connection: events, topic: {dead} }} }} }}"#
    );
    let gantry = Gantry::start(&bridge(&format!("queue: {queue}"), &format!("topic: {topic}"), &rest));
    rabbit.wait_until_empty(&queue).await;

    let stored = kafka::read_all(&topic);
    let expected = [
        ["1", r#"{"n":1}"#, "0", "3"],
        ["2.50", r#"{"n":2.50}"#, "1", "3"],
        ["Вася", r#"{"n":"Вася"}"#, "2", "3"],
        ["4", r#"{"n":4}"#, "0", "2"],
        ["5", r#"{"n":5}"#, "1", "2"],
    ];
    assert_eq!(stored.iter().map(told).collect::<Vec<_>>(), expected.map(|told| told.map(str::to_owned)));
    for (record, id) in stored.iter().zip(["m-0", "m-0", "m-0", "m-2", "m-2"]) {
        assert_eq!(record.header("amqp.message_id").as_deref(), Some(id));
        assert_eq!(record.timestamp, Some(1_700_000_000_000));
    }
    let letters = kafka::read_all(&dead);
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].value.as_deref(), Some(refused.as_bytes()), "the whole list, as it came");
    assert_eq!(letters[0].header("x-gantry-split-index"), None);
    assert_eq!(letters[0].header("__connect.errors.stage").as_deref(), Some("TRANSFORMATION"));

    for (metric, count) in [("in", 4.0), ("out", 2.0), ("filtered", 1.0), ("dead_lettered", 1.0)] {
        assert_eq!(gantry.metric(&format!("gantry_records_{metric}_total"), "b"), Some(count), "{metric}");
    }
    gantry.check_conservation("b");
    rabbit.delete(&queue).await;
    kafka::delete_topic(&topic).await;
    kafka::delete_topic(&dead).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_element_that_kafka_refuses_brings_the_whole_list_to_the_dead_letter() {
    let (queue, topic, dead) = (unique("large"), unique("large"), unique("dead"));
    let rabbit = Rabbit::connect().await;
    rabbit.queue(&queue).await;
    kafka::create_topic_with(&topic, 1, &[("max.message.bytes", "2000")]).await;
    kafka::create_topic(&dead, 1).await;
    // Two elements of one list are too large: it is one dead letter all the same.
    let large = format!("\"{}\"", "x".repeat(5000));
    let bodies = ["[1,2]".to_owned(), format!("[3,{large},4,{large},5]"), "[6]".to_owned()];
    publish(&rabbit, &queue, &bodies).await;

    let rest = format!(
        r#"transforms: [ {{ split: {{}} }} ]
    errors: {{ dead_letter: {{ kafka: {{ connection: events, topic: {dead} }} }} }}"#
    );
    let gantry = Gantry::start(&bridge(&format!("queue: {queue}"), &format!("topic: {topic}"), &rest));
    rabbit.wait_until_empty(&queue).await;

    let arrived: Vec<_> = kafka::read_all(&topic).iter().map(|record| told(record)[1].clone()).collect();
    assert_eq!(arrived, ["1", "2", "3", "4", "5", "6"]);
    let letters: Vec<_> = kafka::read_all(&dead).into_iter().filter_map(|letter| letter.value).collect();
    assert_eq!(letters, [bodies[1].as_bytes()]);
    for (metric, count) in [("in", 3.0), ("out", 2.0), ("filtered", 0.0), ("dead_lettered", 1.0)] {
        assert_eq!(gantry.metric(&format!("gantry_records_{metric}_total"), "b"), Some(count), "{metric}");
    }
    gantry.check_conservation("b");
    rabbit.delete(&queue).await;
    kafka::delete_topic(&topic).await;
    kafka::delete_topic(&dead).await;
}
