use gantry_sdk::{Record, Value, Working};
use serde_json::{Value as Json, json};

use crate::transform::tests::{apply_one, problems, transform};

/// `a` twice, a typed `b`, a `c`.
fn record() -> Record {
    let mut record = Record { value: Some(r#"{"id":7}"#.into()), ..Record::default() };
    record.headers.push("a", Value::text("1"));
    record.headers.push("b", Value::I64(2));
    record.headers.push("a", Value::text("3"));
    record.headers.push("c", Value::Bool(true));
    record
}

/// The headers after it, one word each: `name=type:text`.
fn edited(options: &Json) -> Result<String, String> {
    let record = apply_one("headers", options, record())?.expect("it drops no record");
    let words = record.headers.iter().map(|(name, value)| {
        let kind = match value {
            Value::String(_) => "text",
            Value::I64(_) => "i64",
            Value::F64(_) => "f64",
            Value::Bool(_) => "bool",
            Value::List(_) => "list",
            other => panic!("unexpected {other:?}"),
        };
        format!("{name}={kind}:{}", String::from(value.clone()))
    });
    Ok(words.collect::<Vec<_>>().join(" "))
}

#[test]
fn edits_in_the_documented_order() {
    let cases = [
        (json!({ "copy": { "b": "d" } }), "a=text:1 b=i64:2 a=text:3 c=bool:true d=i64:2"),
        (json!({ "copy": { "a": "b" } }), "a=text:1 a=text:3 c=bool:true b=text:1 b=text:3"),
        (json!({ "copy": { "a": "b", "b": "a" } }), "c=bool:true b=text:1 b=text:3 a=i64:2"),
        (json!({ "copy": { "no": "b" } }), "a=text:1 b=i64:2 a=text:3 c=bool:true"),
        (json!({ "rename": { "a": "x" } }), "x=text:1 b=i64:2 x=text:3 c=bool:true"),
        (json!({ "rename": { "a": "c" } }), "c=text:1 b=i64:2 c=text:3"),
        (json!({ "rename": { "b": "c", "c": "b" } }), "a=text:1 c=i64:2 a=text:3 b=bool:true"),
        (json!({ "rename": { "b": "c", "c": "d" } }), "a=text:1 c=i64:2 a=text:3 d=bool:true"),
        (json!({ "rename": { "no": "c" } }), "a=text:1 b=i64:2 a=text:3 c=bool:true"),
        (json!({ "drop": ["a", "no"] }), "b=i64:2 c=bool:true"),
        (json!({ "drop_matching": ["^[bc]$"] }), "a=text:1 a=text:3"),
        (json!({ "set": { "a": "x-{value.id}" } }), "b=i64:2 c=bool:true a=text:x-7"),
        (json!({ "set": { "n": 5, "f": 1.5, "t": false }, "drop_matching": [""] }), "f=f64:1.5 n=i64:5 t=bool:false"),
        (json!({ "set": { "d": "{header.b}" }, "drop": ["b"] }), "a=text:1 a=text:3 c=bool:true d=text:2"),
        (json!({ "copy": { "a": "x" }, "rename": { "x": "y" }, "drop": ["a", "b", "c"] }), "y=text:1 y=text:3"),
        (
            json!({ "rename_matching": [{ "regex": "^([ab])$", "to": "x-$1" }] }),
            "x-a=text:1 x-b=i64:2 x-a=text:3 c=bool:true",
        ),
        (json!({ "rename_matching": [{ "regex": "[ab]", "to": "c" }] }), "c=text:1 c=i64:2 c=text:3"),
        (
            json!({ "rename": { "a": "b" }, "rename_matching": [{ "regex": "b", "to": "a" }, { "regex": "", "to": "z" }] }),
            "b=text:1 a=i64:2 b=text:3 z=bool:true",
        ),
        (
            json!({ "rename_matching": [{ "regex": "(?P<n>c)", "to": "${n}d$$" }] }),
            "a=text:1 b=i64:2 a=text:3 cd$=bool:true",
        ),
        (json!({ "repeated": { "a": "first", "no": "list" } }), "a=text:1 b=i64:2 c=bool:true"),
        (json!({ "repeated": { "a": "last", "b": "last" } }), "a=text:3 b=i64:2 c=bool:true"),
        (json!({ "repeated": { "a": "list", "b": "list" } }), r#"a=list:["1","3"] b=list:[2] c=bool:true"#),
        (json!({ "drop_larger_than": "1B" }), "a=text:1 a=text:3 c=bool:true"),
        (json!({ "drop_larger_than": "8B", "drop": ["c"] }), "a=text:1 b=i64:2 a=text:3"),
        (json!({ "decode_json": ["a"] }), "a=i64:1 b=i64:2 a=i64:3 c=bool:true"),
        (
            json!({ "decode_json_matching": [""], "repeated": { "a": "last" }, "copy": { "a": "d" } }),
            "a=i64:3 b=i64:2 c=bool:true d=i64:3",
        ),
        (json!({ "set": { "b": "{header.no}" } }), "a=text:1 b=i64:2 a=text:3 c=bool:true"),
    ];
    for (options, expected) in cases {
        assert_eq!(edited(&options), Ok(expected.to_owned()), "{options}");
    }
}

#[test]
fn a_missing_field_can_fail_the_record() {
    let options = json!({ "set": { "b": "{header.no}" }, "missing": "fail" });
    assert_eq!(edited(&options), Err("headers: the record has no {header.no}".to_owned()));
}

#[test]
fn json_text_becomes_what_it_says_and_the_rest_stays() {
    let cases = [
        (r#""com.shop.Order""#, Some(Value::text("com.shop.Order"))),
        (r#""a\u0020\n""#, Some(Value::text("a \n"))),
        (r#" "a""#, None),
        ("-7", Some(Value::I64(-7))),
        ("1.5", Some(Value::F64(1.5))),
        ("1.50", None),
        ("12345678901234567890123", None),
        ("true", Some(Value::Bool(true))),
        ("null", Some(Value::Null)),
        (r#"{"a":1}"#, None),
        ("[1]", None),
        (r#""open"#, None),
        (r#""\ud800""#, None),
        ("trueish", None),
        ("plain", None),
        ("", None),
    ];
    for (text, expected) in cases {
        for value in [Value::text(text), Value::Bytes(text.into())] {
            let mut record = record();
            record.headers.set("h", value.clone());
            let decoded = apply_one("headers", &json!({ "decode_json": ["h"] }), record).expect(text).expect("kept");
            assert_eq!(decoded.headers.get("h"), Some(expected.as_ref().unwrap_or(&value)), "{text}");
        }
    }
}

#[test]
fn clones_are_not_changed() {
    let original = record();
    let shared = original.clone();
    let options = json!({ "rename": { "a": "x" }, "drop": ["b"], "set": { "y": "z" } });
    apply_one("headers", &options, shared).expect("it works");
    assert_eq!(original, record());
}

/// Records share what is set for all of them, and each goes its own way behind it.
#[test]
fn what_is_set_for_all_is_each_records_own() {
    let came = [("1", "x"), ("2", "y")].map(|(id, key)| Record { key: Some(key.into()), ..numbered(id) });
    let mut batch = Working::new(came.to_vec());
    for options in [
        json!({ "set": { "c": "same", "d": 1 } }),
        json!({ "set": { "d": "{key}" } }),
        json!({ "rename": { "c": "e" }, "drop": ["id"] }),
        json!({ "set": { "c": "again" } }),
    ] {
        transform("headers", &options).apply(&mut batch);
    }
    let (records, ..) = batch.finish();
    for (record, key) in records.iter().zip(["x", "y"]) {
        let expected = [("e", "same"), ("d", key), ("c", "again")].map(|(name, text)| (name.into(), Value::text(text)));
        assert_eq!(record.headers.to_vec(), expected);
    }
    assert_eq!(came.map(|record| record.headers), ["1", "2"].map(|id| numbered(id).headers), "for the dead letter");
}

fn numbered(id: &str) -> Record {
    let list = [("id", id), ("c", "own")].map(|(name, text)| (name.into(), Value::text(text)));
    Record { headers: list.to_vec().into(), ..Record::default() }
}

#[test]
fn what_cannot_work_is_found_before_any_record() {
    let cases = [
        (json!({}), "", "nothing to do"),
        (json!({ "missing": "fail" }), "", "nothing to do"),
        (json!({ "rename": { "a": "c", "b": "c" } }), "rename.b", "\"a\" becomes \"c\" already"),
        (json!({ "copy": { "a": "c", "b": "c" } }), "copy.b", "\"a\" becomes \"c\" already"),
        (json!({ "rename": { "a": "a" } }), "rename.a", "the same"),
        (json!({ "set": { "a": "{oops}" } }), "set.a", "there is no field"),
        (json!({ "set": { "a": [] } }), "set.a", "expected a template"),
        (json!({ "rename_matching": [{ "regex": "a", "to": "$1" }] }), "rename_matching[0].to", "no group"),
        (json!({ "rename_matching": [{ "regex": "(a)", "to": "$1b" }] }), "rename_matching[0].to", "\"$1b\""),
        (json!({ "rename_matching": [{ "regex": "a", "to": "" }] }), "rename_matching[0].to", "is empty"),
        (json!({ "repeated": { "a": "all" } }), "repeated.a", "first"),
        (json!({ "drop_matching": ["["] }), "drop_matching[0]", "not a regular expression"),
    ];
    for (options, path, words) in cases {
        let found = problems("headers", &options);
        assert!(found.iter().any(|(at, text)| at == path && text.contains(words)), "{options}: {found:?}");
    }
}
