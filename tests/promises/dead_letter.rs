//! A message that can never be delivered stops nothing and is never lost.

use std::collections::BTreeSet;

use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable},
};

use crate::{
    bridge,
    support::{self, SOON, eventually, gantry::Gantry, kafka, oracle, rabbit::Rabbit, unique},
};

#[tokio::test(flavor = "multi_thread")]
async fn an_oversize_message_becomes_a_dead_letter_whole() {
    let (queue, topic, dead) = (unique("oversize"), unique("oversize"), unique("dead"));
    let rabbit = Rabbit::connect().await;
    rabbit.queue(&queue).await;
    kafka::create_topic(&topic, 1).await;
    rabbit.publish_sequence(&queue, 0, 50, 200).await;
    let huge = vec![b'h'; 3_000_000];
    let properties = BasicProperties::default().with_message_id("huge".into()).with_type("order".into());
    rabbit.publish(&queue, &huge, properties).await;
    rabbit.publish_sequence(&queue, 50, 100, 200).await;

    // A dead letter that Gantry makes takes what the sink's topic does not.
    let declare = "declare: { partitions: 1, replication: 1 }";
    let errors = format!("errors: {{ dead_letter: {{ kafka: {{ connection: events, topic: {dead}, {declare} }} }} }}");
    let gantry = Gantry::start(&bridge(&format!("queue: {queue}"), &format!("topic: {topic}"), &errors));
    rabbit.wait_until_empty(&queue).await;

    assert_eq!(oracle::assert_nothing_lost(&kafka::read_all(&topic), 100).duplicates, 0);
    let letters = kafka::read_all(&dead);
    assert_eq!(letters.len(), 1);
    let letter = &letters[0];
    assert!(letter.value.as_deref() == Some(&huge), "the body is intact");
    assert_eq!(letter.header("amqp.message_id").as_deref(), Some("huge"));
    assert_eq!(letter.header("amqp.type").as_deref(), Some("order"));
    assert_eq!(letter.header("__connect.errors.connector.name").as_deref(), Some("b"));
    assert_eq!(letter.header("__connect.errors.queue"), Some(queue.clone()));
    assert_eq!(letter.header("__connect.errors.stage").as_deref(), Some("KAFKA_PRODUCE"));
    let reason = letter.header("__connect.errors.exception.message").expect("a reason");
    assert!(reason.contains("3000089 bytes") && reason.contains("max.message.bytes"), "{reason}");
    assert_eq!(gantry.metric("gantry_records_dead_lettered_total", "b"), Some(1.0));
    gantry.check_conservation("b");
    rabbit.delete(&queue).await;
    kafka::delete_topic(&topic).await;
    kafka::delete_topic(&dead).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_not_json_becomes_a_dead_letter_as_the_source_gave_it() {
    let (queue, topic, dead) = (unique("nojson"), unique("nojson"), unique("dead"));
    let rabbit = Rabbit::connect().await;
    rabbit.queue(&queue).await;
    kafka::create_topic(&topic, 1).await;
    kafka::create_topic(&dead, 1).await;
    for body in [r#"{"a":1,"secret":"x"}"#, "not json", r#"{"a":2,"secret":"y"}"#] {
        rabbit.publish(&queue, body.as_bytes(), BasicProperties::default()).await;
    }

    let rest = format!(
        r#"transforms: [ {{ json: {{ drop: [secret] }} }} ]
    errors: {{ dead_letter: {{ kafka: {{ connection: events, topic: {dead} }} }} }}"#
    );
    let gantry = Gantry::start(&bridge(&format!("queue: {queue}"), &format!("topic: {topic}"), &rest));
    rabbit.wait_until_empty(&queue).await;

    let values: Vec<_> = kafka::read_all(&topic).into_iter().filter_map(|record| record.value).collect();
    assert_eq!(values, [br#"{"a":1}"#.to_vec(), br#"{"a":2}"#.to_vec()]);
    let letter = kafka::read_all(&dead).remove(0);
    assert_eq!(letter.value.as_deref(), Some(b"not json".as_slice()));
    assert_eq!(letter.header("__connect.errors.stage").as_deref(), Some("TRANSFORMATION"));
    // The metrics, the status and the log say at which stage.
    let metrics = gantry.get("/metrics").expect("metrics").1;
    assert!(
        metrics.contains("gantry_dead_letters_total{bridge=\"b\",task=\"0\",stage=\"TRANSFORMATION\"} 1"),
        "{metrics}"
    );
    assert_eq!(gantry.bridge("b").expect("the bridge")["tasks"][0]["dead_letters"]["TRANSFORMATION"], 1);
    let log = gantry.log();
    let told = "1 record can never be delivered and is dead-lettered (TRANSFORMATION 1): json: ";
    assert_eq!(log.matches(told).count(), 1, "{log}");
    gantry.check_conservation("b");
    rabbit.delete(&queue).await;
    kafka::delete_topic(&topic).await;
    kafka::delete_topic(&dead).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_illegal_topic_name_is_a_dead_letter_not_a_crash() {
    let (queue, topic, dead) = (unique("illegal"), unique("illegal"), unique("dead"));
    let rabbit = Rabbit::connect().await;
    rabbit.queue(&queue).await;
    kafka::create_topic(&topic, 1).await;
    kafka::create_topic(&dead, 1).await;
    for name in [topic.as_str(), "no/such topic!", ""] {
        rabbit.publish(&queue, b"x", BasicProperties::default().with_type(name.into())).await;
    }
    rabbit.publish(&queue, b"no type", BasicProperties::default()).await;

    let errors = format!("errors: {{ dead_letter: {{ kafka: {{ connection: events, topic: {dead} }} }} }}");
    let _gantry = Gantry::start(&bridge(&format!("queue: {queue}"), "topic: \"{type}\"", &errors));
    rabbit.wait_until_empty(&queue).await;
    assert_eq!((kafka::read_all(&topic).len(), kafka::read_all(&dead).len()), (1, 3));
    rabbit.delete(&queue).await;
    kafka::delete_topic(&topic).await;
    kafka::delete_topic(&dead).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_dead_letter_the_bridge_stops_and_the_message_stays() {
    let (queue, topic) = (unique("stays"), unique("stays"));
    let rabbit = Rabbit::connect().await;
    rabbit.queue(&queue).await;
    kafka::create_topic(&topic, 1).await;
    rabbit.publish(&queue, &vec![b'h'; 3_000_000], BasicProperties::default()).await;

    let gantry = Gantry::start(&bridge(&format!("queue: {queue}"), &format!("topic: {topic}"), ""));
    let error = gantry.wait_for_state("b", "failed").await;
    assert!(error.contains("errors.dead_letter"), "{error}");
    crate::support::eventually("the message is back", crate::support::SOON, async || {
        (rabbit.ready(&queue).await == 1).then_some(())
    })
    .await;
    let (status, body) = gantry.get("/connectors/b/status").expect("an answer");
    assert!(status == 200 && body.contains("FAILED"), "{body}");
    assert_eq!(gantry.get("/readyz").map(|(status, _)| status), Some(503));
    gantry.check_conservation("b");
    rabbit.delete(&queue).await;
    kafka::delete_topic(&topic).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_that_refuses_halts_the_bridge_and_burns_no_deliveries() {
    let (queue, topic, dead) = (unique("refused"), unique("refused"), unique("small"));
    let rabbit = Rabbit::connect().await;
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    arguments.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(3));
    rabbit.queue_with(&queue, arguments).await;
    kafka::create_topic(&topic, 1).await;
    kafka::create_topic(&dead, 1).await;
    rabbit.publish(&queue, &vec![b'h'; 3_000_000], BasicProperties::default().with_delivery_mode(2)).await;

    let errors = format!(
        "errors: {{ backoff: {{ initial: 50ms, max: 100ms }}, dead_letter: {{ kafka: {{ connection: events, topic: {dead} }} }} }}"
    );
    let gantry = Gantry::start(&bridge(&format!("queue: {queue}"), &format!("topic: {topic}"), &errors));
    let error = gantry.wait_for_state("b", "failed").await;
    assert!(error.contains("max.message.bytes"), "{error}");
    // Far more pauses than the queue has deliveries: had it tried again by itself, the message would be gone.
    let epoch = gantry.bridge("b").expect("the bridge")["tasks"][0]["epoch"].clone();
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    assert_eq!(gantry.bridge("b").expect("the bridge")["tasks"][0]["epoch"], epoch, "it tried again by itself");
    assert_eq!(rabbit.ready(&queue).await, 1);
    gantry.check_conservation("b");
    rabbit.delete(&queue).await;
    kafka::delete_topic(&topic).await;
    kafka::delete_topic(&dead).await;
}

/// The body of a message that the transform `json` refuses.
const NOT_JSON: &[u8] = b"not json";

/// A transform that takes the oracle's bodies and refuses others.
const TRANSFORMS: &str = "transforms: [ { json: { drop: [nothing] } } ]";

#[tokio::test(flavor = "multi_thread")]
async fn what_is_rejected_is_in_the_dead_letter_exchange_and_the_rest_arrives() {
    // Where in a batch of ten the refused ones are: first, last, in the middle, side by side, all of them, none.
    let patterns = ["x.........", ".........x", "...x..x...", "....xxxx..", "xxxxxxxxxx", "..........", "x.x.x.x.x."];
    let (queue, letters, topic) = (unique("rejects"), unique("letters"), unique("rejects"));
    let rabbit = Rabbit::connect().await;
    rabbit.queue(&letters).await;
    let mut arguments = FieldTable::default();
    // The default exchange takes it to the queue of that name.
    arguments.insert("x-dead-letter-exchange".into(), AMQPValue::LongString("".into()));
    arguments.insert("x-dead-letter-routing-key".into(), AMQPValue::LongString(letters.as_str().into()));
    rabbit.queue_with(&queue, arguments).await;
    kafka::create_topic_with(&topic, 1, &[("max.message.bytes", "2000")]).await;
    let (mut good, mut refused) = (0, BTreeSet::new());
    for round in 0..20 {
        for (place, kind) in patterns.concat().chars().enumerate() {
            if kind == '.' {
                rabbit.publish_sequence(&queue, good, good + 1, 200).await;
                good += 1;
            } else {
                // By turns refused by the transform and, for its size, by Kafka.
                let id = format!("{round}-{place}");
                let body = if place % 2 == 0 { NOT_JSON.to_vec() } else { oracle::body(0, 3_000) };
                rabbit.publish(&queue, &body, BasicProperties::default().with_message_id(id.as_str().into())).await;
                refused.insert(id);
            }
        }
    }

    let rest = format!(
        r#"{TRANSFORMS}
    errors: {{ dead_letter: {{ reject: {{}} }} }}
    limits: {{ batch: 10 }}"#
    );
    let gantry = Gantry::start(&bridge(&format!("queue: {queue}, prefetch: 100"), &format!("topic: {topic}"), &rest));
    rabbit.wait_until_empty(&queue).await;

    assert_eq!(oracle::assert_nothing_lost(&kafka::read_all(&topic), good).duplicates, 0);
    let count = u32::try_from(refused.len()).expect("few");
    assert_eq!(rabbit.ready(&letters).await, count, "each once");
    assert_eq!(rabbit.take_all(&letters).await.into_iter().collect::<BTreeSet<_>>(), refused);
    assert_eq!(gantry.metric("gantry_records_dead_lettered_total", "b"), Some(f64::from(count)));
    assert_eq!(gantry.metric("gantry_reconnects_total", "b"), Some(0.0), "no channel was closed for it");
    let log = gantry.log();
    let told = log.lines().filter(|line| line.contains("rejected at the source")).count();
    assert_eq!(told, 1, "the first is told, and no line for each: {log}");
    gantry.check_conservation("b");
    rabbit.delete(&queue).await;
    rabbit.delete(&letters).await;
    kafka::delete_topic(&topic).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tolerance_all_without_a_dead_letter_drops_counts_and_tells() {
    let (queue, topic) = (unique("drops"), unique("drops"));
    let rabbit = Rabbit::connect().await;
    rabbit.queue(&queue).await;
    kafka::create_topic(&topic, 1).await;
    for number in 0..50 {
        rabbit.publish_sequence(&queue, number, number + 1, 200).await;
        rabbit.publish(&queue, NOT_JSON, BasicProperties::default()).await;
    }
    let rest = format!("{TRANSFORMS}\n    errors: {{ tolerance: all }}");
    let gantry = Gantry::start(&bridge(&format!("queue: {queue}"), &format!("topic: {topic}"), &rest));
    rabbit.wait_until_empty(&queue).await;
    assert_eq!(oracle::assert_nothing_lost(&kafka::read_all(&topic), 50).duplicates, 0);
    assert_eq!(gantry.metric("gantry_records_dropped_total", "b"), Some(50.0));
    assert_eq!(gantry.metric("gantry_records_filtered_total", "b"), Some(50.0));
    assert_eq!(gantry.metric("gantry_records_dead_lettered_total", "b"), Some(0.0));
    let log = gantry.log();
    assert_eq!(log.matches("can never be delivered and").count(), 1, "{log}");
    assert!(log.contains("dropped (TRANSFORMATION "), "{log}");
    gantry.check_conservation("b");
    rabbit.delete(&queue).await;
    kafka::delete_topic(&topic).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tolerance_none_stops_at_the_first_although_there_is_a_dead_letter() {
    let (queue, topic, dead) = (unique("strict"), unique("strict"), unique("unused"));
    let rabbit = Rabbit::connect().await;
    rabbit.queue(&queue).await;
    kafka::create_topic(&topic, 1).await;
    kafka::create_topic(&dead, 1).await;
    rabbit.publish_sequence(&queue, 0, 10, 200).await;
    rabbit.publish(&queue, NOT_JSON, BasicProperties::default()).await;
    let letters = format!("dead_letter: {{ kafka: {{ connection: events, topic: {dead} }} }}");
    // Alone in its batch, nothing but the refusal keeps it from being committed.
    let rest = format!("{TRANSFORMS}\n    errors: {{ tolerance: none, {letters} }}\n    limits: {{ batch: 1 }}");
    let gantry = Gantry::start(&bridge(&format!("queue: {queue}"), &format!("topic: {topic}"), &rest));
    let error = gantry.wait_for_state("b", "failed").await;
    assert!(error.contains("errors.tolerance"), "{error}");
    eventually("the message is back", SOON, async || (rabbit.ready(&queue).await >= 1).then_some(())).await;
    assert_eq!(kafka::count(&dead), Some(0));
    gantry.check_conservation("b");
    rabbit.delete(&queue).await;
    kafka::delete_topic(&topic).await;
    kafka::delete_topic(&dead).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_that_cannot_be_written_holds_the_lane() {
    let (queue, topic, dead) = (unique("holds"), unique("holds"), unique("away"));
    let rabbit = Rabbit::connect().await;
    rabbit.queue(&queue).await;
    kafka::create_topic(&topic, 1).await;
    let elsewhere = kafka::Mock::start(&[&dead], 1);

    let letters = format!("dead_letter: {{ kafka: {{ connection: {}, topic: {dead} }} }}", elsewhere.connection());
    let rest = format!("{TRANSFORMS}\n    errors: {{ {letters} }}\n    limits: {{ batch: 1 }}");
    let gantry = Gantry::ready(&bridge(&format!("queue: {queue}"), &format!("topic: {topic}"), &rest)).await;
    elsewhere.go_away();
    rabbit.publish_sequence(&queue, 0, 10, 200).await;
    rabbit.publish(&queue, NOT_JSON, BasicProperties::default()).await;
    rabbit.publish_sequence(&queue, 10, 100, 200).await;
    kafka::wait_for_count(&topic, 100).await;
    // All that came behind it is delivered, and none of it is acknowledged: that would acknowledge the refused one too.
    eventually("only those before it are gone", SOON, async || {
        (support::rabbit::all_messages(&queue) == Some(91)).then_some(())
    })
    .await;
    gantry.check_conservation("b");

    elsewhere.come_back();
    rabbit.wait_until_empty(&queue).await;
    assert_eq!(oracle::assert_nothing_lost(&kafka::read_all(&topic), 100).duplicates, 0);
    let letters = elsewhere.read_all(&dead);
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].value.as_deref(), Some(NOT_JSON));
    gantry.check_conservation("b");
    rabbit.delete(&queue).await;
    kafka::delete_topic(&topic).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_dead_letter_a_bridge_takes_nothing_and_starts_once_it_is_there() {
    let (queue, topic, dead) = (unique("first"), unique("first"), unique("missing"));
    let rabbit = Rabbit::connect().await;
    rabbit.queue(&queue).await;
    kafka::create_topic(&topic, 1).await;
    rabbit.publish_sequence(&queue, 0, 10, 200).await;
    rabbit.publish(&queue, NOT_JSON, BasicProperties::default()).await;
    let no_port = support::free_port();
    // One whose topic is missing, and one whose broker is nowhere.
    let missing = format!("{{ kafka: {{ connection: events, topic: {dead} }} }}");
    let nowhere =
        format!("{{ kafka: {{ connection: {{ bootstrap_servers: \"127.0.0.1:{no_port}\" }}, topic: {dead} }} }}");
    let rest = |letters: &str| {
        format!("{TRANSFORMS}\n    errors: {{ backoff: {{ initial: 100ms, max: 300ms }}, dead_letter: {letters} }}")
    };
    let start =
        |letters: &str| Gantry::start(&bridge(&format!("queue: {queue}"), &format!("topic: {topic}"), &rest(letters)));
    {
        let gantry = start(&nowhere);
        let error = gantry.wait_for_state("b", "backing_off").await;
        assert!(error.contains(&no_port.to_string()), "{error}");
        assert_eq!(gantry.metric("gantry_records_in_total", "b"), Some(0.0));
    }
    let gantry = start(&missing);
    let error = gantry.wait_for_state("b", "failed").await;
    assert!(error.contains(&dead), "{error}");
    assert_eq!(gantry.metric("gantry_records_in_total", "b"), Some(0.0));
    assert_eq!(rabbit.ready(&queue).await, 11);

    kafka::create_topic(&dead, 1).await;
    rabbit.wait_until_empty(&queue).await;
    assert_eq!(oracle::assert_nothing_lost(&kafka::read_all(&topic), 10).duplicates, 0);
    assert_eq!(kafka::count(&dead), Some(1));
    gantry.check_conservation("b");
    rabbit.delete(&queue).await;
    kafka::delete_topic(&topic).await;
    kafka::delete_topic(&dead).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_topic_that_disappears_holds_the_lane_until_it_is_back() {
    let (queue, topic, dead) = (unique("gone"), unique("gone"), unique("gone-dead"));
    let rabbit = Rabbit::connect().await;
    rabbit.queue(&queue).await;
    kafka::create_topic(&topic, 1).await;
    kafka::create_topic(&dead, 1).await;
    let letters = format!("dead_letter: {{ kafka: {{ connection: events, topic: {dead} }} }}");
    let errors = format!("errors: {{ backoff: {{ initial: 100ms, max: 300ms }}, {letters} }}");
    let rest = format!("{TRANSFORMS}\n    {errors}");
    let gantry = Gantry::ready(&bridge(&format!("queue: {queue}"), &format!("topic: {topic}"), &rest)).await;
    kafka::delete_topic(&dead).await;
    rabbit.publish(&queue, NOT_JSON, BasicProperties::default()).await;
    rabbit.publish_sequence(&queue, 0, 10, 200).await;
    let error = gantry.wait_for_state("b", "failed").await;
    assert!(error.contains(&dead), "{error}");
    gantry.check_conservation("b");

    kafka::create_topic(&dead, 1).await;
    rabbit.wait_until_empty(&queue).await;
    oracle::assert_nothing_lost(&kafka::read_all(&topic), 10);
    let letters = kafka::read_all(&dead);
    assert!(letters.iter().any(|letter| letter.value.as_deref() == Some(NOT_JSON)), "{letters:?}");
    gantry.check_conservation("b");
    rabbit.delete(&queue).await;
    kafka::delete_topic(&topic).await;
    kafka::delete_topic(&dead).await;
}
