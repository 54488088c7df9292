//! Records that can never be delivered: each is refused alone, and the others go on.

use gantry_sdk::{FailureKind, Properties, Record, Value};
use lapin::{
    ExchangeKind,
    types::{AMQPValue, FieldTable},
};
use serde_json::json;

use super::{
    super::support::{Rabbit, assert_numbers, unique},
    support::{bind, deliver, drain, drain_numbers, exchange, numbered, open, record, refusal},
};

/// Every record that is not a multiple of `nth`, by its number.
fn others(count: usize, nth: usize) -> Vec<usize> {
    (0..count).filter(|number| number % nth != 0).collect()
}

fn multiples(count: usize, nth: usize) -> Vec<usize> {
    (0..count).step_by(nth).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exactly_what_is_unroutable_is_refused_under_full_pipelining() {
    let rabbit = Rabbit::connect().await;
    let queue = rabbit.queue("routable").await;
    // A quorum queue confirms later than RabbitMQ confirms what it returned: the confirms come out of order.
    let quorum = rabbit.queue_with("quorum", &[("x-queue-type", AMQPValue::LongString("quorum".into()))]).await;
    let mut sink = open(json!({ "queue": "{queue}" })).await;
    let mut records = numbered(0..6000);
    for (number, record) in records.iter_mut().enumerate() {
        record.origin.address = match number % 3 {
            0 => "there-is-no-such-queue".into(),
            1 => queue.name.as_str().into(),
            _ => quorum.name.as_str().into(),
        };
    }
    let fates = deliver(&mut *sink, records).await;
    assert_eq!(fates.refused_numbers(), multiples(6000, 3));
    assert!(fates.refused.iter().all(|(_, failure)| failure.kind == FailureKind::Rejected));
    assert!(fates.refused[0].1.reason.contains("312 NO_ROUTE"), "{:?}", fates.refused[0]);
    assert_eq!(drain_numbers(&rabbit, &queue).await, (0..6000).filter(|n| n % 3 == 1).collect::<Vec<_>>());
    assert_eq!(drain_numbers(&rabbit, &quorum).await, (0..6000).filter(|n| n % 3 == 2).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_messages_with_one_body_exactly_the_unroutable_are_refused() {
    let rabbit = Rabbit::connect().await;
    let queue = rabbit.queue("same").await;
    let mut sink = open(json!({ "queue": "{queue}" })).await;
    let same = |number: usize| {
        let mut record = record("same");
        record.origin.address = if number.is_multiple_of(3) { "nowhere".into() } else { queue.name.as_str().into() };
        record
    };
    let fates = deliver(&mut *sink, (0..3000).map(same).collect()).await;
    assert_eq!(fates.refused_numbers(), multiples(3000, 3));
    assert_eq!(drain(&rabbit, &queue).await.len(), 2000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_messages_that_differ_in_a_header_alone_exactly_the_unroutable_are_refused() {
    let rabbit = Rabbit::connect().await;
    let (queue, name) = (rabbit.queue("good").await, exchange(&rabbit, ExchangeKind::Headers).await);
    let mut arguments = FieldTable::default();
    arguments.insert("kind".into(), AMQPValue::LongString("good".into()));
    let (to, from) = (queue.name.as_str().into(), name.as_str().into());
    rabbit.channel.queue_bind(to, from, "".into(), Default::default(), arguments).await.expect("both are there");
    let mut sink = open(json!({ "exchange": name, "routing_key": "same" })).await;
    let same = |number: usize| {
        let mut record = record("same");
        record.headers.push("kind", Value::text(if number.is_multiple_of(3) { "bad" } else { "good" }));
        record
    };
    let fates = deliver(&mut *sink, (0..3000).map(same).collect()).await;
    assert_eq!(fates.refused_numbers(), multiples(3000, 3));
    assert_eq!(drain(&rabbit, &queue).await.len(), 2000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_dropped_on_purpose_counts_as_delivered() {
    let mut sink = open(json!({ "routing_key": "{queue}", "exchange": "", "unroutable": "drop" })).await;
    let mut record = record("x");
    record.origin.address = "nowhere".into();
    assert!(deliver(&mut *sink, vec![record]).await.refused.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_user_id_that_is_asked_for_is_refused_alone() {
    let rabbit = Rabbit::connect().await;
    let queue = rabbit.queue("user").await;
    let mut sink = open(json!({ "queue": queue.name, "properties": { "user_id": "{user_id}" } })).await;
    let mut records = numbered(0..600);
    for record in records.iter_mut().step_by(100) {
        record.set_properties(Properties { user_id: Some("mallory".into()), ..Properties::default() });
    }
    for record in records.iter_mut().skip(1).step_by(100) {
        record.set_properties(Properties { user_id: Some("guest".into()), ..Properties::default() });
    }
    let fates = deliver(&mut *sink, records).await;
    assert_eq!(fates.refused_numbers(), multiples(600, 100), "{fates:?}");
    assert!(fates.refused[5].1.reason.contains("mallory"), "{fates:?}");
    let mut arrived = drain_numbers(&rabbit, &queue).await;
    arrived.sort_unstable();
    arrived.dedup();
    assert_eq!(arrived, others(600, 100));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_above_rabbitmqs_limit_is_refused_alone() {
    let rabbit = Rabbit::connect().await;
    let queue = rabbit.queue("large").await;
    let mut sink = open(json!({ "queue": queue.name })).await;
    let mut records = numbered(0..50);
    // RabbitMQ 4 takes 16 MiB by default, RabbitMQ 3 took 128.
    records[20] = record(vec![b'x'; 140 << 20]);
    let fates = deliver(&mut *sink, records).await;
    assert_eq!(fates.refused_numbers(), [20], "{fates:?}");
    assert!(fates.refused[0].1.reason.contains("larger"), "{fates:?}");
    let mut arrived = drain_numbers(&rabbit, &queue).await;
    arrived.sort_unstable();
    arrived.dedup();
    assert_eq!(arrived, (0..50).filter(|number| *number != 20).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exchange_of_a_templates_making_that_is_not_there_refuses_its_records_alone() {
    let rabbit = Rabbit::connect().await;
    let queue = rabbit.queue("exchanges").await;
    let there = exchange(&rabbit, ExchangeKind::Fanout).await;
    bind(&rabbit, &queue, &there, "").await;
    let mut sink = open(json!({ "exchange": "{topic}", "routing_key": "k" })).await;
    let mut records = numbered(0..60);
    for (number, record) in records.iter_mut().enumerate() {
        record.origin.address = if number % 20 == 0 { "no-such-exchange".into() } else { there.as_str().into() };
    }
    let fates = deliver(&mut *sink, records).await;
    assert_eq!(fates.refused_numbers(), multiples(60, 20), "{fates:?}");
    assert!(fates.refused[0].1.reason.contains("404 NOT_FOUND"), "{fates:?}");
    let mut arrived = drain_numbers(&rabbit, &queue).await;
    arrived.sort_unstable();
    arrived.dedup();
    assert_eq!(arrived, others(60, 20));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_amqp_cannot_write_is_refused_before_it_is_sent() {
    let rabbit = Rabbit::connect().await;
    let queue = rabbit.queue("unwritable").await;
    let mut sink = open(json!({ "queue": queue.name })).await;
    let with = |properties: Properties| {
        let mut record = record("x");
        record.set_properties(properties);
        record
    };
    let header = |name: &str, value: Value| {
        let mut record = record("x");
        record.headers.push(name, value);
        record
    };
    let routed = Record { destination: Some("k".repeat(256).into()), ..record("x") };
    let cases = [
        (routed, "its routing key is 256 bytes long"),
        (
            with(Properties { message_id: Some("m".repeat(256).into()), ..Properties::default() }),
            "its message id is 256",
        ),
        (with(Properties { expiration: Some("soon".into()), ..Properties::default() }), "its expiration is \"soon\""),
        (header(&"n".repeat(256), Value::Null), "its name is 256 bytes long"),
        (header("large", Value::U64(u64::MAX)), "above the largest integer"),
        (header("long", Value::Bytes(vec![0; 200_000].into())), "do not fit in a frame"),
    ];
    for (record, expected) in cases {
        let failure = refusal(&mut *sink, record).await;
        assert_eq!(failure.kind, FailureKind::Rejected);
        assert!(failure.reason.contains(expected), "{} is not {expected}", failure.reason);
    }
    assert!(deliver(&mut *sink, numbered(0..5)).await.refused.is_empty());
    assert_numbers(&drain_numbers(&rabbit, &queue).await, 0..5);
    let mut sink = open(json!({ "queue": queue.name, "broker_headers": "restore" })).await;
    for (record, expected) in [
        (header("CC", Value::text("bob@example.com")), "\"CC\" cannot be written: RabbitMQ takes only a list"),
        (header("BCC", Value::Null), "\"BCC\" cannot be written: RabbitMQ takes only a list"),
    ] {
        let failure = refusal(&mut *sink, record).await;
        assert!(failure.reason.contains(expected), "{} is not {expected}", failure.reason);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_templates_make_is_checked_record_by_record() {
    let rabbit = Rabbit::connect().await;
    let queue = rabbit.queue("made").await;
    let properties =
        json!({ "priority": "{header.p|1}", "expiration": "{header.e|60000}", "timestamp": "{header.t|0}" });
    let mut sink = open(json!({ "queue": queue.name, "properties": properties })).await;
    for (name, value, expected) in [
        ("p", "256", "its priority is \"256\", which is not a number from 0 to 255"),
        ("e", "-1", "its expiration is \"-1\""),
        ("t", "noon", "its timestamp is \"noon\""),
    ] {
        let mut record = record("x");
        record.headers.push(name, Value::text(value));
        let failure = refusal(&mut *sink, record).await;
        assert!(failure.reason.contains(expected), "{} is not {expected}", failure.reason);
    }
    let mut sink = open(json!({ "queue": "{header.queue}" })).await;
    let failure = refusal(&mut *sink, record("x")).await;
    assert!(failure.reason.contains("lacks a field"), "{}", failure.reason);
    let mut sink = open(json!({ "map": { "only": queue.name } })).await;
    let mut unmapped = record("x");
    unmapped.origin.address = unique("other").into();
    let failure = refusal(&mut *sink, unmapped).await;
    assert!(failure.reason.contains("the map has no queue"), "{}", failure.reason);
}
