//! Dead letters: what is written of a record leads back to it.

use bytestring::ByteString;
use gantry_sdk::{
    Context, Headers, Properties, Timestamp, Value,
    config::deserialize,
    dead_letters::Reason,
    testkit::{any_properties, any_value},
};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;
use crate::{
    convert::Converter,
    dead_letters::note::{NOTE, Rebuilt, read},
};

const WRITTEN: i64 = 1_700_000_000_123;
const FRAME: usize = 131_072;

/// What the runtime adds to a record.
const REASON: [(&str, &str); 4] =
    [("queue", "orders"), ("exchange", "shop"), ("routing.key", "new"), ("exception.message", "no JSON: line 7")];

/// What a note has.
const FIELDS: [&str; 8] = ["written", "headers", "key", "timestamp", "properties", "own", "left_out", "exact"];

fn plan(more: &Json) -> Plan {
    let mut options = json!({ "connection": { "urls": ["amqp://rabbit1"] }, "queue": "dead" });
    options.as_object_mut().expect("it is one").extend(more.as_object().expect("an object").clone());
    let context = Context { dead_letter: true, ..gantry_sdk::testkit::context() };
    Plan::new(deserialize(&options).expect("the options parse"), context).expect("it can be made")
}

fn condemned(record: &Record) -> Record {
    let mut letter = record.clone();
    for (name, text) in REASON {
        letter.headers.push(format!("{}{name}", Reason::PREFIX), Value::text(text));
    }
    letter
}

fn published(plan: &Plan, record: &Record, frame: usize) -> Message {
    match plan.fate(&condemned(record), WRITTEN, &Limits::new(frame, None)) {
        Fate::Publish(message) => message,
        other => panic!("a dead letter is always published: {other:?}"),
    }
}

/// Writes it and reads it again.
fn there_and_back(plan: &Plan, record: &Record, frame: usize) -> Rebuilt {
    let Message { properties, body, .. } = published(plan, record, frame);
    let content = Converter::new("dead").content(&properties, body.into());
    read(&content, &plan.added).expect("it has a note")
}

/// Headers in any order, names that repeat, among them those that mean something.
fn any_headers() -> impl Strategy<Value = Headers> {
    let name = prop_oneof![
        "[a-e]{1,2}",
        Just("__connect.errors.queue".to_owned()),
        Just("__connect.errors.topic".to_owned()),
        Just("x-delivery-count".to_owned()),
        Just("CC".to_owned()),
        Just("x-death".to_owned()),
        Just(NOTE.to_owned()),
    ];
    let headers = prop::collection::vec((name.prop_map(ByteString::from), any_value()), 0..8);
    headers
        .prop_filter("what only the note holds has to be there once", |headers| {
            ["x-delivery-count", "CC", "x-death", NOTE]
                .iter()
                .all(|name| headers.iter().filter(|(own, _)| own == name).count() < 2)
        })
        .prop_map(Headers::from_iter)
}

proptest! {
    #[test]
    fn a_record_comes_back_as_it_was(
        headers in any_headers(),
        properties in any_properties(),
        key in prop::option::of(prop::collection::vec(any::<u8>(), 0..20)),
        value in prop::option::of(prop::collection::vec(any::<u8>(), 0..20)),
        timestamp in prop::option::of(any::<i64>()),
        nanos in 0..1_000_000_000_u32,
    ) {
        let mut record = Record { key: key.map(Into::into), value: value.map(Into::into), timestamp, headers, ..Record::default() };
        let timestamp = properties.timestamp.map(|time| Timestamp { nanos, ..time });
        record.set_properties(Properties { timestamp, ..properties });
        let Rebuilt { record: back, reason, written, loss } = there_and_back(&plan(&json!({})), &record, FRAME);
        prop_assert_eq!(loss, None);
        prop_assert_eq!(written, Some(WRITTEN));
        prop_assert_eq!((&back.key, &back.value, back.timestamp), (&record.key, &record.value, record.timestamp));
        prop_assert_eq!(back.properties(), record.properties());
        // By text, because a NaN is not equal to itself.
        prop_assert_eq!(format!("{:?}", back.headers), format!("{:?}", record.headers));
        prop_assert_eq!(reason.fields.len(), REASON.len());
        for (name, text) in REASON {
            prop_assert_eq!(reason.get(name), Some(text));
        }
        prop_assert_eq!((&*back.origin.address, back.origin.text("exchange").map(|text| &**text)), ("orders", Some("shop")));
    }
}

