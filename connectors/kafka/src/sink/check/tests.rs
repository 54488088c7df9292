use serde_json::{Value as Json, json};

use crate::SINK;

fn problems(more: Json) -> Vec<String> {
    let mut options = json!({ "connection": { "bootstrap_servers": "a:1" }, "topic": "orders" });
    for (name, value) in more.as_object().unwrap() {
        options[name] = value.clone();
    }
    (SINK.check)(&options).iter().map(ToString::to_string).collect()
}

#[test]
fn the_least_is_enough() {
    assert_eq!(problems(json!({})), [""; 0]);
}

#[test]
fn positions_have_a_topic_of_their_own() {
    assert_eq!(problems(json!({ "transactional_id": "mine", "checkpoints_topic": "positions" })), [""; 0]);
    for (name, value) in [("transactional_id", ""), ("checkpoints_topic", "a/b"), ("checkpoints_topic", "orders")] {
        let found = problems(json!({ name: value }));
        assert!(found.len() == 1 && found[0].starts_with(name), "{found:?}");
    }
}

#[test]
fn what_would_break_a_promise_is_refused_with_the_reason() {
    for (name, value) in [
        ("acks", json!(1)),
        ("acks", json!("0")),
        ("request.required.acks", json!(1)),
        ("enable.idempotence", json!(false)),
        ("max.in.flight", json!(6)),
        ("queuing.strategy", json!("lifo")),
        ("delivery.report.only.error", json!(true)),
        ("enable.auto.commit", json!(true)),
        ("transactional.id", json!("x")),
        ("message.timeout.ms", json!(5000)),
        ("retries", json!(0)),
        ("linger.ms", json!(5)),
        ("bootstrap.servers", json!("b:2")),
        ("plugin.library.paths", json!("/lib/x.so")),
    ] {
        let own = problems(json!({ "properties": { name: value } }));
        assert_eq!(own.len(), 1, "{name}: {own:?}");
        assert!(own[0].starts_with(&format!("properties.{name}: ")), "{own:?}");
        let shared = problems(json!({ "connection": { "bootstrap_servers": "a:1", "properties": { name: value } } }));
        assert_eq!(shared.len(), 1, "{name}: {shared:?}");
        assert!(shared[0].starts_with(&format!("connection.properties.{name}: ")), "{shared:?}");
    }
    for (name, value) in [("acks", json!("all")), ("acks", json!(-1)), ("max.in.flight", json!(2))] {
        assert_eq!(problems(json!({ "properties": { name: value } })), [""; 0], "{name}");
    }
}

#[test]
fn everything_wrong_is_said_at_once() {
    let found = problems(json!({
        "topic": "a/b",
        "partition": "first",
        "timestamp": "noon",
        "batch_records": 0,
        "batch_size": "0B",
        "linger": "1h",
        "declare": { "partitions": 0, "replication": 0 },
        "headers": { "gantry.types": "x" },
        "properties": { "nonsense": 1 },
    }));
    let paths: Vec<_> = found.iter().map(|text| text.split(": ").next().unwrap()).collect();
    assert_eq!(
        paths,
        [
            "properties.nonsense",
            "topic",
            "declare.partitions",
            "declare.replication",
            "partition",
            "timestamp",
            "linger",
            "batch_records",
            "batch_size",
            "headers",
        ]
    );
}

#[test]
fn what_will_hurt_is_said() {
    assert!(problems(json!({ "linger": "0ms" }))[0].contains("request of its own"));
    assert!(problems(json!({ "linger": "5s" }))[0].contains("wait that long"));
    assert!(problems(json!({ "key": "{message_id}", "partitioner": "random" }))[0].contains("order is lost"));
}

#[test]
fn declare_without_settings_is_written_with_braces() {
    assert_eq!(problems(json!({ "declare": {} })), [""; 0]);
    assert!(problems(json!({ "declare": null }))[0].starts_with("declare: "));
}

#[test]
fn options_are_documented_one_by_one() {
    let schema = serde_json::to_value((SINK.schema)()).unwrap();
    assert_eq!(schema["additionalProperties"], json!(false));
    assert_eq!(schema["required"], json!(["connection", "topic"]));
    for (name, option) in schema["properties"].as_object().unwrap() {
        assert!(option["description"].as_str().is_some_and(|text| !text.is_empty()), "{name}");
    }
    let sasl = &schema["properties"]["connection"]["properties"]["sasl"];
    assert!(sasl["properties"]["password"].to_string().contains("writeOnly"), "{sasl:#}");
}
