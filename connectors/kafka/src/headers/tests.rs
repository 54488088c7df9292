use bytes::Bytes;
use bytestring::ByteString;
use gantry_sdk::{
    Headers, Origin, Properties, Timestamp, Value,
    testkit::{self, any_headers, any_properties, any_value},
};
use proptest::prelude::*;

use super::*;

type Written = Vec<(String, Option<Vec<u8>>)>;

impl Out for Written {
    fn add(&mut self, name: &str, value: Option<&[u8]>) {
        // As clients read it back.
        let name = name.split('\0').next().unwrap_or_default();
        self.push((name.to_owned(), value.map(<[u8]>::to_vec)));
    }
}

fn record(headers: Headers, properties: Properties) -> Record {
    let mut record = Record { headers, ..Record::default() };
    record.set_properties(properties);
    record
}

fn write(mapping: &HeaderMapping, record: &Record) -> Written {
    let mut out = Written::new();
    let mapper = Mapper::new(mapping);
    mapper.write(record, &mut Scratch::default(), &mut out);
    assert!(mapper.count(record) >= out.len(), "{} < {}", mapper.count(record), out.len());
    out
}

fn typed(header_prefix: &str, property_prefix: &str) -> HeaderMapping {
    HeaderMapping {
        encoding: Some(Encoding::Typed),
        header_prefix: header_prefix.to_owned(),
        property_prefix: property_prefix.to_owned(),
        ..HeaderMapping::default()
    }
}

fn decode(written: &Written) -> Option<typed::Decoded> {
    let list: Vec<_> = written.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect();
    typed::decode(&list)
}

fn assert_same(decoded: &typed::Decoded, headers: &Headers, properties: &Properties) {
    assert_eq!(&decoded.properties, properties);
    testkit::assert_same(&decoded.headers, headers);
}

/// What AMQP 0-9-1 cannot say but a record can: repeated names, names that look like ours, 64 unsigned bits, nanoseconds.
fn any_awkward_headers() -> impl Strategy<Value = Headers> {
    let name = prop_oneof![
        Just("gantry.types".to_owned()),
        Just("a\0b".to_owned()),
        Just("amqp.message_id".to_owned()),
        Just(String::new()),
        "[a-c]{1,2}",
        ".{0,6}"
    ];
    let time = (any::<i64>(), 0..1_000_000_000u32).prop_map(|(seconds, nanos)| Timestamp { seconds, nanos });
    let value = prop_oneof![
        3 => any_value(),
        1 => any::<u64>().prop_map(Value::U64),
        1 => time.prop_map(Value::Timestamp),
        1 => Just(Value::F64(-0.0)),
        1 => Just(Value::F32(f32::NEG_INFINITY)),
    ];
    prop::collection::vec((name.prop_map(ByteString::from), value), 0..6).prop_map(Headers::from)
}

proptest! {
    #[test]
    fn typed_rebuilds_what_amqp_can_say(headers in any_headers(), properties in any_properties()) {
        let written = write(&typed("", "amqp."), &record(headers.clone(), properties.clone()));
        match decode(&written) {
            Some(decoded) => {
                prop_assert_eq!(decoded.rest, written.len());
                assert_same(&decoded, &headers, &properties);
            }
            None => prop_assert!(written.is_empty()),
        }
    }

    #[test]
    fn typed_rebuilds_whatever_a_record_can_hold(
        headers in any_awkward_headers(),
        properties in any_properties(),
        header_prefix in "[a-я]{0,3}",
        property_prefix in "[a-z.]{0,3}",
        added in prop::collection::vec(("[a-z]{1,3}", prop::option::of(prop::collection::vec(any::<u8>(), 0..4))), 0..3),
    ) {
        let mut written = write(&typed(&header_prefix, &property_prefix), &record(headers.clone(), properties.clone()));
        let rest = written.len();
        written.extend(added);
        match decode(&written) {
            Some(decoded) => {
                prop_assert_eq!(decoded.rest, rest);
                assert_same(&decoded, &headers, &properties);
            }
            None => prop_assert_eq!(rest, 0),
        }
    }

    #[test]
    fn text_is_what_the_sdk_says(value in any_value()) {
        let (mut scratch, expected) = (b"left over".to_vec(), value.to_text());
        prop_assert_eq!(text::of(&value, &mut scratch), expected.as_deref());
    }

    #[test]
    fn foreign_bytes_decode_or_not_but_never_panic(
        types in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..64),
            "10:[a-zA-Z0-9:;.\\[\\]{}]{0,40}".prop_map(String::into_bytes),
        ],
        before in prop::collection::vec(("[a-c]{0,2}", prop::option::of("[0-9a-]{0,3}".prop_map(String::into_bytes))), 0..4),
    ) {
        let mut written: Written = before;
        written.push((typed::TYPES.to_owned(), Some(types)));
        let count = written.len();
        if let Some(decoded) = decode(&written) {
            prop_assert!(decoded.rest <= count);
        }
    }
}

