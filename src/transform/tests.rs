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

fn transform(name: &str, options: &Json) -> Box<dyn Transform> {
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
    problems.into_iter().map(|problem| (problem.path, problem.message)).collect()
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
