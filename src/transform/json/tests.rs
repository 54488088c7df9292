use gantry_sdk::{Record, Value};
use serde_json::{Value as Json, json};

use crate::transform::tests::{apply_one, problems};

const BODY: &str = r#"{"order":{"id":7,"client":"Вася","total":10.50,"note":null},
    "items":[{"sku":"a","n":1},{"sku":"b","n":2}],"card":"4111","x":1}"#;

fn record(body: &str) -> Record {
    let mut record = Record { value: Some(body.to_owned().into()), timestamp: Some(1700), ..Record::default() };
    record.headers.push("tenant", Value::text("acme"));
    record.headers.push("retries", Value::I64(3));
    record.headers.push("binary", Value::Bytes((&b"\xff"[..]).into()));
    record.origin.address = "orders".into();
    record.origin.set("offset", 12);
    record
}

/// The body after it; `None` for a tombstone.
fn edited(options: &Json, body: &str) -> Result<Option<String>, String> {
    let record = apply_one("json", options, record(body))?.expect("it drops no record");
    Ok(record.value.map(|body| String::from_utf8(body.to_vec()).expect("utf-8")))
}

fn check_bodies(cases: &[(Json, &str, &str)]) {
    for (options, body, expected) in cases {
        assert_eq!(edited(options, body), Ok(Some((*expected).to_owned())), "{options} {body}");
    }
}

