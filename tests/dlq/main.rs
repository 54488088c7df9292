//! `gantry dlq` against real brokers: dead letters are counted, shown and replayed, and a replay loses nothing.

#[path = "../support/mod.rs"]
mod support;

mod command;
mod discard;
mod file;
mod kill;
mod queue;
mod replay;

use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldArray, FieldTable},
};

/// A configuration with both brokers and one bridge `b`; `transforms`, sink topic and dead letter are given.
fn bridge(queue: &str, transforms: &str, topic: &str, dead_letter: &str) -> String {
    format!(
        r#"connections:
  rabbit: {{ rabbitmq: {{ urls: ["{}"] }} }}
  events: {{ kafka: {{ bootstrap_servers: "{}" }} }}
bridges:
  b:
    source: {{ rabbitmq: {{ connection: rabbit, queue: {queue} }} }}
    transforms: [ {transforms} ]
    sink: {{ kafka: {{ connection: events, topic: {topic}, header_mapping: {{ encoding: typed }} }} }}
    errors: {{ backoff: {{ initial: 50ms, max: 200ms }}, dead_letter: {dead_letter} }}
"#,
        support::amqp_url(),
        support::bootstrap_servers(),
    )
}

/// Dead letters into a topic that is there.
fn kafka_letters(topic: &str) -> String {
    format!("{{ kafka: {{ connection: events, topic: {topic} }} }}")
}

/// Dead letters into a queue.
fn rabbit_letters(queue: &str) -> String {
    format!("{{ rabbitmq: {{ connection: rabbit, queue: {queue}, declare: {{ queue: {{}} }} }} }}")
}

/// A transform that takes only JSON.
const ONLY_JSON: &str = "{ json: { drop: [secret] } }";

/// Properties of every kind, and headers with types that text forgets.
fn properties(id: &str) -> BasicProperties {
    let mut inner = FieldTable::default();
    inner.insert("count".into(), AMQPValue::LongLongInt(3));
    let mut headers = FieldTable::default();
    headers.insert("tenant".into(), AMQPValue::LongString("acme".into()));
    headers.insert("retries".into(), AMQPValue::ShortInt(-7));
    headers.insert("void".into(), AMQPValue::Void);
    headers.insert("ratio".into(), AMQPValue::Float(0.5));
    headers.insert("deaths".into(), AMQPValue::FieldArray(FieldArray::from(vec![AMQPValue::FieldTable(inner)])));
    BasicProperties::default()
        .with_message_id(id.into())
        .with_content_type("text/plain".into())
        .with_correlation_id("c-1".into())
        .with_priority(5)
        .with_delivery_mode(2)
        .with_timestamp(1_700_000_000)
        .with_headers(headers)
}
