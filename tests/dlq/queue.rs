//! Dead letters in RabbitMQ: what lies in a queue is read without being taken out.

use lapin::{
    BasicProperties,
    message::Delivery,
    options::{BasicGetOptions, BasicRejectOptions},
    types::{AMQPValue, FieldArray, FieldTable},
};
use rdkafka::{
    message::{Header, OwnedHeaders},
    producer::FutureRecord,
};

use crate::{
    ONLY_JSON, bridge,
    command::{count, dlq, first_id, list},
    properties, rabbit_letters,
    support::{
        SOON, amqp_url, bootstrap_servers,
        brokers::{max_message_size, usual_max_message_size},
        eventually,
        feed::Feeder,
        gantry::Gantry,
        kafka::{self, Cluster},
        oracle,
        rabbit::{self, Rabbit},
        unique,
    },
};

/// A bridge `b` from a topic to a queue, where everything that AMQP does not have is in headers.
fn reverse(topic: &str, group: &str, transforms: &str, queue: &str, dead_letter: &str) -> String {
    format!(
        r#"connections:
  rabbit: {{ rabbitmq: {{ urls: ["{}"] }} }}
  events: {{ kafka: {{ bootstrap_servers: "{}" }} }}
bridges:
  b:
    source: {{ kafka: {{ connection: events, topic: {topic}, group: {group}, offset_reset: earliest }} }}
    transforms: [ {transforms} ]
    sink:
      rabbitmq:
        connection: rabbit
        queue: {queue}
        headers: {{ k: "{{key}}", t: "{{timestamp}}", from: "{{topic}} {{partition}} {{offset}}" }}
    errors: {{ backoff: {{ initial: 50ms, max: 200ms }}, dead_letter: {dead_letter} }}
"#,
        amqp_url(),
        bootstrap_servers(),
    )
}

/// What RabbitMQ holds of a message, without what no two deliveries share.
fn content(delivery: Delivery) -> (Vec<u8>, BasicProperties) {
    (delivery.data, delivery.properties)
}

