use gantry_sdk::{Record, Value, Working};
use serde_json::{Value as Json, json};

use crate::transform::tests::{problems, transform};

fn record(body: impl AsRef<[u8]>) -> Record {
    let mut record = Record {
        key: Some("k".into()),
        value: Some(body.as_ref().to_vec().into()),
        timestamp: Some(1700),
        ..Record::default()
    };
    record.headers.push("tenant", Value::text("acme"));
    record.headers.push("tenant", Value::text("again"));
    record.properties_mut().message_id = Some("m-1".into());
    record.origin.address = "orders".into();
    record.origin.set("offset", 12);
    record
}

/// What comes out of such a chain: the records, how many were filtered, and the failures by root.
fn run(chain: &[(&str, Json)], bodies: &[&str]) -> (Vec<Record>, u32, Vec<(u32, String)>) {
    let mut batch = Working::new(bodies.iter().map(record).collect());
    for (name, options) in chain {
        transform(name, options).apply(&mut batch);
    }
    let (records, filtered, failed) = batch.finish();
    (records, filtered, failed.into_iter().map(|(root, failure)| (root, failure.reason.to_string())).collect())
}

/// Root and body of each record.
fn bodies(records: &[Record]) -> Vec<(u32, String)> {
    let body = |record: &Record| String::from_utf8_lossy(record.value.as_deref().expect("a body")).into_owned();
    records.iter().map(|record| (record.root, body(record))).collect()
}

/// The bodies of one record's elements, or why it failed; nothing when it was filtered.
fn elements(options: &Json, body: &str) -> Result<Vec<String>, String> {
    let (records, filtered, failed) = run(&[("split", options.clone())], &[body]);
    assert_eq!(usize::from(!records.is_empty()) + filtered as usize + failed.len(), 1, "{options} {body}");
    match failed.into_iter().next() {
        Some((_, reason)) => Err(reason),
        None => Ok(bodies(&records).into_iter().map(|(_, body)| body).collect()),
    }
}

#[test]
fn elements_stand_in_order_where_their_record_stood_and_share_its_root() {
    let (records, filtered, failed) = run(&[("split", json!({}))], &["[1,2]", "[]", "[3]", "[4,5,6]"]);
    let expected = [(0, "1"), (0, "2"), (2, "3"), (3, "4"), (3, "5"), (3, "6")];
    assert_eq!(bodies(&records), expected.map(|(root, body)| (root, body.to_owned())));
    assert_eq!((filtered, failed), (1, vec![]));
}

#[test]
fn everything_but_the_body_is_the_same_on_each_and_two_headers_say_which_it_is() {
    for (body, count) in [("[7]", 1), ("[7,8,9]", 3)] {
        let (records, ..) = run(&[("split", json!({}))], &[body]);
        assert_eq!(records.len(), count);
        for (index, element) in (0..).zip(records) {
            let mut expected = record((7 + index).to_string());
            expected.headers.push("x-gantry-split-index", Value::I64(index));
            expected.headers.push("x-gantry-split-count", Value::I64(i64::try_from(count).expect("few")));
            assert_eq!(element, expected);
        }
    }
}

#[test]
fn headers_of_the_same_names_are_replaced() {
    let options = json!({ "index_header": "tenant", "count_header": "of" });
    let (records, ..) = run(&[("split", options)], &["[1,2]"]);
    let headers: Vec<_> = records[1].headers.iter().cloned().collect();
    assert_eq!(headers, [("tenant".into(), Value::I64(1)), ("of".into(), Value::I64(2))]);
}

#[test]
fn a_list_of_lists_is_split_twice() {
    let inner = json!({ "index_header": "inner", "count_header": "inner-count" });
    let (records, ..) = run(&[("split", json!({})), ("split", inner)], &["[[1,2],[3]]"]);
    assert_eq!(bodies(&records), ["1", "2", "3"].map(|body| (0, body.to_owned())));
    let number = |name| records.iter().map(|record| record.headers.get(name).cloned()).collect::<Vec<_>>();
    assert_eq!(number("x-gantry-split-index"), [0, 0, 1].map(|index| Some(Value::I64(index))));
    assert_eq!(number("inner"), [0, 1, 0].map(|index| Some(Value::I64(index))));
}

