//! `gantry graph` as a person meets it, and the loops that `gantry check` finds.

mod loops;
mod page;

use crate::support::{Ended, Files};

/// A bridge there and a bridge back, and one that nobody feeds.
const THERE_AND_BACK: &str = r#"connections:
  rabbit: { rabbitmq: { urls: ["amqp://gantry:${env:RABBITMQ_PASSWORD}@rabbit1:5672"] } }
  events: { kafka: { bootstrap_servers: "kafka1:9092" } }
bridges:
  there:
    source: { rabbitmq: { connection: rabbit, queue: orders } }
    sink: { kafka: { connection: events, topic: orders } }
    errors: { dead_letter: { kafka: { connection: events, topic: orders-dead } } }
  back:
    source: { kafka: { connection: events, topic: orders } }
    sink: { rabbitmq: { connection: rabbit, queue: orders } }
    errors: { dead_letter: { kafka: { connection: events, topic: back-dead } } }
"#;

const SECRET: &[(&str, &str)] = &[("RABBITMQ_PASSWORD", "hunter2")];

/// Runs `gantry COMMAND gantry.yaml MORE` on this configuration.
fn gantry(command: &str, yaml: &str, more: &[&str]) -> Ended {
    let ended = Files::of(&[("gantry.yaml", yaml)]).gantry(&[&[command, "gantry.yaml"], more].concat(), SECRET);
    assert!(!ended.out.contains("hunter2") && !ended.err.contains("hunter2"), "a secret is shown: {ended:?}");
    ended
}
