//! One bridge's trouble never touches another, and each error says what, where and what to do.

use crate::support::{self, gantry::Gantry, kafka, oracle, rabbit::Rabbit, unique};

#[tokio::test(flavor = "multi_thread")]
async fn broken_bridges_say_why_and_a_good_one_goes_on() {
    let (queue, topic) = (unique("good"), unique("good"));
    let rabbit = Rabbit::connect().await;
    rabbit.queue(&queue).await;
    kafka::create_topic(&topic, 1).await;
    rabbit.publish_sequence(&queue, 0, 1_000, 100).await;

    let (amqp, servers) = (support::amqp_url(), support::bootstrap_servers());
    let (no_port, missing) = (support::free_port(), unique("missing"));
    let refused = amqp.replace("guest:guest", "guest:wr0ng-s3cret");
    let yaml = format!(
        r#"connections:
  rabbit: {{ rabbitmq: {{ urls: ["{amqp}"] }} }}
  refused: {{ rabbitmq: {{ urls: ["{refused}"] }} }}
  nowhere: {{ rabbitmq: {{ urls: ["amqp://127.0.0.1:{no_port}"] }} }}
  events: {{ kafka: {{ bootstrap_servers: "{servers}" }} }}
  dark: {{ kafka: {{ bootstrap_servers: "127.0.0.1:{no_port}" }} }}
bridges:
  good:
    source: {{ rabbitmq: {{ connection: rabbit, queue: {queue} }} }}
    sink: {{ kafka: {{ connection: events, topic: {topic} }} }}
  refused:
    source: {{ rabbitmq: {{ connection: refused, queue: {queue} }} }}
    sink: {{ kafka: {{ connection: events, topic: {topic} }} }}
  nowhere:
    source: {{ rabbitmq: {{ connection: nowhere, queue: {queue} }} }}
    sink: {{ kafka: {{ connection: events, topic: {topic} }} }}
  no-queue:
    source: {{ rabbitmq: {{ connection: rabbit, queue: {missing} }} }}
    sink: {{ kafka: {{ connection: events, topic: {topic} }} }}
  no-topic:
    source: {{ rabbitmq: {{ connection: rabbit, queue: {queue} }} }}
    sink: {{ kafka: {{ connection: events, topic: {missing} }} }}
  no-kafka:
    source: {{ rabbitmq: {{ connection: rabbit, queue: {queue} }} }}
    sink: {{ kafka: {{ connection: dark, topic: {topic} }} }}
"#
    );
    // Whatever is logged: the AMQP client's own lines would hold the login.
    let gantry = Gantry::start_with(vec![("GANTRY_LOG", "trace".to_owned())], &yaml);
    let port = no_port.to_string();
    let expected = [
        ("refused", "failed", vec!["guest", "refused"]),
        ("nowhere", "backing_off", vec![port.as_str()]),
        ("no-queue", "failed", vec![missing.as_str(), "declare"]),
        ("no-topic", "failed", vec![missing.as_str(), "declare"]),
        ("no-kafka", "backing_off", vec![port.as_str()]),
    ];
    for (bridge, state, words) in expected {
        let error = gantry.wait_for_state(bridge, state).await;
        for word in words {
            assert!(error.to_lowercase().contains(&word.to_lowercase()), "{bridge}: no \"{word}\" in: {error}");
        }
    }
    rabbit.wait_until_empty(&queue).await;
    assert_eq!(oracle::assert_nothing_lost(&kafka::read_all(&topic), 1_000).duplicates, 0);
    let (_, ready) = gantry.get("/readyz").expect("an answer");
    assert!(ready.contains("no-queue") && !ready.contains("\"good\""), "{ready}");

    let everything =
        [gantry.log(), gantry.get("/v1/bridges").expect("an answer").1, gantry.get("/metrics").expect("an answer").1];
    for text in everything {
        assert!(!text.contains("wr0ng-s3cret"), "a secret is shown: {text}");
    }
    rabbit.delete(&queue).await;
    kafka::delete_topic(&topic).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bridge_starts_moving_once_its_queue_and_topic_are_made() {
    let (queue, topic) = (unique("later"), unique("later"));
    let backoff = "errors: { backoff: { initial: 100ms, max: 500ms } }";
    let gantry = Gantry::start(&crate::bridge(&format!("queue: {queue}"), &format!("topic: {topic}"), backoff));
    gantry.wait_for_state("b", "failed").await;

    let rabbit = Rabbit::connect().await;
    kafka::create_topic(&topic, 1).await;
    rabbit.queue(&queue).await;
    rabbit.publish_sequence(&queue, 0, 10, 100).await;
    gantry.wait_until_ready().await;
    rabbit.wait_until_empty(&queue).await;
    oracle::assert_nothing_lost(&kafka::read_all(&topic), 10);
    rabbit.delete(&queue).await;
    kafka::delete_topic(&topic).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_was_wrong_is_tried_again_at_once_when_its_file_changes() {
    let queue = unique("password");
    let rabbit = Rabbit::connect().await;
    rabbit.queue(&queue).await;
    rabbit.publish_sequence(&queue, 0, 10, 100).await;
    let directory = tempfile::tempdir().expect("a directory");
    let password = directory.path().join("password");
    std::fs::write(&password, "wr0ng-s3cret").expect("writing");
    let url = support::amqp_url().replace("guest:guest@", &format!("guest:${{file:{}}}@", password.display()));
    let gantry = Gantry::start(&format!(
        r#"bridges:
  b:
    source: {{ rabbitmq: {{ connection: {{ urls: ["{url}"] }}, queue: {queue} }} }}
    sink: {{ "null": {{}} }}
    errors: {{ backoff: {{ initial: 1h, max: 1h }} }}
"#
    ));
    gantry.wait_for_state("b", "failed").await;
    let next = gantry.bridge("b").expect("the bridge")["tasks"][0]["next_try"].clone();
    assert!(next.is_string(), "it says when it tries again: {next}");
    std::fs::write(&password, "guest").expect("writing");
    gantry.wait_until_ready().await;
    rabbit.wait_until_empty(&queue).await;
    gantry.check_conservation("b");
    rabbit.delete(&queue).await;
}
