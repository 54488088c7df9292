use serde_json::json;

use super::*;

fn texts(schema: &Json, value: &Json) -> Vec<String> {
    let mut texts: Vec<String> = problems(schema, value, value).iter().map(Problem::to_string).collect();
    texts.sort();
    texts
}

fn of(property: Json) -> Json {
    json!({ "type": "object", "properties": { "x": property } })
}

#[test]
fn unknown_keys_name_the_nearest_or_all() {
    let schema = json!({
        "type": "object",
        "additionalProperties": false,
        "properties": { "topic": {}, "partition": {}, "d": {
            "type": "object", "additionalProperties": false, "properties": { "retries": {} }
        } },
    });
    let value = json!({ "topik": 1, "zzzzzz": 2, "d": { "retry": 1 } });
    assert_eq!(
        texts(&schema, &value),
        [
            "d.retry: unknown key; did you mean \"retries\"?",
            "topik: unknown key; did you mean \"topic\"?",
            "zzzzzz: unknown key; there is topic, partition and d",
        ]
    );
}

#[test]
fn one_misspelt_key_is_one_mistake() {
    let schema = json!({
        "type": "object", "additionalProperties": false, "properties": { "topic": {}, "key": {} }, "required": ["topic"],
    });
    assert_eq!(texts(&schema, &json!({ "topik": 1 })), ["topik: unknown key; did you mean \"topic\"?"]);
    let two = texts(&schema, &json!({ "kee": 1 }));
    assert_eq!(two, ["\"topic\" is missing", "kee: unknown key; did you mean \"key\"?"]);
}

#[test]
fn of_thousands_of_unknown_keys_the_first_are_told_and_a_number() {
    let schema = json!({ "type": "object", "additionalProperties": false, "properties": { "topic": {} } });
    let value: Json = (0..60_000).map(|n| (format!("k{n}"), Json::Null)).collect::<Map<_, _>>().into();
    let found = problems(&schema, &value, &value);
    assert_eq!(found.len(), 51);
    assert_eq!(found[50].message, "… and 59950 more unknown keys");
}

#[test]
fn what_a_reference_brought_is_never_quoted() {
    let hidden = "hunter2\"\n\\";
    let cases = [
        (json!({ "type": "string", "pattern": "^[0-9]+s$", "examples": ["5s"] }), "is not right: write it like 5s"),
        (json!({ "enum": ["none", "gzip"] }), "is not known: it can be none or gzip"),
        (json!({ "type": "integer" }), "expected a whole number; "),
        (json!({ "type": "string", "format": "template" }), "makes no template"),
        (json!({ "type": "object" }), "is a single value: write the map here"),
        (json!({ "type": "array" }), "is a single value: write the list here"),
        (json!({ "type": "string", "maxLength": 2 }), "must have at most 2 characters"),
        (json!({ "anyOf": [{ "type": "null" }, { "type": "integer" }] }), "expected a whole number; "),
    ];
    for (schema, expected) in cases {
        let (value, quotable) = (json!({ "x": format!("{{{hidden}") }), json!({ "x": "${file:/x}" }));
        let found = problems(&of(schema), &value, &quotable);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].message.contains(expected), "{found:?}, expected {expected}");
        assert!(!found[0].message.contains("hunter2"), "{found:?}");
    }
}

#[test]
fn types_are_said_in_words_with_what_to_do() {
    let unit = json!({ "type": "string", "pattern": "^[0-9]+s$", "examples": ["5s", "1h"] });
    let cases = [
        (json!({ "type": "integer" }), json!("many"), "x: expected a whole number, found text"),
        (json!({ "type": "integer" }), json!(1.5), "x: expected a whole number, found a number"),
        (json!({ "type": "boolean" }), json!("yes"), "x: expected true or false, found text"),
        (json!({ "type": "string" }), json!(5), "x: expected text, found a whole number: put it in quotes"),
        (json!({ "type": ["string", "null"] }), json!([]), "x: expected text, found a list"),
        (json!({ "type": "array" }), json!("a"), "x: expected a list, found text: write it as [ … ]"),
        (json!({ "type": "object" }), json!(null), "x: expected a map, found nothing"),
        (unit.clone(), json!(5), "x: 5 has no unit: write it like 5s or 1h"),
        (unit.clone(), json!("5 parsecs"), "x: \"5 parsecs\" is not right: write it like 5s or 1h"),
        (json!({ "anyOf": [unit, { "type": "null" }] }), json!(5), "x: 5 has no unit: write it like 5s or 1h"),
        (
            json!({ "type": ["string", "array"], "examples": ["a:1", ["a:1"]] }),
            json!(5),
            "x: expected text or a list, found a whole number: write it like a:1",
        ),
        (json!({ "type": "integer", "minimum": 1 }), json!(0), "x: must be at least 1"),
        (json!({ "type": "integer", "maximum": 65535 }), json!(65536), "x: must be at most 65535"),
        (json!({ "type": "array", "minItems": 1 }), json!([]), "x: must not be empty"),
        (json!({ "type": "string", "minLength": 1 }), json!(""), "x: must not be empty"),
        (json!({ "type": "string", "format": "template" }), json!("{keyy}"), "x: there is no field"),
    ];
    for (schema, value, expected) in cases {
        let texts = texts(&of(schema), &json!({ "x": value }));
        assert_eq!(texts.len(), 1, "{texts:?}");
        assert!(texts[0].starts_with(expected), "{texts:?}, expected {expected}");
    }
}

