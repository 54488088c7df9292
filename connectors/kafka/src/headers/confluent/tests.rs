use bytes::Bytes;
use gantry_sdk::{
    Headers, Origin, Properties, Timestamp, Value,
    testkit::{any_headers, any_properties},
};
use proptest::prelude::*;

use super::*;
use crate::headers::{Encoding, Mapper, decode::Native, decode::native_value, read::HeaderReader};

type Written = Vec<(String, Option<Vec<u8>>)>;

struct Out(Written);

impl super::Out for Out {
    fn add(&mut self, name: &str, value: Option<&[u8]>) {
        self.0.push((name.to_owned(), value.map(<[u8]>::to_vec)));
    }
}

fn mapping() -> HeaderMapping {
    HeaderMapping { encoding: Some(Encoding::Confluent), ..HeaderMapping::default() }
}

fn write(mapping: &HeaderMapping, record: &Record) -> Written {
    let (mapper, mut out) = (Mapper::new(mapping), Out(Written::new()));
    mapper.write(record, &mut Scratch::default(), &mut out);
    assert_eq!(mapper.count(record), out.0.len());
    out.0
}

/// The record that a source makes of the headers, which has come from a topic.
fn read(mapping: &HeaderMapping, list: &[Native<'_>]) -> Record {
    let origin = Origin::new("topic", "topic".into()).with("partition", 0).with("offset", 7_i64);
    let mut record = Record { origin, ..Record::default() };
    HeaderReader::new(mapping).fill(list, &mut record);
    record
}

fn native(written: &Written) -> Vec<Native<'_>> {
    written.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect()
}

fn shown(written: &Written) -> Vec<String> {
    let text = |value: &Vec<u8>| String::from_utf8(value.clone()).expect("UTF-8");
    written
        .iter()
        .map(|(name, value)| format!("{name}:{}", value.as_ref().map_or_else(|| "null".to_owned(), text)))
        .collect()
}

fn delivery() -> Record {
    let origin = Origin::new("queue", "myqueue".into()).with("routing_key", "myqueue");
    Record { origin, ..Record::default() }
}

/// The line of the vendor's example, but for the two tags that no record has.
#[test]
fn a_message_has_the_headers_of_the_vendors_example() {
    let mut record = delivery();
    record.set_properties(Properties {
        content_type: Some("application/json".into()),
        content_encoding: Some("utf-8".into()),
        delivery_mode: Some(1),
        priority: Some(1),
        message_id: Some("4".into()),
        ..Properties::EMPTY
    });
    record.headers.push("tenant", Value::text("acme"));
    let expected = "rabbitmq.consumer.tag:null,rabbitmq.content.type:application/json,rabbitmq.content.encoding:utf-8,\
        rabbitmq.delivery.mode:1,rabbitmq.priority:1,rabbitmq.correlation.id:null,rabbitmq.reply.to:null,\
        rabbitmq.expiration:null,rabbitmq.message.id:4,rabbitmq.timestamp:null,rabbitmq.type:null,rabbitmq.user.id:null,\
        rabbitmq.app.id:null,rabbitmq.delivery.tag:null,rabbitmq.redeliver:false,rabbitmq.exchange:,\
        rabbitmq.routing.key:myqueue,rabbitmq.tenant:acme";
    assert_eq!(shown(&write(&mapping(), &record)).join(","), expected);
}

#[test]
fn what_was_no_delivery_has_no_delivery() {
    let record = Record { origin: Origin::default().with("offset", 1_i64), ..Record::default() };
    let written = write(&mapping(), &record);
    assert_eq!(written.len(), 17);
    assert!(written.iter().all(|(_, value)| value.is_none()), "{:?}", shown(&written));
}

#[test]
fn every_property_has_its_name() {
    let mut record = delivery();
    record.origin = record.origin.with("exchange", "orders");
    record.origin.redelivered = true;
    record.set_properties(Properties {
        correlation_id: Some("c".into()),
        reply_to: Some("r".into()),
        expiration: Some("60000".into()),
        message_type: Some("t".into()),
        user_id: Some("u".into()),
        app_id: Some("a".into()),
        cluster_id: Some("has no name there".into()),
        timestamp: Some(Timestamp::from_seconds(1_700_000_000)),
        ..Properties::EMPTY
    });
    let written = shown(&write(&mapping(), &record));
    for expected in [
        "rabbitmq.correlation.id:c",
        "rabbitmq.reply.to:r",
        "rabbitmq.expiration:60000",
        "rabbitmq.timestamp:2023-11-14T22:13:20.000Z",
        "rabbitmq.type:t",
        "rabbitmq.user.id:u",
        "rabbitmq.app.id:a",
        "rabbitmq.redeliver:true",
        "rabbitmq.exchange:orders",
    ] {
        assert!(written.iter().any(|one| one == expected), "{expected} is not in {written:?}");
    }
}

