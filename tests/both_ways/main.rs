//! From Kafka, to RabbitMQ, and chains of both: everything arrives, once in an undisturbed run, in order.

#[path = "../support/mod.rs"]
mod support;

mod bad_input;
mod echo;
mod fan_in;
mod fan_out;
mod million;
mod mirror;
mod shovel;

/// A configuration with both brokers as `rabbit` and `events`, and these bridges: name, source, sink, the rest.
pub(crate) fn bridges(bridges: &[(&str, &str, &str, &str)]) -> String {
    let mut yaml = format!(
        r#"connections:
  rabbit: {{ rabbitmq: {{ urls: ["{}"] }} }}
  events: {{ kafka: {{ bootstrap_servers: "{}" }} }}
bridges:
"#,
        support::amqp_url(),
        support::bootstrap_servers(),
    );
    for (name, source, sink, rest) in bridges {
        yaml += &format!("  {name}:\n    source: {{ {source} }}\n    sink: {{ {sink} }}\n    {rest}\n");
    }
    yaml
}

/// A Kafka source that reads this topic with a group of its own.
pub(crate) fn from_topic(topic: &str) -> String {
    format!("kafka: {{ connection: events, topic: {topic}, group: {topic}, commit_interval: 500ms }}")
}

/// A sink into this topic.
pub(crate) fn into_topic(topic: &str) -> String {
    format!("kafka: {{ connection: events, topic: {topic} }}")
}

/// A source of this queue.
pub(crate) fn from_queue(queue: &str) -> String {
    format!("rabbitmq: {{ connection: rabbit, queue: {queue} }}")
}

/// A sink into this queue.
pub(crate) fn into_queue(queue: &str) -> String {
    format!("rabbitmq: {{ connection: rabbit, queue: {queue} }}")
}
