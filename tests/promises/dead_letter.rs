//! A message that can never be delivered stops nothing and is never lost.

use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable},
};

use crate::{
    bridge,
    support::{gantry::Gantry, kafka, oracle, rabbit::Rabbit, unique},
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