/// What `Values.convertToString` makes of each type.
#[test]
fn values_are_written_as_connect_writes_them() {
    let table = Value::Table(vec![("count".into(), Value::I64(3)), ("why".into(), Value::text("re\"je\\cted"))]);
    let cases = [
        (Value::Null, None),
        (Value::Bool(true), Some("true")),
        (Value::I8(-8), Some("-8")),
        (Value::U16(65535), Some("65535")),
        (Value::U64(u64::MAX), Some("18446744073709551615")),
        (Value::F64(1.0), Some("1.0")),
        (Value::F32(0.1), Some("0.1")),
        (Value::F64(0.001), Some("0.001")),
        (Value::F64(-0.0001), Some("-1.0E-4")),
        (Value::F64(9_999_999.0), Some("9999999.0")),
        (Value::F64(10_000_000.0), Some("1.0E7")),
        (Value::F64(-1.234_567_89e300), Some("-1.23456789E300")),
        (Value::F32(f32::MAX), Some("3.4028235E38")),
        (Value::F64(-0.0), Some("-0.0")),
        (Value::F64(f64::NAN), Some("NaN")),
        (Value::F32(f32::NEG_INFINITY), Some("-Infinity")),
        (Value::Decimal { scale: 2, unscaled: 1990 }, Some("19.90")),
        (Value::text("say \"hi\""), Some("say \"hi\"")),
        (Value::Bytes(Bytes::from_static(b"\x00\xff")), Some("AP8=")),
        (Value::List(vec![]), Some("[]")),
        (Value::List(vec![Value::text("a"), Value::text("b\"c")]), Some(r#"["a","b\"c"]"#)),
        (Value::List(vec![Value::I8(1), Value::Null, Value::Bool(false)]), Some("[1,null,false]")),
        (Value::List(vec![Value::Bytes(Bytes::from_static(b"\x00\xff"))]), Some(r#"["AP8="]"#)),
        (Value::List(vec![table]), Some(r#"[{"count":3,"why":"re\"je\\cted"}]"#)),
    ];
    for (value, expected) in cases {
        let mut record = delivery();
        record.headers.push("h", value.clone());
        let written = write(&mapping(), &record);
        let (name, text) = written.last().expect("it was written");
        assert_eq!((name.as_str(), text.as_deref()), ("rabbitmq.h", expected.map(str::as_bytes)), "{value:?}");
    }
}

#[test]
fn times_are_written_as_connect_writes_them_and_read_back() {
    let cases = [
        (Timestamp::from_millis(1_700_000_000_123), "2023-11-14T22:13:20.123Z"),
        (Timestamp::from_seconds(1_699_920_000), "2023-11-14"),
        (Timestamp::from_millis(1_699_920_000_001), "2023-11-14T00:00:00.001Z"),
        (Timestamp::from_seconds(0), "00:00:00.000Z"),
        (Timestamp::from_seconds(86_399), "23:59:59.000Z"),
        (Timestamp::from_seconds(86_400), "1970-01-02"),
        // Java writes no date there; nobody could tell the year.
        (Timestamp::from_millis(-1), "1969-12-31T23:59:59.999Z"),
        (Timestamp::from_seconds(1 << 62), "4611686018427387904"),
        (Timestamp::from_seconds(u64::MAX), "1969-12-31T23:59:59.000Z"),
        (Timestamp::from_seconds(1 << 63), "9223372036854775808"),
    ];
    for (time, expected) in cases {
        assert_eq!(std::str::from_utf8(text::time(time, &mut Vec::new())), Ok(expected), "{time:?}");
        assert_eq!(text::read_time(expected), Some(time), "{expected}");
    }
    assert_eq!(text::read_time("yesterday"), None);
}

#[test]
fn a_header_named_like_a_field_stays_a_header() {
    let mut record = delivery();
    record.properties_mut().message_type = Some("order".into());
    record.headers.push("type", Value::text("mine"));
    record.headers.push("exchange", Value::Null);
    let written = write(&mapping(), &record);
    let back = read(&mapping(), &native(&written));
    assert_eq!(back.properties, record.properties);
    assert_eq!(back.headers, record.headers);
    assert_eq!((&*back.origin.address, back.origin.text("routing_key").map(|key| &**key)), ("topic", Some("myqueue")));
}

#[test]
fn what_does_not_read_as_a_field_is_a_header() {
    let list: &[Native<'_>] = &[
        ("rabbitmq.priority", Some(b"high")),
        ("rabbitmq.timestamp", Some(b"soon")),
        ("rabbitmq.type", Some(b"\xff")),
        ("rabbitmq.delivery.mode", Some(b"2")),
        ("trace", Some(b"abc")),
    ];
    let back = read(&mapping(), list);
    let expected = [
        ("priority".into(), Value::text("high")),
        ("timestamp".into(), Value::text("soon")),
        ("type".into(), Value::Bytes(Bytes::from_static(b"\xff"))),
        ("trace".into(), Value::text("abc")),
    ];
    assert_eq!(back.headers.to_vec(), expected);
    assert_eq!(*back.properties(), Properties { delivery_mode: Some(2), ..Properties::EMPTY });
}

#[test]
fn another_prefix_of_headers_is_written_and_read() {
    let mapping = HeaderMapping { header_prefix: "rabbitmq.headers.".to_owned(), ..mapping() };
    let mut record = delivery();
    record.headers.push("type", Value::text("mine"));
    let written = write(&mapping, &record);
    assert_eq!(written[17].0, "rabbitmq.headers.type");
    assert_eq!(read(&mapping, &native(&written)).headers, record.headers);
}

#[test]
fn what_is_not_included_is_left_out() {
    let mut record = delivery();
    record.properties_mut().app_id = Some("shop".into());
    record.headers.push("a", Value::text("1"));
    let written = write(&mapping(), &record);
    let only = |include| HeaderMapping { include, ..mapping() };
    assert_eq!(write(&only(vec![Include::Properties]), &record), written[..17]);
    let back = read(&only(vec![Include::Headers]), &native(&written));
    assert!(back.headers == record.headers && back.properties.is_none(), "{back:?}");
    let back = read(&only(vec![Include::Properties]), &native(&written));
    assert!(back.headers.is_empty() && back.properties == record.properties, "{back:?}");
    let back = read(&only(Vec::new()), &native(&written));
    assert!(back.headers.is_empty() && back.properties.is_none(), "{back:?}");
}

#[test]
fn prefixes_that_contradict_the_encoding_are_a_problem() {
    let said = |mapping: &HeaderMapping| mapping.check_sink().iter().map(Problem::to_string).collect::<Vec<_>>();
    assert_eq!(said(&mapping()), [""; 0]);
    let wrong = HeaderMapping {
        property_prefix: "p.".to_owned(),
        header_prefix: "h.".to_owned(),
        include: vec![Include::Headers],
        ..mapping()
    };
    let found = said(&wrong);
    assert!(found[0].starts_with("property_prefix: encoding: confluent has names of its own"), "{found:?}");
    assert!(found[1].starts_with("header_prefix: with encoding: confluent it begins with"), "{found:?}");
    assert!(found[2].starts_with("include: encoding: confluent always writes the properties"), "{found:?}");
    assert_eq!(found.len(), 3);
    assert_eq!(said(&HeaderMapping { encoding: Some(Encoding::Text), ..wrong }), [""; 0]);
    assert!(mapping().check_dead_letter().is_some() && HeaderMapping::default().check_dead_letter().is_none());
}

proptest! {
    /// Properties come back, and the texts of headers.
    #[test]
    fn texts_come_back(
        headers in any_headers(),
        properties in any_properties(),
        exchange in "[a-z.]{0,8}",
        routing_key in "[a-z.]{0,8}",
    ) {
        let mut record = Record { headers, ..Record::default() };
        record.set_properties(properties);
        record.origin = Origin::new("queue", "orders".into()).with("exchange", &*exchange).with("routing_key", &*routing_key);
        let written = write(&mapping(), &record);
        let back = read(&mapping(), &native(&written));
        let expected = Properties { cluster_id: None, ..record.properties().clone() };
        prop_assert_eq!(back.properties(), &expected);
        let texts: Headers = record.headers.iter().map(|(name, value)| {
            (name.clone(), native_value(text::of(value, &mut Vec::new())))
        }).collect();
        prop_assert_eq!(back.headers, texts);
        prop_assert_eq!(back.origin.text("exchange"), record.origin.text("exchange"));
        prop_assert_eq!(back.origin.text("routing_key"), record.origin.text("routing_key"));
    }

    /// Whatever the headers are, they become some, and every one that is no field stays.
    #[test]
    fn anybodys_headers_become_some(
        list in prop::collection::vec(
            (
                prop_oneof![
                    prop::sample::select(FIELDS.to_vec()).prop_map(|(name, _)| name.to_owned()),
                    "(rabbitmq\\.)?[a-b]{0,2}",
                ],
                prop::option::of(prop::collection::vec(any::<u8>(), 0..6)),
            ),
            0..30,
        ),
    ) {
        let back = read(&mapping(), &native(&list));
        let others = list.iter().filter(|(name, _)| Field::named(name).is_none()).count();
        prop_assert!((others..=list.len()).contains(&back.headers.len()));
    }
}
