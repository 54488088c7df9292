use gantry_sdk::{Record, Value};
use serde_json::{Value as Json, json};

use crate::transform::tests::{apply_one, problems};

fn record() -> Record {
    let body = r#"{"type":"order","count":10,"price":9.5,"tags":["a","b"],"none":null,"client":"Вася","ok":true}"#;
    let mut record = Record { key: Some("eu-17".into()), value: Some(body.into()), ..Record::default() };
    record.headers.push("tenant", Value::text("acme"));
    record.headers.push("retries", Value::I64(3));
    record.origin.address = "orders".into();
    record.destination = Some("orders-eu".into());
    record
}

/// Whether a filter with these options keeps the record.
fn keeps(options: &Json, record: Record) -> Result<bool, String> {
    let kept = apply_one("filter", options, record.clone())?;
    assert!(kept.as_ref().is_none_or(|kept| *kept == record), "a filter changes nothing");
    Ok(kept.is_some())
}

#[test]
fn a_test_holds_for_what_it_says() {
    let cases = [
        (json!({ "field": "header.tenant", "equals": "acme" }), true),
        (json!({ "field": "header.tenant", "equals": "acm" }), false),
        (json!({ "field": "header.tenant", "in": ["other", "acme"] }), true),
        (json!({ "field": "header.tenant", "in": ["other"] }), false),
        (json!({ "field": "header.retries", "equals": 3 }), true),
        (json!({ "field": "header.retries", "equals": 3.0 }), true),
        (json!({ "field": "header.retries", "equals": "3" }), true),
        (json!({ "field": "header.retries", "equals": "3.0" }), false),
        (json!({ "field": "header.retries", "greater_than": 2, "at_most": 3 }), true),
        (json!({ "field": "header.retries", "less_than": 3 }), false),
        (json!({ "field": "header.tenant", "at_least": 0 }), false),
        (json!({ "field": "header.none", "exists": false }), true),
        (json!({ "field": "header.none", "exists": true }), false),
        (json!({ "field": "header.none", "matches": "" }), false),
        (json!({ "field": "header.none", "equals": "", "not": true }), true),
        (json!({ "field": "key", "matches": "^eu-" }), true),
        (json!({ "field": "key", "matches": "^EU-" }), false),
        (json!({ "field": "key", "matches": "(?i)^EU-" }), true),
        (json!({ "field": "topic", "equals": "orders" }), true),
        (json!({ "field": "destination", "matches": "eu$" }), true),
        (json!({ "field": "value.type", "equals": "order" }), true),
        (json!({ "field": "value.client", "matches": "^\\w+$" }), true),
        (json!({ "field": "value.count", "in": [1, 10] }), true),
        (json!({ "field": "value.price", "at_least": 9.5, "less_than": 10 }), true),
        (json!({ "field": "value.ok", "equals": true }), true),
        (json!({ "field": "value.tags.1", "equals": "b" }), true),
        (json!({ "field": "value.none", "exists": true }), false),
        (json!({ "field": "value", "matches": "Вася" }), true),
        (json!({ "field": "value.type", "exists": true, "matches": "r$", "not": true }), false),
    ];
    for (test, holds) in cases {
        assert_eq!(keeps(&json!({ "keep": test }), record()), Ok(holds), "keep {test}");
        assert_eq!(keeps(&json!({ "drop": test }), record()), Ok(!holds), "drop {test}");
    }
}

#[test]
fn all_and_any() {
    let yes = json!({ "field": "key", "exists": true });
    let no = json!({ "field": "key", "exists": false });
    for (tests, all, any) in [
        (json!([yes]), true, true),
        (json!([no]), false, false),
        (json!([yes, no]), false, true),
        (json!([no, yes]), false, true),
        (json!([yes, yes]), true, true),
        (json!([no, no]), false, false),
    ] {
        for (rule, keeps_it) in [("keep_all", all), ("keep_any", any), ("drop_all", !all), ("drop_any", !any)] {
            assert_eq!(keeps(&json!({ rule: tests }), record()), Ok(keeps_it), "{rule} {tests}");
        }
    }
}

#[test]
fn a_body_that_is_not_json_fails_unless_told_otherwise() {
    let text = Record { value: Some("hello".into()), ..record() };
    let mut options = json!({ "keep": { "field": "value.type", "equals": "order" } });
    let reason = keeps(&options, text.clone()).expect_err("not JSON");
    assert!(reason.starts_with("filter: the body is not JSON: "), "{reason}");
    for (word, kept) in [("keep", true), ("drop", false)] {
        options["on_invalid"] = word.into();
        assert_eq!(keeps(&options, text.clone()), Ok(kept), "{word}");
    }
    let header_first = json!({ "keep_any": [
        { "field": "header.tenant", "equals": "acme" }, { "field": "value.type", "equals": "order" }
    ] });
    assert_eq!(keeps(&header_first, text), Ok(true), "the body is not looked into when a header decides");
}

#[test]
fn a_tombstone_has_no_fields_of_a_body() {
    let tombstone = Record { value: None, ..record() };
    for (options, kept) in [
        (json!({ "keep": { "field": "value.type", "equals": "order" } }), false),
        (json!({ "drop": { "field": "value.type", "equals": "order" } }), true),
        (json!({ "keep": { "field": "value", "exists": false } }), true),
    ] {
        assert_eq!(keeps(&options, tombstone.clone()), Ok(kept), "{options}");
    }
}

#[test]
fn what_cannot_work_is_found_before_any_record() {
    let test = json!({ "field": "key", "equals": "a" });
    let cases = [
        (json!({}), "", "exactly one of"),
        (json!({ "keep": test, "drop": test }), "", "this one has 2"),
        (json!({ "keep_any": [] }), "keep_any", "no test"),
        (json!({ "keep": { "field": "key" } }), "keep", "needs a condition"),
        (json!({ "drop_all": [test, { "field": "key" }] }), "drop_all[1]", "needs a condition"),
        (json!({ "keep": { "field": "key", "exists": false, "equals": "a" } }), "keep.exists", "no other condition"),
        (json!({ "keep": { "field": "key", "in": [] } }), "keep.in", "empty list"),
        (json!({ "keep": { "field": "key", "at_least": 5, "less_than": 5 } }), "keep", "within these bounds"),
        (
            json!({ "keep": { "field": "key", "matches": "(" } }),
            "keep.matches",
            "not a regular expression: unclosed group",
        ),
        (json!({ "keep": { "field": "{key}", "exists": true } }), "keep.field", "without braces"),
        (json!({ "keep": { "field": "keyy", "exists": true } }), "keep.field", "there is no field"),
        (json!({ "keep": { "field": "key", "equals": null } }), "keep", "needs a condition"),
        (json!({ "keep": { "field": "key", "equals": ["a"] } }), "keep.equals", "expected text"),
    ];
    for (options, path, words) in cases {
        let found = problems("filter", &options);
        assert!(found.iter().any(|(at, text)| at == path && text.contains(words)), "{options}: {found:?}");
    }
    assert_eq!(problems("filter", &json!({ "keep": { "field": "key", "at_least": 5, "at_most": 5 } })), []);
}
