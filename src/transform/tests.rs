use gantry_sdk::{
    Record, Transform, Value, Working,
    plugin::TransformPlugin,
    testkit::{any_headers, any_properties},
};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::PLUGINS;

fn plugin(name: &str) -> &'static TransformPlugin {
    PLUGINS.iter().find(|plugin| plugin.name == name).expect(name)
}

pub(super) fn transform(name: &str, options: &Json) -> Box<dyn Transform> {
    (plugin(name).create)(options).unwrap_or_else(|error| panic!("{name} {options}: {}", error.chain()))
}

/// What the transform makes of one record: nothing when it filters it, the reason when it fails it.
pub(super) fn apply_one(name: &str, options: &Json, record: Record) -> Result<Option<Record>, String> {
    let mut batch = Working::new(vec![record]);
    transform(name, options).apply(&mut batch);
    let (mut kept, filtered, failed) = batch.finish();
    assert_eq!(kept.len() + filtered as usize + failed.len(), 1);
    match failed.into_iter().next() {
        Some((_, failure)) => Err(failure.reason.to_string()),
        None => Ok(kept.pop()),
    }
}

/// What is wrong with the options: paths and messages. Building must agree with it.
pub(super) fn problems(name: &str, options: &Json) -> Vec<(String, String)> {
    let problems = (plugin(name).check)(options);
    assert_eq!((plugin(name).create)(options).is_ok(), problems.is_empty(), "{name} {options}");
    problems.into_iter().map(|problem| (problem.path.to_string(), problem.message)).collect()
}

#[test]
fn every_option_is_described_and_no_schema_looks_elsewhere() {
    for plugin in PLUGINS {
        let schema = (plugin.schema)().to_value();
        assert!(!schema.to_string().contains("$ref"), "{}: {schema}", plugin.name);
        assert_eq!(schema["additionalProperties"], json!(false), "{}", plugin.name);
        for (name, option) in schema["properties"].as_object().expect("options") {
            assert!(option["description"].is_string(), "{}: {name} has no description", plugin.name);
        }
    }
}

#[test]
fn an_unknown_option_is_a_problem() {
    for plugin in PLUGINS {
        let problems = problems(plugin.name, &json!({ "bogus": 1 }));
        assert!(problems.iter().any(|(_, text)| text.contains("bogus")), "{}: {problems:?}", plugin.name);
    }
}

/// Each of these bodies has `id` 7, and something odd beside it.
#[test]
fn odd_bodies_are_taken_alike_by_every_transform() {
    let bodies: [&[u8]; 6] = [
        b"\xef\xbb\xbf{\"id\":7,\"x\":1}",
        br#"{"id":7,"x":"\ud800","\udc00":1}"#,
        br#"{"id":6,"x":1,"id":7,"x":2}"#,
        b"{\"id\":7,\"x\":\"caf\xe9\"}",
        br#"{"id":7,"x":{"$serde_json::private::Number":"12"}}"#,
        br#"{"id":7,"x":{"$serde_json::private::RawValue":"[1, 2]"}}"#,
    ];
    for body in bodies {
        let record = || Record { value: Some(body.to_vec().into()), ..Record::default() };
        let apply = |name, options: Json| {
            let shown = String::from_utf8_lossy(body);
            apply_one(name, &options, record()).unwrap_or_else(|reason| panic!("{name} {shown}: {reason}"))
        };
        assert_eq!(apply("filter", json!({ "keep": { "field": "value.id", "equals": 7 } })), Some(record()));
        assert_eq!(apply("filter", json!({ "drop": { "field": "value.id", "equals": 7 } })), None);
        let timestamp = json!({ "field": "value.id", "format": "millis" });
        assert_eq!(apply("timestamp", timestamp).expect("kept").timestamp, Some(7));
        assert_eq!(apply("key", json!({ "from": "k{value.id}" })).expect("kept").key.as_deref(), Some(&b"k7"[..]));
        let routed = apply("route", json!({ "to": "{value.id}" })).expect("kept");
        assert_eq!(routed.destination.as_deref(), Some("7"));
        assert_eq!(apply("json", json!({ "drop": ["no"] })), Some(record()), "not a byte is another");
        let inserted = apply("json", json!({ "insert": { "new": 1 } })).expect("kept").value.expect("a body");
        assert_eq!(&inserted[..], [&body[..body.len() - 1], b",\"new\":1}"].concat(), "nor when something is added");
        let extracted = apply("json", json!({ "extract": "id" })).expect("kept").value;
        assert_eq!(extracted.as_deref(), Some(&b"7"[..]));
    }
    // What is no text cannot be the text of a key, and nothing is put in its place.
    for body in [bodies[1], bodies[3]] {
        let record = Record { value: Some(body.to_vec().into()), ..Record::default() };
        for (name, options) in [
            ("filter", json!({ "keep": { "field": "value.x", "exists": true } })),
            ("key", json!({ "from": "{value.x}" })),
            ("route", json!({ "to": "{value.x}" })),
            ("timestamp", json!({ "field": "value.x" })),
            ("json", json!({ "extract": "x" })),
        ] {
            let reason = apply_one(name, &options, record.clone()).expect_err(name);
            assert!(reason.contains("x is no text: it holds"), "{reason}");
        }
    }
}