async fn dead_lettered(gantry: &Gantry, count: f64) {
    eventually("they are dead letters", SOON, async || {
        gantry.metric("gantry_records_dead_lettered_total", "b").filter(|dead| *dead >= count)
    })
    .await;
    gantry.check_conservation("b");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kafka_record_comes_back_with_its_key_its_time_and_the_order_of_its_headers() {
    let (topic, queue, dead) = (unique("reverse"), unique("reverse"), unique("dead"));
    let rabbit = Rabbit::connect().await;
    rabbit.queue(&queue).await;
    kafka::create_topic(&topic, 1).await;
    let mut feeder = Feeder::new(&Cluster::at(&bootstrap_servers(), 1));
    let header = |key, value: Option<&'static [u8]>| Header { key, value };
    let headers = [header("z", Some(b"1")), header("a", Some(b"\xff\x00")), header("z", None), header("m", Some(b""))];
    let headers = headers.into_iter().fold(OwnedHeaders::new(), OwnedHeaders::insert);
    let key = [0_u8, 0xff, b'k'];
    feeder
        .send(
            FutureRecord::to(&topic)
                .key(&key[..])
                .payload(&b"no json"[..])
                .timestamp(1_700_000_000_123)
                .headers(headers),
        )
        .await;
    feeder.send(FutureRecord::to(&topic).payload(&b"nor this"[..])).await;
    feeder.confirmed().await;
    let letters = rabbit_letters(&dead);
    let gantry = Gantry::start(&reverse(&topic, &topic, ONLY_JSON, &queue, &letters));
    dead_lettered(&gantry, 2.0).await;
    let config = gantry.directory().join("gantry.yaml");

    let shown = dlq(&config, &["show"]);
    for part in ["no json", "0x00ff6b", "2023-11-14T22:13:20.123Z", "partition", &topic] {
        assert!(shown.out.contains(part), "{part}: {}", shown.out);
    }
    assert!(!shown.out.contains("not exact"), "{}", shown.out);
    gantry.configure(&reverse(&topic, &topic, "", &queue, &letters));
    let replayed = dlq(&config, &["replay", "--yes"]);
    assert!(replayed.code == Some(0) && replayed.out.contains("2 of 2 replayed: 2 delivered"), "{replayed:?}");
    let detour: Vec<_> = rabbit.take_deliveries(&queue).await.into_iter().map(content).collect();
    drop(gantry);

    // The same records without the detour.
    let gantry = Gantry::start(&reverse(&topic, &unique("straight"), "", &queue, &letters));
    eventually("both arrive", SOON, async || (rabbit.ready(&queue).await == 2).then_some(())).await;
    gantry.check_conservation("b");
    let straight: Vec<_> = rabbit.take_deliveries(&queue).await.into_iter().map(content).collect();
    assert_eq!(detour, straight);
    rabbit.delete(&queue).await;
    rabbit.delete(&dead).await;
    kafka::delete_topic(&topic).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_chosen_leaves_the_queue_and_what_is_refused_again_is_a_new_letter() {
    let (queue, topic, dead) = (unique("choose"), unique("choose"), unique("dead"));
    let rabbit = Rabbit::connect().await;
    rabbit.queue(&queue).await;
    kafka::create_topic(&topic, 1).await;
    let letters = rabbit_letters(&dead);
    for number in 0..5 {
        rabbit.publish(&queue, format!("not json {number}").as_bytes(), BasicProperties::default()).await;
    }
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(3_000_000));
    rabbit.publish(&queue, large.as_bytes(), properties("large")).await;
    let gantry = Gantry::start(&bridge(&queue, ONLY_JSON, &topic, &letters));
    rabbit.wait_until_empty(&queue).await;
    gantry.check_conservation("b");
    let config = gantry.directory().join("gantry.yaml");
    let report = list(&config);
    let groups = report["groups"].as_array().expect("groups");
    let kinds: Vec<_> = groups.iter().map(|group| (group["count"].as_u64(), group["stage"].as_str())).collect();
    assert_eq!(kinds, [(Some(5), Some("TRANSFORMATION")), (Some(1), Some("KAFKA_PRODUCE"))], "{report}");
    assert!(groups[0]["first"].is_string(), "{report}");

    gantry.configure(&bridge(&queue, "", &topic, &letters));
    let dry = dlq(&config, &["replay", "--dry-run"]);
    assert!(dry.code == Some(0) && dry.out.contains("6 would go to the sink"), "{dry:?}");
    assert_eq!((count(&config), rabbit.ready(&dead).await), (6, 6), "a dry run takes nothing");
    let some = dlq(&config, &["replay", "--reason", "not JSON", "--limit", "2", "--yes"]);
    assert!(some.code == Some(0) && some.out.contains("2 of 2 replayed"), "{some:?}");
    let one = dlq(&config, &["replay", "--id", &first_id(&config), "--yes"]);
    assert!(one.code == Some(0) && one.out.contains("1 of 1 replayed"), "{one:?}");
    let rest = dlq(&config, &["replay", "--yes"]);
    assert!(rest.out.contains("3 of 3 replayed: 2 delivered, 0 filtered, 1 refused again"), "{rest:?}");
    let values: Vec<_> = kafka::read_all(&topic).into_iter().filter_map(|record| record.value).collect();
    assert_eq!(values, (0..5).map(|number| format!("not json {number}").into_bytes()).collect::<Vec<_>>());

    // The letter that was refused twice is whole, and has one reason.
    let left = rabbit.take_deliveries(&dead).await;
    assert!(left.len() == 1 && left[0].data == large.as_bytes());
    let table = left[0].properties.headers().clone().expect("headers");
    let stages: Vec<_> = table.inner().get("__connect.errors.stage").into_iter().collect();
    assert_eq!(stages, [&AMQPValue::LongString("KAFKA_PRODUCE".into())]);
    rabbit.delete(&queue).await;
    rabbit.delete(&dead).await;
    kafka::delete_topic(&topic).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_rabbitmq_dead_lettered_and_what_somebody_put_there_are_letters_too() {
    let (queue, topic, dead) = (unique("foreign"), unique("foreign"), unique("dead"));
    let rabbit = Rabbit::connect().await;
    let mut arguments = FieldTable::default();
    arguments.insert("x-dead-letter-exchange".into(), AMQPValue::LongString("".into()));
    arguments.insert("x-dead-letter-routing-key".into(), AMQPValue::LongString(dead.as_str().into()));
    rabbit.queue_with(&queue, arguments).await;
    rabbit.queue(&dead).await;
    kafka::create_topic(&topic, 1).await;
    let own = properties("m-1");
    rabbit.publish(&queue, b"rejected", own.clone()).await;
    let taken = rabbit.channel.basic_get(queue.as_str().into(), BasicGetOptions::default()).await.expect("a message");
    let tag = taken.expect("it is there").delivery.delivery_tag;
    rabbit.channel.basic_reject(tag, BasicRejectOptions { requeue: false }).await.expect("rejecting it");
    eventually("it is dead-lettered", SOON, async || (rabbit.ready(&dead).await == 1).then_some(())).await;
    rabbit.publish(&dead, b"somebody's", BasicProperties::default()).await;
    rabbit.publish(&dead, b"somebody's", BasicProperties::default()).await;

    let gantry = Gantry::start(&bridge(&queue, "", &topic, &rabbit_letters(&dead)));
    let config = gantry.directory().join("gantry.yaml");
    let listed = dlq(&config, &["list"]);
    for part in ["a consumer rejected it", "RABBITMQ_DEAD_LETTER", &queue, "it says no reason", "3 dead letters"] {
        assert!(listed.out.contains(part), "{part}: {listed:?}");
    }
    let one = dlq(&config, &["replay", "--reason", "rejected", "--yes"]);
    assert!(one.code == Some(0) && one.out.contains("1 of 1 replayed"), "{one:?}");
    // Two that are equal to the last bit are two.
    let rest = dlq(&config, &["replay", "--yes"]);
    assert!(rest.code == Some(0) && rest.out.contains("2 of 2 replayed"), "{rest:?}");
    assert_eq!(rabbit.ready(&dead).await, 0);

    // As if nobody had ever rejected it.
    rabbit.publish(&queue, b"rejected", own).await;
    rabbit.wait_until_empty(&queue).await;
    gantry.check_conservation("b");
    let stored = kafka::read_all(&topic);
    assert_eq!(stored.len(), 4);
    assert_eq!((&stored[0].value, &stored[0].headers), (&stored[3].value, &stored[3].headers));
    rabbit.delete(&queue).await;
    rabbit.delete(&dead).await;
    kafka::delete_topic(&topic).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_rabbitmq_would_act_by_is_whole_in_a_letter_and_kept_after_a_replay() {
    let (queue, output, dead) = (unique("acts"), unique("acts-out"), unique("dead"));
    let rabbit = Rabbit::connect().await;
    rabbit.queue(&queue).await;
    rabbit.queue(&output).await;
    let mut headers = FieldTable::default();
    headers.insert("tenant".into(), AMQPValue::LongString("acme".into()));
    headers.insert("x-received-from".into(), AMQPValue::FieldArray(FieldArray::default()));
    headers.insert("x-death".into(), AMQPValue::FieldArray(FieldArray::default()));
    rabbit.publish(&queue, b"no json", BasicProperties::default().with_headers(headers)).await;
    let letters = rabbit_letters(&dead);
    let shovel = |transforms: &str| {
        bridge(&queue, transforms, "t", &letters).replace(
            "kafka: { connection: events, topic: t, header_mapping: { encoding: typed } }",
            &format!("rabbitmq: {{ connection: rabbit, queue: {output} }}"),
        )
    };
    let gantry = Gantry::start(&shovel(ONLY_JSON));
    dead_lettered(&gantry, 1.0).await;
    let config = gantry.directory().join("gantry.yaml");
    let shown = dlq(&config, &["show"]);
    for part in ["x-death", "x-received-from", "tenant"] {
        assert!(shown.out.contains(part) && !shown.out.contains("not exact"), "{part}: {}", shown.out);
    }
    gantry.configure(&shovel(""));
    let replayed = dlq(&config, &["replay", "--yes"]);
    assert!(replayed.code == Some(0) && replayed.out.contains("1 of 1 replayed: 1 delivered"), "{replayed:?}");
    let arrived = rabbit.take_deliveries(&output).await.remove(0);
    let headers = arrived.properties.headers().clone().expect("headers");
    let names: Vec<_> = headers.inner().keys().map(ToString::to_string).collect();
    assert_eq!(names, ["gantry.kept.x-death", "gantry.kept.x-received-from", "tenant"]);
    for queue in [&queue, &output, &dead] {
        rabbit.delete(queue).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quorum_queue_gives_its_letters_in_order_again_and_warns_that_it_counts() {
    let (queue, topic, dead) = (unique("quorum"), unique("quorum"), unique("dead"));
    let rabbit = Rabbit::connect().await;
    rabbit.queue(&queue).await;
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    arguments.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(20));
    rabbit.queue_with(&dead, arguments).await;
    kafka::create_topic(&topic, 1).await;
    rabbit.publish_sequence(&queue, 0, 5_000, 200).await;
    let letters = format!("{{ rabbitmq: {{ connection: rabbit, queue: {dead} }} }}");
    let gantry = Gantry::start(&bridge(&queue, "", "\"{header.nowhere}\"", &letters));
    rabbit.wait_until_empty(&queue).await;
    gantry.check_conservation("b");
    let config = gantry.directory().join("gantry.yaml");
    gantry.configure(&bridge(&queue, "", &topic, &letters));
    let in_order = |when: &str| {
        let shown = dlq(&config, &["show", "--limit", "5000"]).out;
        let numbers = shown.lines().filter_map(|line| line.trim().strip_prefix("header seq")?.trim().split(' ').next());
        let numbers: Vec<u64> = numbers.map(|number| number.parse().expect("a number")).collect();
        let step = numbers.iter().zip(0..).find(|(number, expected)| **number != *expected);
        assert!(step.is_none() && numbers.len() == 5_000, "{when}: {step:?} of {}", numbers.len());
    };
    in_order("as it was written");
    in_order("after it was read");
    let first = first_id(&config);
    let again = dlq(&config, &["list"]);
    assert!(again.out.contains("5000 dead letters") && again.err.contains("quorum queue"), "{again:?}");
    assert_eq!(first_id(&config), first, "a letter keeps its name");
    let replayed = dlq(&config, &["replay", "--yes"]);
    assert!(replayed.code == Some(0) && replayed.out.contains("5000 of 5000 replayed"), "{replayed:?}");
    assert_eq!(oracle::assert_nothing_lost(&kafka::read_all(&topic), 5_000).duplicates, 0);
    rabbit.delete(&queue).await;
    rabbit.delete(&dead).await;
    kafka::delete_topic(&topic).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_that_ends_early_says_why_and_promises_nothing() {
    let (queue, dead, nowhere) = (unique("early"), unique("dead"), unique("nowhere"));
    let rabbit = Rabbit::connect().await;
    rabbit.queue(&queue).await;
    rabbit.publish(&queue, b"{}", BasicProperties::default()).await;
    let letters = rabbit_letters(&dead);
    let gantry = Gantry::start(&bridge(&queue, "", "\"{header.nowhere}\"", &letters));
    rabbit.wait_until_empty(&queue).await;
    gantry.check_conservation("b");
    let config = gantry.directory().join("gantry.yaml");
    gantry.configure(&bridge(&queue, "", &nowhere, &letters));
    let replayed = dlq(&config, &["replay", "--yes"]);
    assert!(replayed.code == Some(1) && replayed.out.contains("ended early: "), "{replayed:?}");
    assert!(replayed.out.contains(&nowhere) && replayed.out.contains("1 are dead letters still"), "{replayed:?}");
    assert!(!replayed.err.contains("trying again"), "{replayed:?}");
    assert_eq!(count(&config), 1);
    rabbit.delete(&queue).await;
    rabbit.delete(&dead).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_whose_headers_are_nested_very_deeply_is_shown_and_replayed() {
    let (queue, topic, dead) = (unique("deep"), unique("deep"), unique("dead"));
    let rabbit = Rabbit::connect().await;
    rabbit.queue(&queue).await;
    kafka::create_topic(&topic, 1).await;
    let nested = rabbit::publish_nested(&queue, 12_000);
    let letters = rabbit_letters(&dead);
    let gantry = Gantry::start(&bridge(&queue, ONLY_JSON, &topic, &letters));
    dead_lettered(&gantry, 1.0).await;
    let config = gantry.directory().join("gantry.yaml");
    gantry.configure(&bridge(&queue, "", &topic, &letters));
    let shown = dlq(&config, &["show"]);
    assert!(
        shown.code == Some(0) && shown.out.contains(&nested) && !shown.out.contains("not exact"),
        "{:?}",
        shown.code
    );
    let replayed = dlq(&config, &["replay", "--yes"]);
    assert!(replayed.code == Some(0) && replayed.out.contains("1 of 1 replayed: 1 delivered"), "{replayed:?}");
    assert_eq!(kafka::read_all(&topic)[0].value.as_deref(), Some(b"deep".as_slice()));
    rabbit.delete(&queue).await;
    rabbit.delete(&dead).await;
    kafka::delete_topic(&topic).await;
}

/// RabbitMQ's limit is below what Kafka has: there is nowhere to put it.
#[tokio::test(flavor = "multi_thread")]
async fn a_letter_above_rabbitmqs_limit_holds_the_bridge_and_says_what_to_do() {
    // Above everything else that runs against this broker.
    const LIMIT: usize = 20_000_000;
    let (topic, queue, dead) = (unique("oversize"), unique("oversize"), unique("dead"));
    let rabbit = Rabbit::connect().await;
    rabbit.queue(&queue).await;
    kafka::create_topic_with(&topic, 1, &[("max.message.bytes", "30000000")]).await;
    let producer = [("message.max.bytes", "30000000")];
    let mut feeder = Feeder::with(&Cluster::at(&bootstrap_servers(), 1), &producer);
    let large = vec![b'x'; LIMIT + 1];
    feeder.send(FutureRecord::to(&topic).payload(large.as_slice())).await;
    feeder.confirmed().await;
    max_message_size(LIMIT).await;
    let gantry = Gantry::start(&reverse(&topic, &topic, ONLY_JSON, &queue, &rabbit_letters(&dead)));
    let error = gantry.wait_for_state("b", "failed").await;
    for part in ["20000001 bytes", "max_message_size", "keep dead letters in Kafka or a file"] {
        assert!(error.contains(part), "{part}: {error}");
    }
    assert_eq!(gantry.metric("gantry_records_dead_lettered_total", "b"), Some(0.0));
    gantry.check_conservation("b");
    // The restart is the person's, who has mended it.
    max_message_size(134_217_728).await;
    let (status, body) = gantry.request("POST", "/connectors/b/restart").expect("an answer");
    assert!(status < 300, "{body}");
    dead_lettered(&gantry, 1.0).await;
    let config = gantry.directory().join("gantry.yaml");
    assert_eq!(count(&config), 1);
    gantry.configure(&reverse(&topic, &topic, "", &queue, &rabbit_letters(&dead)));
    assert_eq!(dlq(&config, &["replay", "--yes"]).code, Some(0));
    assert_eq!(rabbit.take_deliveries(&queue).await.remove(0).data.len(), LIMIT + 1);
    max_message_size(usual_max_message_size()).await;
    rabbit.delete(&queue).await;
    rabbit.delete(&dead).await;
    kafka::delete_topic(&topic).await;
}
