use super::*;
use crate::Value;
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
    record.origin.address = "orders".into();
    record.origin.routing_key = "eu.de".into();
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
    ];
    for (template, expected) in cases {
        assert_eq!(rendered(template).as_deref(), Some(expected), "{template}");
    }
}

#[test]
fn yields_nothing_when_a_field_is_missing() {
    for template in ["{correlation_id}", "x-{header.none}", "{value.order.none}", "{value.order.id.x}", "{partition}"] {
        assert_eq!(rendered(template), None, "{template}");
    }
}

#[test]
fn says_what_is_wrong() {
    for (template, word) in
        [("{oops}", "message_id"), ("{key", "without"), ("key}", "without"), ("{header.}", "header.NAME")]
    {
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