#[test]
fn extract_makes_a_field_the_body() {
    check_bodies(&[
        (json!({ "extract": "order.id" }), BODY, "7"),
        (json!({ "extract": "order.total" }), BODY, "10.50"),
        (json!({ "extract": "order.client" }), BODY, "Вася"),
        (json!({ "extract": "items.1" }), BODY, r#"{"sku":"b","n":2}"#),
        (json!({ "extract": "payload" }), r#"{"payload":"{\"a\":1}"}"#, r#"{"a":1}"#),
        (json!({ "extract": "no", "missing": "keep" }), BODY, BODY),
        (json!({ "extract": "order", "drop": ["client", "note", "total"] }), BODY, r#"{"id":7}"#),
    ]);
    assert_eq!(edited(&json!({ "extract": "order.note" }), BODY), Ok(None), "null becomes a tombstone");
    assert_eq!(edited(&json!({ "extract": "order.no" }), BODY), Err("json: the body has no order.no".to_owned()));
}

#[test]
fn rename_keeps_the_place() {
    let body = r#"{"a":1,"b":{"c":2,"d":3},"e":[{"f":4},{"f":5}]}"#;
    check_bodies(&[
        (json!({ "rename": { "a": "z" } }), body, r#"{"z":1,"b":{"c":2,"d":3},"e":[{"f":4},{"f":5}]}"#),
        (json!({ "rename": { "b.c": "d" } }), body, r#"{"a":1,"b":{"d":2},"e":[{"f":4},{"f":5}]}"#),
        (json!({ "rename": { "b.c": "d", "b.d": "c" } }), body, r#"{"a":1,"b":{"d":2,"c":3},"e":[{"f":4},{"f":5}]}"#),
        (json!({ "rename": { "b": "y", "b.c": "x" } }), body, r#"{"a":1,"y":{"x":2,"d":3},"e":[{"f":4},{"f":5}]}"#),
        (json!({ "rename": { "e.*.f": "g" } }), body, r#"{"a":1,"b":{"c":2,"d":3},"e":[{"g":4},{"g":5}]}"#),
        (json!({ "rename": { "e.1.f": "g" } }), body, r#"{"a":1,"b":{"c":2,"d":3},"e":[{"f":4},{"g":5}]}"#),
        (json!({ "rename": { "no": "z", "a.b": "c" } }), body, body),
    ]);
}

#[test]
fn drop_removes_what_is_there() {
    let body = r#"{"a":1,"b":{"c":2,"d":3},"e":[0,1,2,3]}"#;
    check_bodies(&[
        (json!({ "drop": ["a"] }), body, r#"{"b":{"c":2,"d":3},"e":[0,1,2,3]}"#),
        (json!({ "drop": ["b.c", "e"] }), body, r#"{"a":1,"b":{"d":3}}"#),
        (json!({ "drop": ["e.0", "e.2", "e.9"] }), body, r#"{"a":1,"b":{"c":2,"d":3},"e":[1,3]}"#),
        (json!({ "drop": ["b.*", "e.*"] }), body, r#"{"a":1,"b":{},"e":[]}"#),
        (json!({ "drop": ["*.c"] }), body, r#"{"a":1,"b":{"d":3},"e":[0,1,2,3]}"#),
        (json!({ "drop": ["no", "a.b", "e.x"] }), body, body),
    ]);
}

#[test]
fn drop_means_the_places_of_a_list_as_they_were() {
    check_bodies(&[
        (json!({ "drop": ["*.1", "0.0"] }), "[[1,2,3],[4,5]]", "[[3],[4]]"),
        (json!({ "drop": ["l.1", "l.01"] }), r#"{"l":[1,2,3]}"#, r#"{"l":[1,3]}"#),
    ]);
}

#[test]
fn mask_hides_whatever_is_there() {
    let body = r#"{"card":4111,"people":[{"name":"a","age":1},{"name":"b"}],"n":null}"#;
    check_bodies(&[
        (
            json!({ "mask": ["card", "n", "no"] }),
            body,
            r#"{"card":"****","people":[{"name":"a","age":1},{"name":"b"}],"n":"****"}"#,
        ),
        (
            json!({ "mask": ["people.*.name"] }),
            body,
            r#"{"card":4111,"people":[{"name":"****","age":1},{"name":"****"}],"n":null}"#,
        ),
        (json!({ "mask": ["people"], "mask_with": [] }), body, r#"{"card":4111,"people":[],"n":null}"#),
        (
            json!({ "mask": ["card"], "mask_with": null }),
            body,
            r#"{"card":null,"people":[{"name":"a","age":1},{"name":"b"}],"n":null}"#,
        ),
    ]);
}

#[test]
fn insert_keeps_types_and_makes_the_way() {
    check_bodies(&[
        (json!({ "insert": { "a": "x" } }), r#"{"b":1}"#, r#"{"b":1,"a":"x"}"#),
        (json!({ "insert": { "b": true } }), r#"{"b":1,"c":2}"#, r#"{"b":true,"c":2}"#),
        (json!({ "insert": { "a.b.c": 1 } }), r#"{"a":null}"#, r#"{"a":{"b":{"c":1}}}"#),
        (json!({ "insert": { "a.1": 9 } }), r#"{"a":[1,2]}"#, r#"{"a":[1,9]}"#),
        (json!({ "insert": { "a": { "k": "{key}" }, "b": null } }), "{}", r#"{"a":{"k":"{key}"},"b":null}"#),
        (json!({ "insert": { "a": "{value.b}" } }), r#"{"b":{"c":1.50}}"#, r#"{"b":{"c":1.50},"a":{"c":1.50}}"#),
        (json!({ "insert": { "a": "{value.b}!" } }), r#"{"b":{"c":1.50}}"#, r#"{"b":{"c":1.50},"a":"{\"c\":1.50}!"}"#),
        (json!({ "insert": { "a": "{header.retries}", "b": "{header.tenant}" } }), "{}", r#"{"a":3,"b":"acme"}"#),
        (json!({ "insert": { "o": "{offset}", "t": "{timestamp}" } }), "{}", r#"{"o":12,"t":1700}"#),
        (json!({ "insert": { "a": "{queue}/{offset}" } }), "{}", r#"{"a":"orders/12"}"#),
        (json!({ "insert": { "a": "{value.no|none}" } }), "{}", r#"{"a":"none"}"#),
        (json!({ "insert": { "a": "{{n}}" } }), "{}", r#"{"a":"{n}"}"#),
        (json!({ "insert": { "a": "{header.no}", "b": 1 }, "missing": "keep" }), "{}", r#"{"b":1}"#),
        (
            json!({ "extract": "payload", "insert": { "id": "{value.id}" } }),
            r#"{"id":7,"payload":{"a":1}}"#,
            r#"{"a":1,"id":7}"#,
        ),
    ]);
    for (options, body, reason) in [
        (json!({ "insert": { "a.b": 1 } }), r#"{"a":"s"}"#, "json: cannot insert a.b: a is a string, not an object"),
        (json!({ "insert": { "a": 1 } }), "[1]", "json: cannot insert a: the body is a list, not an object"),
        (json!({ "insert": { "a": 1 } }), "5", "json: cannot insert a: the body is a number, not an object"),
        (json!({ "insert": { "a.5": 1 } }), r#"{"a":[1]}"#, "json: cannot insert a.5: the list has 1 items"),
        (json!({ "insert": { "a": "{header.no}" } }), "{}", "json: the record has no {header.no}"),
        (json!({ "insert": { "a": "{value.no}" } }), "{}", "json: the record has no {value.no}"),
        (json!({ "insert": { "a": "{header.binary}" } }), "{}", "json: cannot insert {header.binary}: it is not UTF-8"),
    ] {
        assert_eq!(edited(&options, body), Err(reason.to_owned()), "{options} {body}");
    }
}

#[test]
fn operations_come_in_the_documented_order() {
    let options = json!({
        "extract": "o", "rename": { "a": "b" }, "drop": ["b.c"], "mask": ["b.d"], "insert": { "b.d": 1, "b.c": 2 }
    });
    check_bodies(&[(options, r#"{"o":{"a":{"c":1,"d":2,"e":3}}}"#, r#"{"b":{"d":1,"e":3,"c":2}}"#)]);
}

#[test]
fn what_is_not_touched_keeps_its_bytes() {
    let odd = "{ \"n\": 12345678901234567890123, \"f\": 1.10,\n \"e\": 1E5, \"s\": \"\\u0041\" }";
    check_bodies(&[
        (json!({ "drop": ["no"], "mask": ["no"], "rename": { "no": "yes" } }), odd, odd),
        (json!({ "drop": ["s"] }), odd, "{ \"n\": 12345678901234567890123, \"f\": 1.10,\n \"e\": 1E5}"),
        (json!({ "mask": ["f"] }), odd, &odd.replace("1.10", "\"****\"")),
        (json!({ "rename": { "f": "g" } }), odd, &odd.replace(" \"f\": ", "\"g\":")),
        (json!({ "insert": { "s": 1 } }), odd, &odd.replace("\"\\u0041\"", "1")),
        (json!({ "extract": "a" }), r#"{"a": [ 1E5, "\u0041" ] }"#, r#"[ 1E5, "\u0041" ]"#),
    ]);
}

#[test]
fn a_key_that_stands_twice_is_read_as_the_last_and_hidden_everywhere() {
    let body = r#"{"a":{"x":1},"b":2,"a":{"x":3,"y":4}}"#;
    check_bodies(&[
        (json!({ "extract": "a.x" }), body, "3"),
        (json!({ "insert": { "c": "{value.a.x}" } }), body, r#"{"a":{"x":1},"b":2,"a":{"x":3,"y":4},"c":3}"#),
        (json!({ "mask": ["a.x"] }), body, r#"{"a":{"x":"****"},"b":2,"a":{"x":"****","y":4}}"#),
        (json!({ "drop": ["a.x"] }), body, r#"{"a":{},"b":2,"a":{"y":4}}"#),
        (json!({ "drop": ["a"] }), body, r#"{"b":2}"#),
        (json!({ "rename": { "b": "a" } }), body, r#"{"a":2}"#),
        (json!({ "rename": { "a": "b" } }), body, r#"{"b":{"x":1},"b":{"x":3,"y":4}}"#),
        (json!({ "insert": { "a.z": 5 } }), body, r#"{"a":{"x":1},"b":2,"a":{"x":3,"y":4,"z":5}}"#),
        (json!({ "insert": { "a": 5 } }), body, r#"{"a":5,"b":2}"#),
        (json!({ "insert": { "a": { "k": 1 }, "a.l": 2 } }), "{}", r#"{"a":{"k":1,"l":2}}"#),
    ]);
}

#[test]
fn a_body_that_is_not_json_fails_or_goes_on_and_a_tombstone_goes_on() {
    let strict = json!({ "drop": ["a"] });
    let reason = edited(&strict, "secret").expect_err("not JSON");
    assert!(reason.starts_with("json: the body is not JSON: ") && !reason.contains("secret"), "{reason}");
    check_bodies(&[(json!({ "drop": ["a"], "on_invalid": "keep" }), "secret", "secret")]);
    let tombstone = Record { key: Some("k".into()), ..Record::default() };
    let all = json!({ "extract": "a", "drop": ["a"], "insert": { "a": "{key}" } });
    assert_eq!(apply_one("json", &all, tombstone.clone()), Ok(Some(tombstone)));
}

#[test]
fn what_cannot_work_is_found_all_at_once() {
    let cases = [
        (json!({}), "", "nothing to do"),
        (json!({ "mask_with": "x" }), "", "nothing to do"),
        (json!({ "extract": "" }), "extract", "is not a path"),
        (json!({ "extract": "a.*" }), "extract", "works in rename, drop and mask only"),
        (json!({ "insert": { "a..b": 1 } }), "insert.a..b", "is not a path"),
        (json!({ "insert": { "*": 1 } }), "insert.*", "works in rename, drop and mask only"),
        (json!({ "insert": { "a": "{oops}" } }), "insert.a", "there is no field"),
        (json!({ "drop": ["a", "b."] }), "drop[1]", "is not a path"),
        (json!({ "mask": [".a"] }), "mask[0]", "is not a path"),
        (json!({ "rename": { "a.b": "a.c" } }), "rename.a.b", "is not a name"),
        (json!({ "rename": { "a": "" } }), "rename.a", "is not a name"),
        (json!({ "rename": { "a.*": "b" } }), "rename.a.*", "does not end with the name of a field"),
        (json!({ "rename": { "a.b": "b" } }), "rename.a.b", "the same"),
        (json!({ "rename": { "x.a": "c", "x.b": "c" } }), "rename.x.b", "\"a\" becomes \"c\" already"),
    ];
    for (options, path, words) in cases {
        let found = problems("json", &options);
        assert!(found.iter().any(|(at, text)| at == path && text.contains(words)), "{options}: {found:?}");
    }
    let many = json!({ "extract": "", "drop": ["."], "mask": ["a", "."], "insert": { "*": 1 }, "rename": { "a": "" } });
    assert_eq!(problems("json", &many).len(), 5);
    assert_eq!(problems("json", &json!({ "rename": { "a.x": "c", "b.x": "c" } })), []);
}
