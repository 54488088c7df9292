//! What a bridge from Kafka to RabbitMQ cannot deliver: each has a stated result, and takes no neighbour with it.

use rdkafka::{
    message::{Header, OwnedHeaders},
    producer::FutureRecord,
};

use crate::{
    bridges, from_topic,
    support::{
        SOON, bootstrap_servers, eventually,
        feed::Feeder,
        gantry::Gantry,
        kafka::{self, Cluster},
        oracle,
        rabbit::Rabbit,
        unique,
    },
};

const GOOD: u64 = 200;
const BODY: &[u8] = b"bad";

/// A record that RabbitMQ cannot have.
struct Bad {
    /// The header that the sink's templates read.
    name: &'static str,
    value: Vec<u8>,
    /// What the reason must speak of.
    reason: &'static str,
}

fn bad_records() -> Vec<Bad> {
    let bad = |name, value: &[u8], reason| Bad { name, value: value.to_vec(), reason };
    vec![
        bad("priority", b"999", "priority"),
        bad("priority", b"high", "priority"),
        bad("expiration", b"soon", "expiration"),
        bad("user", b"nobody", "user"),
        bad("route", "r".repeat(256).as_bytes(), "255"),
        bad("route", &[0xff, 0xfe], "UTF-8"),
        bad("route", b"gantry-there-is-no-such-queue", "no queue"),
    ]
}

/// The oracle's messages, all in one partition, and a bad one behind every tenth until there are no more.
async fn publish(cluster: &Cluster, topic: &str, queue: &str) {
    let mut feeder = Feeder::new(cluster);
    let mut bad = bad_records().into_iter();
    for sequence in 0..GOOD {
        let (body, number) = (oracle::body(sequence, 200), sequence.to_string());
        let headers = OwnedHeaders::new()
            .insert(Header { key: "seq", value: Some(&number) })
            .insert(Header { key: "route", value: Some(queue) });
        feeder.send(FutureRecord::to(topic).key(b"good".as_slice()).payload(body.as_slice()).headers(headers)).await;
        if sequence % 10 == 9
            && let Some(bad) = bad.next()
        {
            let mut headers = OwnedHeaders::new();
            if bad.name != "route" {
                headers = headers.insert(Header { key: "route", value: Some(queue) });
            }
            let headers = headers.insert(Header { key: bad.name, value: Some(bad.value.as_slice()) });
            let record = FutureRecord::to(topic).key(bad.reason.as_bytes()).payload(BODY);
            feeder.send(record.headers(headers)).await;
        }
    }
    feeder.confirmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_bad_record_is_dead_lettered_alone_with_its_reason() {
    let (topic, queue, dead) = (unique("bad"), unique("bad"), unique("bad-dead"));
    let rabbit = Rabbit::connect().await;
    rabbit.queue(&queue).await;
    kafka::create_topic(&topic, 1).await;
    kafka::create_topic(&dead, 1).await;
    let cluster = Cluster::at(&bootstrap_servers(), 1);
    publish(&cluster, &topic, &queue).await;

    let sink = "rabbitmq: { connection: rabbit, routing_key: \"{header.route}\", properties: \
                { priority: \"{header.priority|1}\", expiration: \"{header.expiration}\", user_id: \"{header.user}\" } }";
    let dead_letter = format!("errors: {{ dead_letter: {{ kafka: {{ connection: events, topic: {dead} }} }} }}");
    let gantry = Gantry::start(&bridges(&[("b", &from_topic(&topic), sink, &dead_letter)]));
    cluster.wait_until_committed(&topic, &topic).await;
    gantry.wait_until_ready().await;
    gantry.check_conservation("b");

    let verdict = oracle::assert_nothing_lost(&rabbit.take_stored(&queue).await, GOOD);
    eprintln!("{} duplicates of good records", verdict.duplicates);
    // RabbitMQ says later of some than of others that it does not take them.
    let (mut refused, mut expected) = (kafka::read_all(&dead), bad_records());
    refused.sort_by(|one, other| one.key.cmp(&other.key));
    expected.sort_by_key(|bad| bad.reason);
    for (expected, found) in expected.iter().zip(&refused) {
        let reason = found.header("__connect.errors.exception.message").unwrap_or_default();
        assert_eq!(found.key.as_deref(), Some(expected.reason.as_bytes()));
        assert!(reason.contains(expected.reason), "{}: {reason}", expected.name);
        assert_eq!(found.value.as_deref(), Some(BODY), "the body is kept");
    }
    assert_eq!(refused.len(), expected.len());
    drop(gantry);
    rabbit.delete(&queue).await;
    kafka::delete_topic(&topic).await;
    kafka::delete_topic(&dead).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exchange_that_is_missing_is_named_and_waited_for() {
    let (topic, queue, exchange) = (unique("missing"), unique("missing"), unique("missing-exchange"));
    let rabbit = Rabbit::connect().await;
    rabbit.queue(&queue).await;
    kafka::create_topic(&topic, 1).await;
    let cluster = Cluster::at(&bootstrap_servers(), 1);
    let mut feeder = Feeder::new(&cluster);
    feeder.sequence(&topic, 1, 0, 1_000, 100).await;
    let sink = format!("rabbitmq: {{ connection: rabbit, exchange: {exchange}, routing_key: k }}");
    let backoff = "errors: { backoff: { initial: 100ms, max: 1s } }";
    let gantry = Gantry::start(&bridges(&[("b", &from_topic(&topic), &sink, backoff)]));
    let mut taken = Vec::new();
    // Before it starts, and while it runs.
    for messages in [1_000, 2_000] {
        let error = gantry.wait_for_state("b", "failed").await;
        assert!(error.contains(&exchange), "{error}");
        rabbit.exchange(&exchange, &queue, "k").await;
        eventually("everything is in the queue", SOON, async || {
            taken.extend(rabbit.take_stored(&queue).await);
            oracle::judge(&taken, messages).missing.is_empty().then_some(())
        })
        .await;
        cluster.wait_until_committed(&topic, &topic).await;
        gantry.check_conservation("b");
        rabbit.delete_exchange(&exchange).await;
        if messages < 2_000 {
            feeder.sequence(&topic, 1, messages, 2_000, 100).await;
        }
    }
    oracle::assert_nothing_lost(&taken, 2_000);
    let log = gantry.log();
    let backs_off = |line: &&str| line.contains("trying again in") && !line.contains("failed: ");
    assert_eq!(log.lines().find(backs_off), None, "it says at once that it needs a person");
    drop(gantry);
    rabbit.delete(&queue).await;
    kafka::delete_topic(&topic).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_without_offsets_is_an_error_when_that_is_asked_for() {
    let (topic, queue) = (unique("offsets"), unique("offsets"));
    let rabbit = Rabbit::connect().await;
    rabbit.queue(&queue).await;
    kafka::create_topic(&topic, 1).await;
    let cluster = Cluster::at(&bootstrap_servers(), 1);
    Feeder::new(&cluster).sequence(&topic, 1, 0, 10, 100).await;
    let source = format!("kafka: {{ connection: events, topic: {topic}, group: {topic}, offset_reset: error }}");
    let sink = format!("rabbitmq: {{ connection: rabbit, queue: {queue} }}");
    let gantry = Gantry::start(&bridges(&[("b", &source, &sink, "")]));
    let error = gantry.wait_for_state("b", "failed").await;
    assert!(error.contains("offset"), "{error}");
    assert_eq!(rabbit.ready(&queue).await, 0, "nothing was moved");
    gantry.check_conservation("b");
    drop(gantry);
    rabbit.delete(&queue).await;
    kafka::delete_topic(&topic).await;
}
