use std::fs;

use super::*;
use crate::config;

const BEFORE: &str = r#"
connections:
  rabbit: { rabbitmq: { urls: ["amqp://guest:${file:DIRECTORY/secret}@rabbit1:5672/%2f"] } }
  events: { kafka: { bootstrap_servers: "localhost:9092" } }
bridges:
  orders:
    source: { rabbitmq: { connection: rabbit, queue: orders } }
    transforms: [ { key: { from: "{message_id}" } } ]
    sink: { kafka: { connection: events, topic: orders } }
  bills:
    source: { rabbitmq: { connection: rabbit, queue: bills } }
    sink: { "null": {} }
  hello: { source: { generate: {} }, sink: { "null": {} } }
"#;

/// Loads a text whose secrets lie in a directory.
fn load(directory: &tempfile::TempDir, text: &str) -> Vec<Arc<Definition>> {
    let path = directory.path().join("gantry.yaml");
    fs::write(&path, text.replace("DIRECTORY", &directory.path().display().to_string())).expect("writing the file");
    let loaded = config::load(&[path]).unwrap_or_else(|problems| panic!("{problems:#?}"));
    loaded.bridges
}

/// What becomes of the bridges when `BEFORE` is followed by this: added, changed, removed, same.
fn after(text: &str) -> [String; 4] {
    let directory = tempfile::tempdir().expect("a temporary directory");
    fs::write(directory.path().join("secret"), "first").expect("writing a secret");
    let before = load(&directory, BEFORE);
    fs::write(directory.path().join("secret"), "second").expect("writing a secret");
    let Difference { added, changed, removed, same } = Difference::between(&before, load(&directory, text));
    let names = |all: Vec<Arc<Definition>>| all.iter().map(|one| &*one.name).collect::<Vec<_>>().join(" ");
    [names(added), names(changed), removed.join(" "), names(same)]
}

#[test]
fn another_wording_is_the_same_bridge() {
    let reworded = r#"
# Comments, order, quotes, defaults that are written out, and a secret that was rotated.
bridges:
  hello: { limits: { in_flight: 10000 }, sink: { "null": }, source: { "generate": {} } }
  bills:
    sink: { "null": {} }
    tasks: 1
    source:
      rabbitmq:
        queue: bills
        # Written out in its place.
        connection: { urls: ["amqp://guest:${file:DIRECTORY/secret}@rabbit1:5672/%2f"] }
  orders:
    errors: { backoff: { max: 60s } }
    sink: { kafka: { topic: orders, connection: kafka } }
    transforms:
      - key: { from: "{message_id}" }
    source: { rabbitmq: { queue: orders, connection: rabbit } }
connections:
  kafka: { kafka: { bootstrap_servers: localhost:9092 } }
  rabbit: { rabbitmq: { urls: ["amqp://guest:${file:DIRECTORY/secret}@rabbit1:5672/%2f"] } }
"#;
    assert_eq!(after(reworded), ["", "", "", "hello bills orders"]);
    assert_eq!(after(BEFORE), ["", "", "", "orders bills hello"]);
}

#[test]
fn a_connection_changes_every_bridge_that_uses_it_and_no_other() {
    assert_eq!(after(&BEFORE.replace("localhost:9092", "localhost:9093")), ["", "orders", "", "bills hello"]);
    assert_eq!(after(&BEFORE.replace("rabbit1", "rabbit2")), ["", "orders bills", "", "hello"]);
    // What stands in another place is another secret.
    assert_eq!(after(&BEFORE.replace("${file:DIRECTORY/secret}", "${env:PATH}")), ["", "orders bills", "", "hello"]);
}

#[test]
fn each_part_of_a_bridge_counts() {
    for (from, to) in [
        ("generate: {}", "generate: { rate: 5 }"),
        ("sink: { \"null\": {} } }", "sink: { console: {} } }"),
        ("hello: {", "hello: { tasks: 2,"),
        ("hello: {", "hello: { limits: { batch: 7 },"),
        ("hello: {", "hello: { stall_timeout: 1m,"),
        ("hello: {", "hello: { errors: { backoff: { initial: 2s } },"),
        ("hello: {", "hello: { errors: { give_back_after: 1m },"),
        ("hello: {", "hello: { errors: { dead_letter: { console: {} } },"),
        ("hello: {", "hello: { transforms: [ { key: { from: k } } ],"),
    ] {
        let text = BEFORE.replace(from, to);
        assert_ne!(text, BEFORE, "{from}");
        assert_eq!(after(&text), ["", "hello", "", "orders bills"], "{to}");
    }
}

#[test]
fn names_come_and_go() {
    assert_eq!(after(&BEFORE.replace("hello:", "welcome:")), ["welcome", "", "hello", "orders bills"]);
    assert_eq!(after("bridges: {}"), ["", "", "orders bills hello", ""]);
}

#[test]
fn another_order_of_a_map_is_another_bridge() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    fs::write(directory.path().join("secret"), "one").expect("writing a secret");
    let map = |entries: &str| {
        let sink = format!("rabbitmq: {{ connection: rabbit, map: {{ {entries} }} }}");
        load(&directory, &BEFORE.replace("kafka: { connection: events, topic: orders }", &sink))
    };
    let between = |old: &str, new: &str| Difference::between(&map(old), map(new)).changed.len();
    assert_eq!(between("/a/: q, /./: r", "/a/: q, /./: r"), 0);
    assert_eq!(between("/a/: q, /./: r", "/./: r, /a/: q"), 1);
}