proptest! {
    #[test]
    fn whatever_a_note_holds_it_is_read(
        fields in prop::collection::vec((prop::sample::select(&FIELDS[..]), any_value()), 0..8),
        headers in any_headers(),
    ) {
        let fields = fields.into_iter().map(|(name, value)| (name.into(), value)).collect();
        let mut message = Record { headers, ..Record::default() };
        message.headers.set(NOTE, Value::Table(fields));
        prop_assert!(read(&message, &["a".to_owned()]).is_some());
    }
}

#[test]
fn a_dead_letter_stays_where_it_is() {
    let mut record = Record { value: Some("x".into()), ..Record::default() };
    record.set_properties(Properties {
        expiration: Some("1".into()),
        delivery_mode: Some(1),
        user_id: Some("mallory".into()),
        ..Properties::default()
    });
    record.headers.push("CC", Value::List(vec![Value::text("orders")]));
    record.headers.push("x-death", Value::List(Vec::new()));
    record.headers.push("gantry.kept.x-delay", Value::I32(7));
    let properties = published(&plan(&json!({ "broker_headers": "restore" })), &record, FRAME).properties;
    let headers = properties.headers().clone().expect("it has a note");
    assert!(!headers.contains_key("CC"), "RabbitMQ would copy it");
    assert!(!headers.contains_key("x-death"), "RabbitMQ would see a circle");
    assert!(headers.contains_key("gantry.kept.x-delay") && !headers.contains_key("x-delay"), "{headers:?}");
    assert_eq!((properties.expiration(), properties.delivery_mode()), (&None, &Some(2)));
    assert_eq!(properties.user_id(), &None, "RabbitMQ would refuse it");
}

#[test]
fn what_is_lost_is_said() {
    let mut record = Record { key: Some("k".into()), ..Record::default() };
    record.headers.push("number", Value::I16(7));
    let loss = |options: Json, record: &Record| there_and_back(&plan(&options), record, FRAME).loss;
    assert_eq!(loss(json!({}), &record), None);
    assert_eq!(loss(json!({ "headers": { "more": "{key}" } }), &record), None);
    assert_eq!(loss(json!({ "properties": { "priority": 9 } }), &record), None);
    for options in [
        json!({ "header_mapping": "text" }),
        json!({ "header_mapping": "none" }),
        json!({ "headers": { "number": "{key}" } }),
    ] {
        assert!(loss(options.clone(), &record).expect("a loss").contains("as they were"), "{options}");
    }
    record.headers.push("large", Value::U64(u64::MAX));
    assert!(loss(json!({}), &record).expect("a loss").starts_with("1 of its headers"));
}

#[test]
fn what_does_not_fit_goes_and_the_reason_stays() {
    let mut record = Record { key: Some(vec![0; 20_000].into()), value: Some("x".into()), ..Record::default() };
    record.headers.push("z", Value::I8(1));
    for (name, bytes) in [("large", 100_000), ("small", 200), ("larger", 200_000)] {
        record.headers.push(name, Value::Bytes(vec![7; bytes].into()));
    }
    let rebuilt = there_and_back(&plan(&json!({})), &record, FRAME);
    assert_eq!(rebuilt.loss.as_deref(), Some("2 of its headers and properties did not fit into the message"));
    assert_eq!(rebuilt.record.headers.iter().map(|(name, _)| &**name).collect::<Vec<_>>(), ["z", "large", "small"]);
    // The smallest frame that AMQP allows.
    let tiny = published(&plan(&json!({})), &record, 4096).properties;
    let table = tiny.headers().as_ref().expect("it has headers");
    assert!(
        crate::header_size::size(table) <= 4096 && table.contains_key("__connect.errors.exception.message"),
        "{table:?}"
    );
    assert_eq!(there_and_back(&plan(&json!({})), &record, 4096).reason.fields.len(), REASON.len());
}

#[test]
fn a_change_since_is_seen() {
    let record = Record { headers: [("a".into(), Value::I8(1))].into_iter().collect(), ..Record::default() };
    let plan = plan(&json!({}));
    let mut content = Converter::new("dead").content(&published(&plan, &record, FRAME).properties, Vec::new());
    assert_eq!(read(&content, &[]).expect("a note").loss, None);
    // RabbitMQ's own are none of the record's.
    content.headers.push("x-death", Value::List(Vec::new()));
    assert_eq!(read(&content, &[]).expect("a note").loss, None);
    content.headers.push("b", Value::I8(1));
    let loss = read(&content, &[]).expect("a note").loss;
    assert!(loss.as_deref().is_some_and(|loss| loss.contains("changed since")), "{loss:?}");
    content.headers.set(NOTE, Value::Table(Vec::new()));
    assert!(read(&content, &[]).expect("a note").loss.is_some(), "rubbish is no whole record");
}