#[test]
fn a_path_leads_to_the_list() {
    let body = r#"{"order":{"items":[{"a":1},{"a":2}]},"lists":[[0],["x","y"]]}"#;
    for (at, expected) in [("order.items", [r#"{"a":1}"#, r#"{"a":2}"#]), ("lists.1", [r#""x""#, r#""y""#])] {
        assert_eq!(elements(&json!({ "at": at }), body), Ok(expected.map(str::to_owned).to_vec()), "{at}");
    }
    let twice = r#"{"items":[1],"items":[2,3]}"#;
    assert_eq!(elements(&json!({ "at": "items" }), twice), Ok(vec!["2".to_owned(), "3".to_owned()]), "the last counts");
}

#[test]
fn elements_keep_their_bytes() {
    let list = "\u{feff} [ 1.50 , 1E5,{ \"a\" : 1,\"a\":2 } ,\n\"\\u0412ася 👋\" , null , [ ] , \"\\ud800\", true ] ";
    let expected = ["1.50", "1E5", r#"{ "a" : 1,"a":2 }"#, r#""\u0412ася 👋""#, "null", "[ ]", r#""\ud800""#, "true"];
    assert_eq!(elements(&json!({}), list), Ok(expected.map(str::to_owned).to_vec()));
    // Bytes that are not UTF-8 are passed on as well.
    let mut batch = Working::new(vec![record(b"[\"caf\xe9\",2]")]);
    transform("split", &json!({})).apply(&mut batch);
    assert_eq!(batch.records()[0].value.as_deref(), Some(&b"\"caf\xe9\""[..]));
}

#[test]
fn an_element_shares_the_memory_of_the_body() {
    let body = record("[10,20]");
    let memory = body.value.as_ref().expect("a body").as_ptr_range();
    let mut batch = Working::new(vec![body]);
    transform("split", &json!({})).apply(&mut batch);
    for element in batch.records() {
        assert!(memory.contains(&element.value.as_ref().expect("a body").as_ptr()));
    }
}

#[test]
fn an_empty_list_is_dropped_kept_or_fails() {
    let body = r#"{"items":[ ]}"#;
    let empty = |on_empty: &str| elements(&json!({ "at": "items", "on_empty": on_empty }), body);
    assert_eq!(empty("drop"), Ok(vec![]));
    assert_eq!(empty("keep"), Ok(vec![body.to_owned()]));
    assert_eq!(empty("fail"), Err("split: items is an empty list".to_owned()));
}

#[test]
fn what_is_no_list_fails_and_says_what_it_is_or_goes_on() {
    let (whole, items) = (json!({}), json!({ "at": "items" }));
    for (options, body, reason) in [
        (&whole, r#"{"secret":1}"#, "split: the body is an object, not a list"),
        (&whole, r#""secret""#, "split: the body is a string, not a list"),
        (&whole, "null", "split: the body is null, not a list"),
        (&whole, "", "split: the body is not JSON: EOF while parsing a value at line 1 column 1; found an empty body"),
        (&items, r#"{"items":7}"#, "split: items is a number, not a list"),
        (&items, r#"{"items":null}"#, "split: items is null, not a list"),
        (&items, r#"{"other":[1]}"#, "split: the body, which is an object, has no items"),
        (&items, "[1,2]", "split: the body, which is a list, has no items"),
    ] {
        assert_eq!(elements(options, body), Err(reason.to_owned()), "{options} {body}");
        let mut keeping = options.clone();
        keeping["on_other"] = "keep".into();
        let (records, ..) = run(&[("split", keeping)], &[body]);
        assert_eq!(records, [record(body)], "not a byte is another, and no header is new");
    }
    for body in ["[1,2", "[1,,2]", "[1,2] x", "secret"] {
        let reason = elements(&whole, body).expect_err(body);
        assert!(reason.starts_with("split: the body is not JSON: ") && !reason.contains("secret"), "{reason}");
    }
}

#[test]
fn a_tombstone_goes_on() {
    let mut batch = Working::new(vec![Record::default()]);
    transform("split", &json!({})).apply(&mut batch);
    assert_eq!(batch.records(), [Record::default()]);
}

#[test]
fn a_list_that_is_too_long_fails() {
    let three = json!({ "max": 3 });
    assert_eq!(elements(&three, "[1,2,3]").map(|elements| elements.len()), Ok(3));
    assert_eq!(elements(&three, "[1,2,3,4]"), Err("split: the body has more than 3 elements".to_owned()));
    let hostile = format!("[{}1]", "1,".repeat(1_000_000));
    assert_eq!(elements(&json!({}), &hostile), Err("split: the body has more than 10000 elements".to_owned()));
    assert_eq!(elements(&json!({ "max": 1, "on_other": "keep" }), "[1,2]").map_err(|_| ()), Err(()), "it is a list");
}

#[test]
fn when_an_element_fails_later_none_of_its_siblings_goes_on() {
    let strict = ("json", json!({ "extract": "id" }));
    let lists = [r#"[{"id":1},{"id":2}]"#, r#"[{"id":3},{"no":0},{"id":4},{"no":0}]"#, r#"[{"id":5}]"#];
    let (records, filtered, failed) = run(&[("split", json!({})), strict], &lists);
    assert_eq!(bodies(&records), [(0, "1"), (0, "2"), (2, "5")].map(|(root, body)| (root, body.to_owned())));
    assert_eq!(filtered, 0);
    assert!(!failed.is_empty() && failed.iter().all(|(root, _)| *root == 1), "{failed:?}");
}

#[test]
fn a_filter_drops_elements_one_by_one() {
    let filter = ("filter", json!({ "keep": { "field": "value.n", "at_least": 2 } }));
    let (records, _, failed) = run(&[("split", json!({})), filter], &[r#"[{"n":1},{"n":2},{"n":3}]"#, r#"[{"n":0}]"#]);
    assert_eq!(bodies(&records), [(0, r#"{"n":2}"#), (0, r#"{"n":3}"#)].map(|(root, body)| (root, body.to_owned())));
    assert_eq!(records[0].headers.get("x-gantry-split-count"), Some(&Value::I64(3)), "as many as there were");
    assert_eq!(failed, []);
}

#[test]
fn options_that_cannot_work_are_problems() {
    for (options, path, text) in [
        (json!({ "at": "a..b" }), "at", "is not a path"),
        (json!({ "at": "" }), "at", "is not a path"),
        (json!({ "at": "a.*" }), "at", "works in rename"),
        (json!({ "index_header": "" }), "index_header", "is empty"),
        (json!({ "count_header": "c".repeat(256) }), "count_header", "longer than 255 bytes"),
        (json!({ "index_header": "h", "count_header": "h" }), "count_header", "one header cannot say both"),
        (json!({ "max": 0 }), "max", "nonzero"),
    ] {
        let problems = problems("split", &options);
        assert!(problems.iter().any(|(own, message)| own == path && message.contains(text)), "{options}: {problems:?}");
    }
}
