use std::fs;

use serde_json::json;

use crate::config::{Loaded, Secrets, examine, redacted, schema::schema};

/// A bridge from a queue with these lines in the place of its sink.
fn read(sinks: &str) -> Result<Loaded, Vec<String>> {
    read_with(sinks, "kafka: { connection: events, topic: dead }")
}

/// The same with that dead letter.
fn read_with(sinks: &str, dead_letter: &str) -> Result<Loaded, Vec<String>> {
    let text = format!(
        "connections:
  rabbit: {{ rabbitmq: {{ urls: [\"amqp://rabbit1\"] }} }}
  events: {{ kafka: {{ bootstrap_servers: \"localhost:9092\" }} }}
bridges:
  orders:
    source: {{ rabbitmq: {{ connection: rabbit, queue: orders }} }}
    {sinks}
    errors: {{ dead_letter: {{ {dead_letter} }} }}
"
    );
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("gantry.yaml");
    fs::write(&path, text).expect("writing a temporary file");
    let told = examine(&[path], Vec::new(), Secrets::Required);
    let directory = format!("{}/", directory.path().display());
    told.map_err(|all| all.iter().map(|one| one.to_string().replace(&directory, "")).collect())
}

fn good(sinks: &str) -> Loaded {
    read(sinks).unwrap_or_else(|problems| panic!("{}", problems.join("\n")))
}

fn wrong(sinks: &str) -> Vec<String> {
    read(sinks).expect_err(sinks)
}

const THREE: &str = "sinks:
      - kafka: { connection: events, topic: orders }
      - when: { keep: { field: header.kind, equals: audit } }
        kafka: { connection: events, topic: audit }
      - rabbitmq: { connection: rabbit, queue: copy }";

#[test]
fn several_sinks_are_loaded_each_with_its_condition() {
    let loaded = good(THREE);
    assert_eq!(loaded.warnings, Vec::new());
    let sinks = &loaded.bridges[0].sinks;
    let names: Vec<_> = sinks.iter().map(|branch| branch.sink.plugin.name).collect();
    assert_eq!(names, ["kafka", "kafka", "rabbitmq"]);
    let conditions: Vec<_> = sinks.iter().map(|branch| branch.when.as_ref()).collect();
    let [None, Some(when), None] = conditions.as_slice() else { panic!("only the second has one") };
    assert_eq!(when.plugin.name, "filter");
    assert_eq!(when.options, json!({ "keep": { "field": "header.kind", "equals": "audit" } }));
    assert!(when.make(when.plugin.create).is_ok());
    assert_eq!(sinks[1].sink.options["topic"], "audit", "the condition is none of the sink's options");
    let ends: Vec<_> = loaded.flows[0].sinks.iter().map(|sink| (sink.end.connector, sink.conditional)).collect();
    assert_eq!(ends, [("kafka", false), ("kafka", true), ("rabbitmq", false)]);
    assert_eq!(good("sinks: [ { console: } ]").bridges[0].sinks.len(), 1);
}

#[test]
fn what_is_wrong_is_told_where_it_stands() {
    let at = "error: bridges.orders";
    for (sinks, expected) in [
        ("tasks: 1", ": \"sink\" is missing: Where records go"),
        ("sinks: []", ".sinks: must not be empty"),
        ("sinks: { console: {} }", ".sinks: expected a list, found a map"),
        ("snk: { console: {} }", ".snk: unknown key; did you mean \"sink\"?"),
        ("sinks: [ console ]", ".sinks[0]: expected a sink, found text: write it like { console: { … } }"),
        ("sinks: [ { when: { keep: { field: key, exists: true } } } ]", ".sinks[0]: names no sink"),
        (
            "sinks: [ { console: {} }, { console: {}, 'null': {} } ]",
            ".sinks[1]: names console and null: write exactly one",
        ),
        (
            "sinks: [ { console: {} }, { kafak: {} } ]",
            ".sinks[1].kafak: there is no sink of this name; did you mean \"kafka\"?",
        ),
        (
            "sinks: [ { kafka: { connection: events, topc: a } } ]",
            ".sinks[0].kafka.topc: unknown key; did you mean \"topic\"?",
        ),
        (
            "sinks: [ { kafka: { connection: nowhere, topic: a } } ]",
            ".sinks[0].kafka.connection: there is no connection \"nowhere\"",
        ),
        ("sinks: [ { console: {}, when: 'header.kind' } ]", ".sinks[0].when: expected a map of options, found text"),
        ("sinks: [ { console: {} }, { console: {}, when: } ]", ".sinks[1].when: a filter has exactly one of keep"),
        ("sinks: [ { console: {}, when: { kep: {} } } ]", ".sinks[0].when.kep: unknown key; did you mean \"keep\"?"),
        (
            "sinks: [ { console: {}, when: { keep: { field: nothing.x, exists: true } } } ]",
            ".sinks[0].when.keep.field: ",
        ),
        ("sinks: [ { console: {}, when: { keep: { field: key } } } ]", ".sinks[0].when.keep: a test needs a condition"),
        ("sink: { console: {} }\n    sinks: [ { console: {} } ]", ".sinks: stands beside sink"),
    ] {
        let problems = wrong(sinks);
        assert_eq!(problems.len(), 1, "{sinks}: {problems:?}");
        assert!(problems[0].contains(&format!("{at}{expected}")), "{sinks}: {problems:?}");
    }
}

#[test]
fn reject_is_for_one_sink() {
    let told = read_with(THREE, "reject: {}").expect_err("the others would be without the record");
    assert!(told.iter().any(|one| one.contains("errors.dead_letter.reject: with several sinks")), "{told:?}");
    assert!(read_with("sink: { kafka: { connection: events, topic: orders } }", "reject: {}").is_ok());
}

#[test]
fn a_secret_in_a_list_of_sinks_is_concealed() {
    let secret = "sinks:
      - console: {}
      - rabbitmq: { connection: { urls: [\"amqp://guest:hunter2@rabbit1\"] }, queue: copy }
        when: { keep: { field: header.password, equals: \"${env:CARGO_PKG_NAME}\" } }";
    let loaded = good(secret);
    let shown = redacted(&loaded.bridges[0]).to_string();
    assert!(!shown.contains("hunter2") && shown.contains("${env:CARGO_PKG_NAME}"), "{shown}");
    assert!(
        loaded.warnings.iter().any(|one| one.path.to_string() == "bridges.orders.sinks[1].rabbitmq.connection.urls[0]")
    );
    // What a reference brings is in no message, and is there when the condition is made.
    let when = loaded.bridges[0].sinks[1].when.as_ref().expect("it has one");
    assert_eq!(when.options["keep"]["equals"], "${env:CARGO_PKG_NAME}");
    assert_eq!(when.checked().expect("Cargo sets it")["keep"]["equals"], "gantry");
    let problems =
        wrong("sinks: [ { console: {}, when: { keep: { field: \"${env:CARGO_PKG_NAME}\", exists: true } } } ]");
    assert!(
        problems[0].contains("bridges.orders.sinks[0].when.keep.field: what ${env:CARGO_PKG_NAME} brings"),
        "{problems:?}"
    );
    assert!(!problems[0].contains("\"gantry\""), "{problems:?}");
    let missing = wrong("sinks: [ { kafka: { connection: events, topic: \"${env:GANTRY_NO_SUCH_VARIABLE}\" } } ]");
    assert!(missing[0].contains("bridges.orders.sinks[0].kafka.topic: the environment variable"), "{missing:?}");
}

#[test]
fn only_conditions_and_letters_in_the_wrong_place_are_told() {
    let warnings = |sinks: &str| -> Vec<String> {
        good(sinks).warnings.iter().map(|one| format!("{}: {}", one.path, one.message)).collect()
    };
    let only = warnings("sinks: [ { console: {}, when: { keep: { field: key, exists: true } } } ]");
    assert!(
        only[0]
            .starts_with("bridges.orders.sinks: every sink has a condition: a record for which none holds is dropped")
    );
    let place = wrong("sinks: [ { console: {} }, { kafka: { connection: events, topic: dead } } ]");
    assert!(place[0].contains("errors.dead_letter.kafka.topic: the same as the sink's"), "{place:?}");
}

#[test]
fn the_schema_takes_what_loading_takes() {
    let schema = schema();
    let validator = jsonschema::validator_for(&schema).expect("it is a schema");
    let fits = |sinks: serde_json::Value| {
        let mut bridge = json!({ "source": { "generate": {} } });
        bridge.as_object_mut().expect("a map").extend(sinks.as_object().expect("a map").clone());
        validator.is_valid(&json!({ "bridges": { "a": bridge } }))
    };
    let when = json!({ "keep": { "field": "key", "exists": true } });
    for good in [
        json!({ "sink": { "console": {} } }),
        json!({ "sinks": [{ "console": {} }] }),
        json!({ "sinks": [{ "console": null }, { "null": {}, "when": when }] }),
    ] {
        assert!(fits(good.clone()), "{good}");
    }
    for bad in [
        json!({}),
        json!({ "sink": { "console": {} }, "sinks": [{ "console": {} }] }),
        json!({ "sinks": [] }),
        json!({ "sinks": [{ "when": when }] }),
        json!({ "sinks": [{ "console": {}, "null": {} }] }),
        json!({ "sinks": [{ "console": {}, "null": {}, "when": when }] }),
        json!({ "sinks": [{ "console": {}, "when": { "kep": {} } }] }),
        json!({ "sinks": [{ "console": {}, "when": "key" }] }),
    ] {
        assert!(!fits(bad.clone()), "{bad}");
    }
}
