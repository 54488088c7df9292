//! What is refused becomes a letter, and what is mended arrives as it was.

use lapin::BasicProperties;

use crate::{
    ONLY_JSON, bridge,
    command::{count, dlq},
    kafka_letters, properties, rabbit_letters,
    support::{
        gantry::Gantry,
        kafka::{self, Stored},
        oracle,
        rabbit::Rabbit,
        unique,
    },
};

/// Key, value, headers and timestamp.
type Content = (Option<Vec<u8>>, Option<Vec<u8>>, Vec<(String, Option<Vec<u8>>)>, Option<i64>);

/// What Kafka holds of a record, without what no two writes share.
fn content(stored: &Stored) -> Content {
    (stored.key.clone(), stored.value.clone(), stored.headers.clone(), stored.timestamp)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replayed_record_arrives_as_if_it_had_never_been_refused() {
    let dead = unique("dead");
    kafka::create_topic(&dead, 1).await;
    arrives_as_if_never_refused(&kafka_letters(&dead)).await;
    kafka::delete_topic(&dead).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_replayed_out_of_a_queue_arrives_as_if_it_had_never_been_refused() {
    let dead = unique("dead");
    arrives_as_if_never_refused(&rabbit_letters(&dead)).await;
    let rabbit = Rabbit::connect().await;
    assert_eq!(rabbit.ready(&dead).await, 0, "a replayed letter is gone");
    rabbit.delete(&dead).await;
}

async fn arrives_as_if_never_refused(letters: &str) {
    let (queue, topic) = (unique("replay"), unique("replay"));
    let rabbit = Rabbit::connect().await;
    rabbit.queue(&queue).await;
    kafka::create_topic(&topic, 1).await;
    let publish = async || {
        rabbit.publish(&queue, b"not json", properties("m-1")).await;
        rabbit.publish(&queue, b"\xff\x00 not text", BasicProperties::default()).await;
        rabbit.publish(&queue, b"", properties("m-3")).await;
    };
    publish().await;
    let gantry = Gantry::start(&bridge(&queue, ONLY_JSON, &topic, letters));
    rabbit.wait_until_empty(&queue).await;
    assert_eq!(gantry.metric("gantry_records_dead_lettered_total", "b"), Some(3.0));
    gantry.check_conservation("b");
    let config = gantry.directory().join("gantry.yaml");

    let listed = dlq(&config, &["list"]);
    assert!(
        listed.code == Some(0) && listed.out.contains("TRANSFORMATION") && listed.out.contains(&queue),
        "{listed:?}"
    );
    assert!(
        listed.out.contains("the body is not JSON") && listed.out.contains("3 dead letters of \"b\""),
        "{listed:?}"
    );
    let shown = dlq(&config, &["show", "--limit", "1"]);
    for part in ["not json", "property message_id      m-1", "retries", "-7 (i16)", "stage", "connector.name"] {
        assert!(shown.out.contains(part), "{part}: {}", shown.out);
    }
    assert!(!shown.out.contains("not exact"), "{}", shown.out);
    // Not mended yet: a dry run says so, and changes nothing.
    let dry = dlq(&config, &["replay", "--dry-run"]);
    assert!(dry.code == Some(1) && dry.out.contains("3 would be refused by the transforms again"), "{dry:?}");
    assert_eq!((count(&config), kafka::read_all(&topic).len()), (3, 0));

    // Mended. The service runs on with the old configuration; the replay has its own.
    gantry.configure(&bridge(&queue, "", &topic, letters));
    let replayed = dlq(&config, &["replay", "--yes"]);
    assert!(replayed.code == Some(0) && replayed.out.contains("3 of 3 replayed: 3 delivered"), "{replayed:?}");
    let again = dlq(&config, &["replay", "--yes"]);
    assert!(again.code == Some(0) && again.out.contains("nothing to replay"), "{again:?}");
    assert_eq!(count(&config), 0);
    drop(gantry);

    // The same messages without the detour.
    let straight = unique("straight");
    kafka::create_topic(&straight, 1).await;
    publish().await;
    let gantry = Gantry::start(&bridge(&queue, "", &straight, letters));
    rabbit.wait_until_empty(&queue).await;
    gantry.check_conservation("b");
    let of = |topic: &str| kafka::read_all(topic).iter().map(content).collect::<Vec<_>>();
    let (detour, expected) = (of(&topic), of(&straight));
    assert_eq!(detour[0], expected[0]);
    assert_eq!(detour[2], expected[2]);
    // This one has no timestamp of its own, so Kafka gave it one each time.
    let (detour, expected) = (&kafka::read_all(&topic)[1], &kafka::read_all(&straight)[1]);
    assert_eq!((&detour.value, &detour.headers), (&expected.value, &expected.headers));
    rabbit.delete(&queue).await;
    for topic in [topic, straight] {
        kafka::delete_topic(&topic).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_chosen_is_replayed_and_what_is_refused_again_is_a_new_letter() {
    let (queue, topic, dead) = (unique("choose"), unique("choose"), unique("dead"));
    let rabbit = Rabbit::connect().await;
    rabbit.queue(&queue).await;
    kafka::create_topic(&topic, 1).await;
    kafka::create_topic_with(&dead, 1, &[("max.message.bytes", "20000000")]).await;
    for number in 0..5 {
        rabbit.publish(&queue, format!("not json {number}").as_bytes(), BasicProperties::default()).await;
    }
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(3_000_000));
    rabbit.publish(&queue, large.as_bytes(), properties("large")).await;
    let gantry = Gantry::start(&bridge(&queue, ONLY_JSON, &topic, &kafka_letters(&dead)));
    rabbit.wait_until_empty(&queue).await;
    gantry.check_conservation("b");
    drop(gantry);
    // Another bridge's letters lie in the same topic.
    rabbit.publish(&queue, b"other", BasicProperties::default()).await;
    let other = bridge(&queue, ONLY_JSON, &topic, &kafka_letters(&dead)).replace("  b:\n", "  other:\n");
    let gantry = Gantry::start(&other);
    rabbit.wait_until_empty(&queue).await;
    gantry.check_conservation("other");
    let config = gantry.directory().join("gantry.yaml");
    gantry.configure(&bridge(&queue, "", &topic, &kafka_letters(&dead)));

    assert_eq!(count(&config), 6);
    let by_stage = dlq(&config, &["list", "--stage", "KAFKA_PRODUCE"]);
    assert!(
        by_stage.out.contains("1 dead letters") && by_stage.out.contains("1 letters of other bridges"),
        "{by_stage:?}"
    );
    let unasked = dlq(&config, &["replay", "--reason", "not JSON", "--limit", "2"]);
    assert!(unasked.code == Some(2) && unasked.err.contains("--yes"), "{unasked:?}");
    let some = dlq(&config, &["replay", "--reason", "not JSON", "--limit", "2", "--yes"]);
    assert!(some.code == Some(0) && some.out.contains("2 of 2 replayed"), "{some:?}");
    let one = dlq(&config, &["replay", "--id", "0:4", "--yes"]);
    assert!(one.code == Some(0) && one.out.contains("1 of 1 replayed"), "{one:?}");
    assert_eq!(count(&config), 3);
    let rest = dlq(&config, &["replay", "--yes"]);
    assert!(rest.code == Some(1), "{rest:?}");
    assert!(rest.out.contains("3 of 3 replayed: 2 delivered, 0 filtered, 1 refused again"), "{rest:?}");
    let left = dlq(&config, &["list"]);
    assert!(left.out.contains("1 dead letters of \"b\"") && left.out.contains("KAFKA_PRODUCE"), "{left:?}");

    let values: Vec<_> = kafka::read_all(&topic).into_iter().filter_map(|record| record.value).collect();
    let mut texts: Vec<_> = values.iter().map(|value| String::from_utf8_lossy(value).into_owned()).collect();
    assert_eq!(texts[..2], ["not json 0", "not json 1"]);
    texts.sort();
    assert_eq!(texts, (0..5).map(|number| format!("not json {number}")).collect::<Vec<_>>());
    // The letter that was refused twice is whole, and has one reason.
    let letters = kafka::read_all(&dead);
    let twice = letters.iter().filter(|stored| stored.value.as_deref() == Some(large.as_bytes())).collect::<Vec<_>>();
    assert_eq!(twice.len(), 2);
    assert_eq!(
        twice[1].headers.iter().filter(|(name, _)| name == "__connect.errors.stage").count(),
        1,
        "the first reason is not part of the record"
    );
    rabbit.delete(&queue).await;
    kafka::delete_topic(&topic).await;
    kafka::delete_topic(&dead).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_keeps_order_and_the_oracle_agrees() {
    let dead = unique("dead");
    kafka::create_topic(&dead, 1).await;
    keeps_order(&kafka_letters(&dead)).await;
    kafka::delete_topic(&dead).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_out_of_a_queue_keeps_order_and_the_oracle_agrees() {
    let dead = unique("dead");
    keeps_order(&rabbit_letters(&dead)).await;
    Rabbit::connect().await.delete(&dead).await;
}

/// Also after the letters were looked at, which a queue must not notice.
async fn keeps_order(letters: &str) {
    let (queue, topic) = (unique("order"), unique("order"));
    let rabbit = Rabbit::connect().await;
    rabbit.queue(&queue).await;
    kafka::create_topic(&topic, 1).await;
    rabbit.publish_sequence(&queue, 0, 3_000, 200).await;
    // Every message lacks the field that the topic's name needs.
    let refusing = bridge(&queue, "", "\"{header.nowhere}\"", letters);
    let gantry = Gantry::start(&refusing);
    rabbit.wait_until_empty(&queue).await;
    gantry.check_conservation("b");
    assert_eq!(gantry.metric("gantry_records_dead_lettered_total", "b"), Some(3_000.0));
    let config = gantry.directory().join("gantry.yaml");
    gantry.configure(&bridge(&queue, "", &topic, letters));
    assert_eq!(count(&config), 3_000);
    assert!(dlq(&config, &["show", "--limit", "3"]).out.contains("seq"));
    let replayed = dlq(&config, &["replay", "--yes"]);
    assert!(replayed.code == Some(0) && replayed.out.contains("3000 of 3000 replayed"), "{replayed:?}");
    assert_eq!(oracle::assert_nothing_lost(&kafka::read_all(&topic), 3_000).duplicates, 0);
    assert_eq!(count(&config), 0);
    rabbit.delete(&queue).await;
    kafka::delete_topic(&topic).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_in_text_encoding_come_back_as_text_and_say_so() {
    let (queue, topic, dead) = (unique("text"), unique("text"), unique("dead"));
    let rabbit = Rabbit::connect().await;
    rabbit.queue(&queue).await;
    kafka::create_topic(&topic, 1).await;
    kafka::create_topic(&dead, 1).await;
    rabbit.publish(&queue, b"not json", properties("m-1")).await;
    let letters = format!(
        "{{ kafka: {{ connection: events, topic: {dead}, key: replaced, header_mapping: {{ encoding: text }} }} }}"
    );
    let gantry = Gantry::start(&bridge(&queue, ONLY_JSON, &topic, &letters));
    rabbit.wait_until_empty(&queue).await;
    gantry.check_conservation("b");
    let config = gantry.directory().join("gantry.yaml");
    let listed = dlq(&config, &["list"]);
    assert!(listed.out.contains("1 of them cannot be rebuilt exactly"), "{listed:?}");
    let shown = dlq(&config, &["show"]);
    assert!(shown.out.contains("not exact") && shown.out.contains("retries           -7 (string)"), "{}", shown.out);
    gantry.configure(&bridge(&queue, "", &topic, &letters));
    let replayed = dlq(&config, &["replay", "--yes"]);
    assert_eq!(replayed.code, Some(0), "{replayed:?}");
    let stored = kafka::read_all(&topic).remove(0);
    assert_eq!((stored.key.as_deref(), stored.timestamp), (None, Some(1_700_000_000_000)));
    assert_eq!(stored.header("amqp.message_id").as_deref(), Some("m-1"));
    assert_eq!(stored.header("amqp.priority").as_deref(), Some("5"));
    assert_eq!(stored.header("retries").as_deref(), Some("-7"));
    rabbit.delete(&queue).await;
    kafka::delete_topic(&topic).await;
    kafka::delete_topic(&dead).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_back_says_so() {
    let directory = tempfile::tempdir().expect("a directory");
    let config = directory.path().join("gantry.yaml");
    let cases = [
        ("{ console: {} }", "from where they cannot be read back"),
        ("{ reject: {} }", "read them there"),
        ("{ kafka: { connection: events, topic: \"dead-{queue}\" } }", "fixed name"),
        ("{ kafka: { connection: events, topic: no-such-topic-at-all } }", "it does not exist"),
        ("{ file: { path: /nonexistent/letters.jsonl } }", "nothing was written there yet"),
        ("{ rabbitmq: { connection: rabbit, exchange: amq.topic } }", "`queue: NAME`"),
        ("{ rabbitmq: { connection: rabbit, queue: \"dead-{queue}\" } }", "`queue: NAME`"),
        ("{ rabbitmq: { connection: rabbit, queue: dead, map: { orders: other } } }", "`queue: NAME`"),
        ("{ rabbitmq: { connection: rabbit, queue: no-such-queue-at-all } }", "it does not exist"),
    ];
    for (letters, words) in cases {
        std::fs::write(&config, bridge("q", "", "t", letters)).expect("writing the configuration");
        for command in ["list", "show", "replay"] {
            let ended = dlq(&config, &[command]);
            assert!(ended.code == Some(2) && ended.err.contains(words), "{command} {letters}: {ended:?}");
        }
    }
    std::fs::write(&config, bridge("q", "", "t", "{ console: {} }").replace("  b:\n", "  a:\n")).expect("writing");
    assert!(dlq(&config, &["list"]).err.contains("there is no bridge \"b\""));
}