/// An object under a key that means something to serde_json is an object.
#[test]
fn no_key_makes_something_else_of_a_body() {
    let body = r#"{"$serde_json::private::Number":"12"}"#;
    let record = || Record { value: Some(body.into()), ..Record::default() };
    let apply = |name, options: Json| apply_one(name, &options, record()).expect(name).expect("kept");
    assert_eq!(apply("json", json!({ "mask": ["no"] })), record());
    let wrapped = r#"{"a":{"$serde_json::private::RawValue":"{\"pass\":true}"}}"#;
    let passes = json!({ "keep": { "field": "value.a.pass", "equals": true } });
    let record = Record { value: Some(wrapped.into()), ..Record::default() };
    assert_eq!(apply_one("filter", &passes, record.clone()), Ok(None), "a text inside is no field");
    let masked = apply_one("json", &json!({ "mask": ["a.pass", "b"] }), record.clone());
    assert_eq!(masked, Ok(Some(record)));
}

/// Transforms of every kind, strict and lenient, over fields that [`any_record`] may or may not have.
fn any_transform() -> impl Strategy<Value = (&'static str, Json)> {
    let word = || prop_oneof![Just("keep"), Just("fail")];
    prop_oneof![
        ("[a-c]", any::<bool>()).prop_map(|(text, not)| {
            ("filter", json!({ "keep": { "field": "value.a", "matches": text, "not": not } }))
        }),
        Just(()).prop_map(|()| {
            let tests = json!([{ "field": "key", "exists": false }, { "field": "value.b", "at_least": 3 }]);
            ("filter", json!({ "drop_any": tests }))
        }),
        (word(), word()).prop_map(|(missing, no_match)| {
            let options = json!({
                "to": "{value.a}-$1", "field": "header.h", "regex": "(.)", "missing": missing, "no_match": no_match,
            });
            ("route", options)
        }),
        word().prop_map(|missing| {
            let set = json!({ "x": "{value.b}", "n": 1 });
            let (copy, rename) = (json!({ "h": "i" }), json!({ "h": "j" }));
            let options = json!({ "copy": copy, "rename": rename, "drop": ["k"], "set": set, "missing": missing });
            ("headers", options)
        }),
        prop_oneof![Just("keep"), Just("fail"), Just("clear")]
            .prop_map(|missing| ("key", json!({ "from": "{value.a}", "missing": missing }))),
        (word(), word()).prop_map(|(missing, on_invalid)| {
            let options = json!({
                "rename": { "a": "c" }, "drop": ["b.*"], "mask": ["c"], "insert": { "d": "{value.a}" },
                "missing": missing, "on_invalid": on_invalid,
            });
            ("json", options)
        }),
        word().prop_map(|missing| ("json", json!({ "extract": "a", "missing": missing }))),
        (word(), word()).prop_map(|(missing, on_invalid)| {
            let options = json!({
                "field": "value.b", "format": "seconds", "missing": missing, "on_invalid": on_invalid,
            });
            ("timestamp", options)
        }),
        word().prop_map(|on_invalid| ("decompress", json!({ "format": "gzip", "on_invalid": on_invalid }))),
        Just(()).prop_map(|()| ("rabbitmq_envelope", json!({ "do": "wrap", "key": "message_key" }))),
        word().prop_map(|on_invalid| ("rabbitmq_envelope", json!({ "do": "unwrap", "on_invalid": on_invalid }))),
    ]
}

fn any_record() -> impl Strategy<Value = Record> {
    let json =
        (prop::option::of("[a-d]{1,3}"), prop::option::of(-5i64..5), any::<bool>()).prop_map(|(a, b, nested)| {
            let b = if nested { json!({ "x": b }) } else { json!(b) };
            json!({ "a": a, "b": b }).to_string().into_bytes()
        });
    let body = prop_oneof![
        6 => json.prop_map(Some),
        1 => prop::collection::vec(any::<u8>(), 0..8).prop_map(Some),
        1 => Just(None),
    ];
    let key = prop::option::of(prop::collection::vec(any::<u8>(), 0..4));
    (body, key, any_headers(), any_properties(), prop::option::of(".{0,2}")).prop_map(
        |(body, key, headers, properties, h)| {
            let mut record =
                Record { key: key.map(Into::into), value: body.map(Into::into), headers, ..Record::default() };
            record.set_properties(properties);
            if let Some(h) = h {
                record.headers.push("h", Value::text(h));
            }
            record
        },
    )
}

proptest! {
    /// I5 and I6: whatever a chain of transforms does, each record leaves exactly once, and in order.
    #[test]
    fn a_chain_neither_loses_nor_reorders(
        chain in prop::collection::vec(any_transform(), 0..6),
        records in prop::collection::vec(any_record(), 1..20),
    ) {
        let count = records.len();
        let mut batch = Working::new(records);
        for (name, options) in &chain {
            transform(name, options).apply(&mut batch);
        }
        let (kept, filtered, mut failed) = batch.finish();
        prop_assert_eq!(kept.len() + filtered as usize + failed.len(), count);
        prop_assert!(kept.is_sorted_by(|one, next| one.root < next.root), "out of order, or twice");
        failed.sort_by_key(|(root, _)| *root);
        prop_assert!(failed.is_sorted_by(|(one, _), (next, _)| one < next), "failed twice");
        let mut roots = kept.iter().map(|record| record.root);
        prop_assert!(roots.all(|root| failed.iter().all(|(failed, _)| *failed != root)), "kept and failed");
    }
}
