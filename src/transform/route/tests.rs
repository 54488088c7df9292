use gantry_sdk::{Record, Value};
use serde_json::{Value as Json, json};

use crate::transform::tests::{apply_one, problems};

fn record() -> Record {
    let mut record =
        Record { value: Some(r#"{"type":"order"}"#.into()), destination: Some("before".into()), ..Record::default() };
    record.headers.push("tenant", Value::text("acme"));
    record.headers.push("binary", Value::Bytes((&b"\xff"[..]).into()));
    record.origin.set("routing_key", "eu.orders.new");
    record
}

fn routed(options: &Json) -> Result<String, String> {
    let record = apply_one("route", options, record())?.expect("a route drops nothing");
    Ok(record.destination.expect("it had one").to_string())
}

#[test]
fn sets_the_destination() {
    let cases = [
        (json!({ "to": "plain" }), "plain"),
        (json!({ "to": "orders.{header.tenant}" }), "orders.acme"),
        (json!({ "to": "{value.type}s" }), "orders"),
        (json!({ "to": "$1" }), "$1"),
        (json!({ "to": "{header.none}", "missing": "keep" }), "before"),
        (json!({ "to": "$1-events", "field": "routing_key", "regex": "^(\\w+)\\." }), "eu-events"),
        (json!({ "to": "$1_events", "field": "routing_key", "regex": "^(\\w+)\\." }), "eu_events"),
        (json!({ "to": "$10", "field": "routing_key", "regex": "^(\\w+)\\." }), "eu0"),
        (json!({ "to": "a$10$100", "field": "routing_key", "regex": "(e)(u)(.)(o)(r)(d)(e)(r)(s)(.n)" }), "a.n.n0"),
        (json!({ "to": "$2.$1.$0", "field": "routing_key", "regex": "(\\w+)\\.(\\w+)" }), "orders.eu.eu.orders"),
        (json!({ "to": "$region-$$x", "field": "routing_key", "regex": "^(?P<region>\\w+)" }), "eu-$x"),
        (json!({ "to": "$1.{header.tenant}", "field": "routing_key", "regex": "^(\\w+)" }), "eu.acme"),
        (json!({ "to": "a$1", "field": "routing_key", "regex": "^eu(x)?" }), "a"),
        (json!({ "to": "fixed", "field": "routing_key", "regex": "orders" }), "fixed"),
        (json!({ "to": "fixed", "field": "routing_key", "regex": "^orders" }), "before"),
        (json!({ "to": "fixed", "field": "header.none", "regex": "" }), "before"),
    ];
    for (options, expected) in cases {
        assert_eq!(routed(&options), Ok(expected.to_owned()), "{options}");
    }
}

#[test]
fn fails_with_the_reason() {
    let cases = [
        (json!({ "to": "a.{header.none}" }), "route: the record has no {header.none}"),
        (json!({ "to": "{header.binary}" }), "route: the destination is not UTF-8"),
        (json!({ "to": "{exchange}" }), "route: the destination is empty"),
        (
            json!({ "to": "x", "field": "routing_key", "regex": "^no", "no_match": "fail" }),
            "route: routing_key does not match",
        ),
        (
            json!({ "to": "x", "field": "header.none", "regex": "", "no_match": "fail" }),
            "route: header.none is not there",
        ),
        (
            json!({ "to": "$1.{header.none}", "field": "routing_key", "regex": "^(\\w+)" }),
            "route: the record has no {header.none}",
        ),
    ];
    for (options, reason) in cases {
        assert_eq!(routed(&options), Err(reason.to_owned()), "{options}");
    }
    let text = Record { value: Some("hello".into()), ..record() };
    let mut options = json!({ "to": "x", "field": "value.type", "regex": "" });
    let reason = apply_one("route", &options, text.clone()).expect_err("not JSON");
    assert!(reason.starts_with("route: the body is not JSON: "), "{reason}");
    options["missing"] = "keep".into();
    assert_eq!(apply_one("route", &options, text.clone()), Ok(Some(text)));
}

#[test]
fn what_cannot_work_is_found_before_any_record() {
    let cases = [
        (json!({ "to": "{oops}" }), "to", "there is no field"),
        (json!({ "to": "x", "field": "key" }), "regex", "needs a regex"),
        (json!({ "to": "x", "regex": "x" }), "field", "needs a field"),
        (json!({ "to": "$2", "field": "key", "regex": "(x)" }), "to", "the regex has no group 2"),
        (json!({ "to": "$name", "field": "key", "regex": "(x)" }), "to", "no group of that name"),
        (json!({ "to": "5 $", "field": "key", "regex": "(x)" }), "to", "literal dollar"),
        (json!({ "to": "x", "field": "key", "regex": "(" }), "regex", "not a regular expression"),
    ];
    for (options, path, words) in cases {
        let found = problems("route", &options);
        assert!(found.iter().any(|(at, text)| at == path && text.contains(words)), "{options}: {found:?}");
    }
}