#[test]
fn the_documented_table_holds() {
    let cases = [
        (Value::Null, None, "n"),
        (Value::Bool(true), Some("true"), "t"),
        (Value::I8(-8), Some("-8"), "b"),
        (Value::U8(8), Some("8"), "B"),
        (Value::I16(-16), Some("-16"), "h"),
        (Value::U16(16), Some("16"), "H"),
        (Value::I32(-32), Some("-32"), "i"),
        (Value::U32(32), Some("32"), "I"),
        (Value::I64(-64), Some("-64"), "l"),
        (Value::U64(u64::MAX), Some("18446744073709551615"), "L"),
        (Value::F32(0.5), Some("0.5"), "f"),
        (Value::F64(-0.25), Some("-0.25"), "d"),
        (Value::F32(f32::NAN), Some("NaN"), "F7fc00000"),
        (Value::F64(f64::INFINITY), Some("inf"), "d"),
        (Value::Decimal { scale: 2, unscaled: 12345 }, Some("123.45"), "c"),
        (Value::Timestamp(Timestamp::from_seconds(1_700_000_000)), Some("2023-11-14T22:13:20Z"), "T1700000000;"),
        (Value::text("héllo"), Some("héllo"), "s"),
        (Value::text(""), Some(""), "s"),
        (Value::Bytes(Bytes::from_static(b"raw")), Some("raw"), "x"),
        (Value::List(vec![Value::I32(1), Value::text("two"), Value::Null]), Some(r#"[1,"two",null]"#), "[i1;s3:twon]"),
        (
            Value::Table(vec![("count".into(), Value::I64(3)), ("why".into(), Value::text("rejected"))]),
            Some(r#"{"count":3,"why":"rejected"}"#),
            "{5:countl3;3:whys8:rejected}",
        ),
    ];
    for (value, text, code) in cases {
        let record = record(vec![("h".into(), value.clone())].into(), Properties::EMPTY);
        let plain = write(&HeaderMapping::default(), &record);
        assert_eq!(plain, [("h".to_owned(), text.map(|text| text.as_bytes().to_vec()))], "{value:?}");
        let typed = write(&typed("", "amqp."), &record);
        assert_eq!(typed[0], plain[0], "the readable header is the same");
        assert_eq!(typed[1], ("gantry.types".to_owned(), Some(format!("10:{code}").into_bytes())), "{value:?}");
    }
}

#[test]
fn every_property_has_its_name() {
    let properties = Properties {
        message_id: Some("m-1".into()),
        correlation_id: Some("c-1".into()),
        reply_to: Some("answers".into()),
        content_type: Some("application/json".into()),
        content_encoding: Some("utf-8".into()),
        message_type: Some("order".into()),
        user_id: Some("guest".into()),
        app_id: Some("shop".into()),
        expiration: Some("60000".into()),
        priority: Some(7),
        delivery_mode: Some(2),
        timestamp: Some(Timestamp::from_seconds(1_700_000_000)),
        cluster_id: Some("".into()),
    };
    let written = write(&HeaderMapping::default(), &record(Headers::EMPTY, properties));
    let shown: Vec<_> = written
        .iter()
        .map(|(name, value)| format!("{name}={}", String::from_utf8_lossy(value.as_deref().unwrap())))
        .collect();
    assert_eq!(
        shown,
        [
            "amqp.message_id=m-1",
            "amqp.correlation_id=c-1",
            "amqp.reply_to=answers",
            "amqp.content_type=application/json",
            "amqp.content_encoding=utf-8",
            "amqp.type=order",
            "amqp.user_id=guest",
            "amqp.app_id=shop",
            "amqp.expiration=60000",
            "amqp.cluster_id=",
            "amqp.priority=7",
            "amqp.delivery_mode=2",
            "amqp.timestamp=2023-11-14T22:13:20Z",
        ]
    );
}

#[test]
fn origin_comes_when_asked_for() {
    let mapping = HeaderMapping {
        include: vec![Include::Origin],
        property_prefix: "from.".to_owned(),
        ..HeaderMapping::default()
    };
    let mut record = record(vec![("left".into(), Value::text("out"))].into(), Properties::EMPTY);
    record.origin = Origin::new("queue", "orders".into()).with("exchange", "orders-send");
    let written = write(&mapping, &record);
    let names: Vec<_> = written.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["from.exchange", "from.routing_key", "from.queue"]);
    assert_eq!(written[0].1.as_deref(), Some(b"orders-send".as_slice()));
}

#[test]
fn a_value_nested_without_end_is_kept_as_text() {
    let mut value = Value::text("core");
    for _ in 0..200 {
        value = Value::List(vec![value]);
    }
    let original = record(vec![("deep".into(), value.clone())].into(), Properties::EMPTY);
    let written = write(&typed("", "amqp."), &original);
    let decoded = decode(&written).expect("it decodes");
    let decoded = decoded.headers.get("deep").unwrap();
    assert_eq!(decoded.to_text().unwrap().iter().filter(|byte| **byte == b'[').count(), 200);
    assert_eq!(written[0].1.as_deref(), value.to_text().as_deref());
}

#[test]
fn a_second_has_no_more_than_a_billion_nanoseconds() {
    let decoded = |nanos: &str| {
        let types = format!("10:T1.{nanos};");
        typed::decode(&[("at", Some(b"text".as_slice())), (typed::TYPES, Some(types.as_bytes()))])
    };
    assert!(decoded("999999999").is_some());
    assert_eq!(decoded("1000000000"), None);
}

#[test]
fn headers_that_were_tampered_with_do_not_decode() {
    let record = record(vec![("a".into(), Value::I32(1)), ("b".into(), Value::Null)].into(), Properties::EMPTY);
    let written = write(&typed("", "amqp."), &record);
    let mut shorter = written.clone();
    shorter.remove(0);
    assert_eq!(decode(&shorter), None);
    let mut changed = written;
    changed[0].1 = Some(b"one".to_vec());
    assert_eq!(decode(&changed), None);
}