#[test]
fn words_are_listed_and_the_nearest_is_named() {
    let list = json!({ "enum": ["none", "gzip", "zstd"] });
    let documented = json!({ "oneOf": [
        { "const": "none", "description": "No." }, { "const": "gzip", "type": "string" }, { "enum": ["zstd"] }
    ] });
    for schema in [list, documented] {
        let near = texts(&of(schema.clone()), &json!({ "x": "gzi" }));
        assert_eq!(near, ["x: \"gzi\" is not known: did you mean \"gzip\"? It can be none, gzip or zstd"]);
        let far = texts(&of(schema.clone()), &json!({ "x": "brotli" }));
        assert_eq!(far, ["x: \"brotli\" is not known: it can be none, gzip or zstd"]);
        let other = texts(&of(schema), &json!({ "x": 5 }));
        assert_eq!(other.len(), 1);
        assert!(other[0].starts_with("x: expected none, gzip or zstd, found a whole number"), "{other:?}");
    }
}

#[test]
fn of_several_forms_the_one_that_is_meant_is_explained() {
    let condition = json!({
        "type": "object", "additionalProperties": false,
        "properties": { "field": { "type": "string" } }, "required": ["field"],
    });
    let tagged = |key: &str| {
        json!({
            "type": "object", "additionalProperties": false, "properties": { key: condition }, "required": [key],
        })
    };
    let schema = json!({ "oneOf": [tagged("keep"), tagged("drop")] });
    assert_eq!(texts(&schema, &json!({ "kep": {} })), ["kep: unknown key; did you mean \"keep\"?"]);
    assert_eq!(
        texts(&schema, &json!({ "drop": { "field": 5 } })),
        ["drop.field: expected text, found a whole number: put it in quotes"]
    );
    assert_eq!(
        texts(&schema, &json!({ "keep": { "feild": "a" } })),
        ["keep.feild: unknown key; did you mean \"field\"?"]
    );
    let both = texts(&schema, &json!({ "keep": { "field": "a" }, "drop": { "field": "a" } }));
    assert_eq!(both.len(), 1, "{both:?}");
    assert!(both[0].ends_with("cannot stand here with the others: write only one of keep and drop"), "{both:?}");

    let one_or_many = json!({ "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }] });
    assert_eq!(
        texts(&of(one_or_many.clone()), &json!({ "x": ["a", 5] })),
        ["x[1]: expected text, found a whole number: put it in quotes"]
    );
    assert_eq!(texts(&of(one_or_many), &json!({ "x": {} })), ["x: expected text or a list, found a map"]);
}

#[test]
fn what_is_missing_says_what_it_is() {
    let schema = json!({
        "type": "object",
        "properties": { "topic": { "description": "Where records go: a template\nof text. More.\n\nEven more." } },
        "required": ["topic"],
    });
    assert_eq!(texts(&schema, &json!({})), ["\"topic\" is missing: Where records go: a template of text"]);
}

#[test]
fn a_secret_is_never_shown() {
    let secret = json!({ "type": "string", "writeOnly": true, "pattern": "^a+$", "examples": ["aaa"] });
    let number = json!({ "type": "integer", "writeOnly": true });
    let word = json!({ "enum": ["a", "b"], "writeOnly": true });
    for schema in [secret, number, word] {
        for value in [json!("hunter2"), json!({ "hunter2": 5 }), json!(["hunter2"]), json!(72_727_272)] {
            for text in texts(&of(schema.clone()), &json!({ "x": value })) {
                assert!(!text.contains("hunter2") && !text.contains("72727272"), "{text}");
            }
        }
    }
}

#[test]
fn a_definition_is_followed_into_itself() {
    let schema = json!({
        "$ref": "#/$defs/Node",
        "$defs": { "Node": {
            "type": "object", "additionalProperties": false,
            "properties": { "all": { "type": "array", "items": { "$ref": "#/$defs/Node" } } },
        } },
    });
    let value = json!({ "all": [{ "all": [{ "al": 1 }] }] });
    assert_eq!(texts(&schema, &value), ["all[0].all[0].al: unknown key; did you mean \"all\"?"]);
}
