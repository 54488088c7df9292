use gantry_sdk::{Context, ErrorKind, testkit};
use serde_json::{Value as Json, json};

use crate::SOURCE;

fn problems(more: Json) -> Vec<String> {
    let mut options = json!({ "connection": { "bootstrap_servers": "a:1" } });
    for (name, value) in more.as_object().unwrap() {
        options[name] = value.clone();
    }
    (SOURCE.check)(&options).iter().map(ToString::to_string).collect()
}

#[test]
fn the_least_is_enough() {
    for what in [json!({ "topic": "a" }), json!({ "topics": ["a", "b"] }), json!({ "topics_regex": "^a" })] {
        assert_eq!(problems(what), [""; 0]);
    }
}

#[test]
fn what_would_break_a_promise_is_refused_with_the_reason() {
    for (name, value) in [
        ("enable.auto.commit", json!(true)),
        ("auto.commit.enable", json!("true")),
        ("enable.auto.offset.store", json!(true)),
        ("partition.assignment.strategy", json!("range,roundrobin")),
        ("group.protocol", json!("consumer")),
        ("group.id", json!("x")),
        ("group.instance.id", json!("x")),
        ("auto.offset.reset", json!("latest")),
        ("isolation.level", json!("read_uncommitted")),
        ("queued.max.messages.kbytes", json!(1_000_000)),
        ("fetch.max.bytes", json!(1_000_000)),
        ("auto.commit.interval.ms", json!(1000)),
    ] {
        let own = problems(json!({ "topic": "a", "properties": { name: value } }));
        assert_eq!(own.len(), 1, "{name}: {own:?}");
        assert!(own[0].starts_with(&format!("properties.{name}: ")), "{own:?}");
        let connection = json!({ "bootstrap_servers": "a:1", "properties": { name: value } });
        let shared = problems(json!({ "topic": "a", "connection": connection }));
        assert_eq!(shared.len(), 1, "{name}: {shared:?}");
    }
    let fine = json!({ "session.timeout.ms": 6000, "fetch.min.bytes": 10, "enable.auto.commit": false });
    assert_eq!(problems(json!({ "topic": "a", "properties": fine })), [""; 0]);
}

#[test]
fn what_to_read_is_said_once_and_can_exist() {
    let text = |more| problems(more).join("; ");
    assert!(text(json!({})).contains("names no topic"));
    assert!(text(json!({ "topic": "a", "topics": ["b"] })).contains("only one of"));
    assert!(text(json!({ "topics": ["a", "b", "a"] })).contains("topics[2]: is there twice"));
    assert!(text(json!({ "topic": "a b" })).contains("not a legal topic name"));
    assert!(text(json!({ "topics_regex": "a.*" })).contains("begins with ^"));
}

#[test]
fn the_rest_is_looked_at_too() {
    let text = |name: &str, value: Json| problems(json!({ "topic": "a", name: value })).join("; ");
    assert!(text("group", json!("")).contains("has a name"));
    assert!(text("group_instance_id", json!("a/b")).contains("letters, digits"));
    assert!(text("commit_interval", json!("1ms")).contains("at least 100ms"));
    assert!(text("commit_interval", json!("1h")).contains("read and delivered again"));
    assert!(text("start", json!({ "timestamp": "yesterday" })).contains("expected a time"));
    assert!(text("start", json!({ "offset": -1 })).contains("start"));
    for start in [
        json!({ "offset": 7 }),
        json!({ "timestamp": 1_700_000_000_000_i64 }),
        json!({ "timestamp": "2026-01-02T03:04:05Z" }),
    ] {
        assert_eq!(text("start", start), "");
    }
}

#[test]
fn what_would_begin_elsewhere_at_each_opening_does_not_go_with_exactly_once() {
    for (name, value, instead) in [
        ("offset_reset", json!("latest"), "earliest"),
        ("start", json!({ "timestamp": "2999-01-01T00:00:00Z" }), "a time that is over"),
        ("isolation_level", json!("read_uncommitted"), "read_committed"),
    ] {
        let options = json!({ "connection": { "bootstrap_servers": "a:1" }, "topic": "a", name: value });
        let build = |exactly_once| (SOURCE.create)(&options, Context { exactly_once, ..testkit::context() });
        assert!(build(false).is_ok(), "{name}");
        let Err(error) = build(true) else { panic!("{name} was taken") };
        assert_eq!(error.kind(), ErrorKind::Config, "{name}");
        let text = error.chain();
        assert!(text.contains(name) && text.contains("exactly_once") && text.contains(instead), "{text}");
    }
}

#[test]
fn a_place_that_stays_goes_with_exactly_once() {
    for (name, value) in [
        ("offset_reset", json!("earliest")),
        ("offset_reset", json!("error")),
        ("start", json!({ "offset": 7 })),
        ("start", json!({ "timestamp": "2026-01-02T03:04:05Z" })),
    ] {
        let options = json!({ "connection": { "bootstrap_servers": "a:1" }, "topic": "a", name: value });
        let built = (SOURCE.create)(&options, Context { exactly_once: true, ..testkit::context() });
        assert!(built.is_ok(), "{name}");
    }
}
