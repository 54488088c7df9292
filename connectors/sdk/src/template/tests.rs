use super::*;
use crate::{Origin, Value};
use proptest::prelude::*;

fn record() -> Record {
    let mut record = Record {
        key: Some("k".into()),
        value: Some(
            r#"{"order":{"id":42,"name":"Вася","none":null},"items":[{"sku":"a"}],"big":12345678901234567890123}"#
                .into(),
        ),
        timestamp: Some(1700000000000),
        ..Record::default()
    };
    record.headers.push("tenant", Value::text("acme"));
    record.headers.push("a.b", Value::I64(-7));
    record.properties_mut().message_id = Some("m-1".into());
    record.origin = Origin::new("queue", "orders".into()).with("routing_key", "eu.de");
    record
}

fn rendered(text: &str) -> Option<String> {
    let bytes = Template::parse(text).expect(text).render(&record())?;
    Some(String::from_utf8(bytes.to_vec()).expect("utf-8"))
}

#[test]
fn yields_every_kind_of_field() {
    let cases = [
        ("plain", "plain"),
        ("", ""),
        ("{key}", "k"),
        ("{message_id}", "m-1"),
        ("{queue}.{routing_key}", "orders.eu.de"),
        ("[{exchange}]", "[]"),
        ("{header.tenant}", "acme"),
        ("{header.a.b}", "-7"),
        ("{value.order.id}-{value.order.name}", "42-Вася"),
        ("{value.items.0.sku}", "a"),
        ("{value.big}", "12345678901234567890123"),
        ("{timestamp}", "1700000000000"),
        ("{header.none|nobody}", "nobody"),
        ("{correlation_id|}", ""),
        ("{{{key}}}", "{k}"),
        // What stood behind a bar before there were functions is a default still.
        ("{header.none|lower}", "lower"),
        ("{header.none|lower(key)}", "lower(key)"),
        ("{header.none| x(y) }", " x(y) "),
    ];
    for (template, expected) in cases {
        assert_eq!(rendered(template).as_deref(), Some(expected), "{template}");
    }
}

#[test]
fn functions_make_something_else_of_a_field() {
    let cases = [
        ("{upper(header.tenant)}", "ACME"),
        ("{ upper( header.tenant ) }", "ACME"),
        ("{upper(value.order.name)}-{lower(value.order.name)}", "ВАСЯ-вася"),
        ("{replace(routing_key, \".\", \"/\")}", "eu/de"),
        ("{replace(routing_key, '.', '}\\'{')}", "eu}'{de"),
        ("{replace(replace(routing_key, 'e', ''), '.', \"\")}", "ud"),
        ("{replace(routing_key, 'x', 'y')}", "eu.de"),
        ("{default(header.none, correlation_id, message_id)}", "m-1"),
        ("{default(header.none, 'no | one')}", "no | one"),
        ("{lower(default(header.none, \"NONE\"))}", "none"),
        ("{lower(header.none)|None}", "None"),
        ("{upper(value.order.id)}", "42"),
        ("{hash(key)}", "8254c329a92850f6d539dd376f4816ee2764517da5e0235514af433164480d7a"),
        ("{hash(key, 1)}-{hash(key, 8)}", "0-6"),
        ("queue-{hash(message_id, 4)|0}", "queue-0"),
    ];
    for (template, expected) in cases {
        assert_eq!(rendered(template).as_deref(), Some(expected), "{template}");
    }
    for template in ["{lower(header.none)}", "{hash(correlation_id)}", "{default(header.none, correlation_id)}"] {
        assert_eq!(rendered(template), None, "{template}");
    }
    assert_eq!(
        Template::parse("{default(header.x, key, header.y)}{upper(header.z)}").expect("it compiles").lacking(&record()),
        [&Field::Header("z".to_owned())]
    );
}

#[test]
fn the_case_of_bytes_that_are_not_text_changes_where_it_is_ascii() {
    let record = Record { key: Some(b"\xffAb"[..].into()), ..Record::default() };
    assert_eq!(Template::parse("{lower(key)}").expect("it compiles").render(&record).as_deref(), Some(&b"\xffab"[..]));
}

#[test]
fn yields_nothing_when_a_field_is_missing() {
    for template in ["{correlation_id}", "x-{header.none}", "{value.order.none}", "{value.order.id.x}", "{partition}"] {
        assert_eq!(rendered(template), None, "{template}");
    }
}

#[test]
fn says_what_is_wrong() {
    for (template, word) in [
        ("{oops}", "message_id"),
        ("{key", "without"),
        ("key}", "without"),
        ("{header.}", "header.NAME"),
        ("{headers.test}", "did you mean \"{header.test}\"?"),
        ("{body.id}", "did you mean \"{value.id}\"?"),
        ("{mesage_id}", "did you mean \"{message_id}\"?"),
        ("{lowr(key)}", "there is no function \"lowr\"; did you mean \"lower\"?"),
        ("{frobnicate(key)}", "there is no function \"frobnicate\"; the functions are lower"),
        ("{lower(kee)}", "there is no field"),
        ("{lower()}", "there is no field"),
        ("{lower(key, key)}", "is called like lower(FIELD)"),
        ("{replace(key, \"\", \"a\")}", "FROM must not be empty"),
        ("{replace(key, header.a, \"a\")}", "is called like replace(FIELD, \"FROM\", \"TO\")"),
        ("{hash(key, 0)}", "N is a number from 1"),
        ("{hash(key, x)}", "there is no field"),
        ("{lower(key", "a comma or \")\" is missing"),
        ("{lower(key)", "without"),
        ("{lower(key)|x", "without"),
        ("{lower(key)x}", "comes \"}\""),
        ("{lower('key)}", "does not end"),
    ] {
        let error = Template::parse(template).expect_err(template);
        assert!(error.contains(word), "{error}");
    }
}

proptest! {
    #[test]
    fn any_text_either_compiles_or_says_why(text in ".{0,64}") {
        if let Ok(template) = Template::parse(&text) {
            let _ = template.render(&record());
        }
    }

    #[test]
    fn escaped_text_is_literal(text in ".{0,64}") {
        let escaped = text.replace('{', "{{").replace('}', "}}");
        let template = Template::parse(&escaped).expect("escaped");
        prop_assert_eq!(template.as_literal(), Some(text.as_str()));
    }
}

#[test]
fn the_field_that_is_meant_is_named() {
    for (wrong, meant) in [
        ("{headers.test}", "did you mean \"{header.test}\"?"),
        ("{heder.x}", "did you mean \"{header.x}\"?"),
        ("{values.a.b}", "did you mean \"{value.a.b}\"?"),
        ("{mesage_id}", "did you mean \"{message_id}\"?"),
        ("{nothing_like_it}", "the fields are key, value,"),
    ] {
        let error = Template::parse(wrong).expect_err(wrong);
        assert!(error.starts_with("there is no field") && error.contains(meant), "{wrong}: {error}");
    }
}
