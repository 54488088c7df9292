//! What Gantry promises, against real brokers, from outside: one file a promise.

#[path = "../support/mod.rs"]
mod support;

mod back_pressure;
mod check_connect;
mod dead_letter;
mod delivery;
mod exactly_once;
mod graph;
mod isolation;
mod memory;
mod shutdown;
mod split;

/// A configuration with both brokers and one bridge `b`, whose source, sink and errors are given.
pub(crate) fn bridge(source: &str, sink: &str, rest: &str) -> String {
    format!(
        r#"connections:
  rabbit: {{ rabbitmq: {{ urls: ["{}"] }} }}
  events: {{ kafka: {{ bootstrap_servers: "{}" }} }}
bridges:
  b:
    source: {{ rabbitmq: {{ connection: rabbit, {source} }} }}
    sink: {{ kafka: {{ connection: events, {sink} }} }}
    {rest}
"#,
        support::amqp_url(),
        support::bootstrap_servers(),
    )
}
