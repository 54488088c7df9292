use bytes::Bytes;
use gantry_sdk::{
    Headers, Origin, Properties, Record, Timestamp, Value,
    testkit::{any_headers, any_properties},
};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use crate::transform::tests::{apply_one, problems};

fn wrap(options: &Json, record: Record) -> Record {
    apply_one("rabbitmq_envelope", options, record).expect("every record can be wrapped").expect("and is kept")
}

fn unwrap(record: Record) -> Result<Record, String> {
    apply_one("rabbitmq_envelope", &json!({ "do": "unwrap" }), record).map(|record| record.expect("it is kept"))
}

fn body(text: impl Into<Bytes>) -> Record {
    Record { value: Some(text.into()), ..Record::default() }
}

fn text(record: &Record) -> &str {
    std::str::from_utf8(record.value.as_ref().expect("a body")).expect("UTF-8")
}

/// A message as a queue gave it.
fn message() -> Record {
    let origin = Origin::new("queue", "q".into()).with("exchange", "orders").with("routing_key", "new");
    let mut record = Record { value: Some(r#"{"test":"test"}"#.into()), origin, ..Record::default() };
    record.headers.push("tenant", Value::text("acme"));
    record.set_properties(Properties {
        message_id: Some("m-1".into()),
        content_type: Some("application/json".into()),
        delivery_mode: Some(2),
        priority: Some(5),
        timestamp: Some(Timestamp::from_seconds(1_700_000_000)),
        message_type: Some("order".into()),
        ..Properties::EMPTY
    });
    record
}

/// The payload of [`message`], byte for byte.
const PAYLOAD: &str = concat!(
    r#"{"consumerTag":"","envelope":{"deliveryTag":0,"isRedeliver":false,"exchange":"orders","routingKey":"new"},"#,
    r#""basicProperties":{"contentType":"application/json","contentEncoding":null,"headers":{"tenant":{"#,
    r#""type":"string","timestamp":null,"array":null,"int8":null,"int16":null,"int32":null,"int64":null,"#,
    r#""float32":null,"float64":null,"boolean":null,"string":"acme","bytes":null}},"#,
    r#""deliveryMode":2,"priority":5,"correlationId":null,"replyTo":null,"expiration":null,"messageId":"m-1","#,
    r#""timestamp":1700000000000,"type":"order","userId":null,"appId":null},"body":"eyJ0ZXN0IjoidGVzdCJ9"}"#,
);

/// The schema of a value, byte for byte.
const SCHEMA: &str = concat!(
    r#"{"type":"struct","fields":[{"type":"string","optional":false,"field":"consumerTag"},"#,
    r#"{"type":"struct","fields":[{"type":"int64","optional":false,"field":"deliveryTag"},"#,
    r#"{"type":"boolean","optional":false,"field":"isRedeliver"},"#,
    r#"{"type":"string","optional":true,"field":"exchange"},{"type":"string","optional":true,"field":"routingKey"}],"#,
    r#""optional":false,"name":"com.github.jcustenborder.kafka.connect.rabbitmq.Envelope","field":"envelope"},"#,
    r#"{"type":"struct","fields":[{"type":"string","optional":true,"field":"contentType"},"#,
    r#"{"type":"string","optional":true,"field":"contentEncoding"},"#,
    r#"{"type":"map","keys":{"type":"string","optional":false},"#,
    r#""values":{"type":"struct","fields":[{"type":"string","optional":false,"field":"type"},"#,
    r#"{"type":"int64","optional":true,"name":"org.apache.kafka.connect.data.Timestamp","version":1,"field":"timestamp"},"#,
    r#"{"type":"array","items":{"type":"string","optional":false},"optional":true,"field":"array"},"#,
    r#"{"type":"int8","optional":true,"field":"int8"},{"type":"int16","optional":true,"field":"int16"},"#,
    r#"{"type":"int32","optional":true,"field":"int32"},{"type":"int64","optional":true,"field":"int64"},"#,
    r#"{"type":"float","optional":true,"field":"float32"},{"type":"double","optional":true,"field":"float64"},"#,
    r#"{"type":"boolean","optional":true,"field":"boolean"},{"type":"string","optional":true,"field":"string"},"#,
    r#"{"type":"bytes","optional":true,"field":"bytes"}],"optional":false,"#,
    r#""name":"com.github.jcustenborder.kafka.connect.rabbitmq.BasicProperties.HeaderValue"},"#,
    r#""optional":false,"field":"headers"},"#,
    r#"{"type":"int32","optional":true,"field":"deliveryMode"},{"type":"int32","optional":true,"field":"priority"},"#,
    r#"{"type":"string","optional":true,"field":"correlationId"},{"type":"string","optional":true,"field":"replyTo"},"#,
    r#"{"type":"string","optional":true,"field":"expiration"},{"type":"string","optional":true,"field":"messageId"},"#,
    r#"{"type":"int64","optional":true,"name":"org.apache.kafka.connect.data.Timestamp","version":1,"field":"timestamp"},"#,
    r#"{"type":"string","optional":true,"field":"type"},{"type":"string","optional":true,"field":"userId"},"#,
    r#"{"type":"string","optional":true,"field":"appId"}],"optional":true,"#,
    r#""name":"com.github.jcustenborder.kafka.connect.rabbitmq.BasicProperties","field":"basicProperties"},"#,
    r#"{"type":"bytes","optional":false,"field":"body"}],"optional":false,"#,
    r#""name":"com.github.jcustenborder.kafka.connect.rabbitmq.Message"}"#,
);

#[test]
fn a_message_becomes_what_the_connector_writes() {
    let wrapped = wrap(&json!({ "do": "wrap" }), message());
    assert_eq!(text(&wrapped), PAYLOAD);
    assert!(wrapped.headers.is_empty() && wrapped.properties.is_none() && wrapped.key.is_none(), "{wrapped:?}");
    let wrapped = wrap(&json!({ "do": "wrap", "schemas_enable": true }), message());
    assert_eq!(text(&wrapped), format!(r#"{{"schema":{SCHEMA},"payload":{PAYLOAD}}}"#));
}

#[test]
fn the_key_is_the_connectors_struct_when_it_is_asked_for() {
    let key =
        |options: Json, record| wrap(&options, record).key.map(|key| String::from_utf8(key.to_vec()).expect("UTF-8"));
    let plain = json!({ "do": "wrap", "key": "message_key" });
    assert_eq!(key(plain.clone(), message()).as_deref(), Some(r#"{"messageId":"m-1"}"#));
    assert_eq!(key(plain, body("x")).as_deref(), Some(r#"{"messageId":null}"#));
    let with_schema = json!({ "do": "wrap", "key": "message_key", "schemas_enable": true });
    let expected = concat!(
        r#"{"schema":{"type":"struct","fields":[{"type":"string","optional":true,"field":"messageId"}],"optional":false,"#,
        r#""name":"com.github.jcustenborder.kafka.connect.rabbitmq.MessageKey"},"payload":{"messageId":"m-1"}}"#,
    );
    assert_eq!(key(with_schema, message()).as_deref(), Some(expected));
    let kept = Record { key: Some("mine".into()), ..message() };
    assert_eq!(key(json!({ "do": "wrap" }), kept).as_deref(), Some("mine"));
}

#[test]
fn what_lay_in_a_log_was_no_delivery() {
    let mut record = body("x");
    record.origin = Origin::new("topic", "".into()).with("offset", 7);
    let wrapped: Json = serde_json::from_str(text(&wrap(&json!({ "do": "wrap" }), record))).expect("JSON");
    let expected = json!({ "deliveryTag": 0, "isRedeliver": false, "exchange": null, "routingKey": null });
    assert_eq!(wrapped["envelope"], expected);
}

/// What a header becomes, and what it is when it comes back.
#[test]
fn every_value_has_its_place() {
    let same = |value: Value| (value.clone(), value);
    let table = || Value::Table(vec![("count".into(), Value::I64(3))]);
    let bytes = || Bytes::from_static(b"\x00\xff");
    let far = Timestamp::from_seconds(1 << 62);
    let cases = [
        (same(Value::Bool(true)), "boolean", json!(true)),
        (same(Value::I8(-8)), "int8", json!(-8)),
        (same(Value::I16(-16)), "int16", json!(-16)),
        (same(Value::I32(-32)), "int32", json!(-32)),
        (same(Value::I64(i64::MIN)), "int64", json!(i64::MIN)),
        (same(Value::F32(0.1)), "float32", serde_json::from_str("0.1").expect("a number")),
        (same(Value::F64(-0.25)), "float64", json!(-0.25)),
        (same(Value::F64(f64::INFINITY)), "float64", json!("Infinity")),
        (same(Value::F32(f32::NEG_INFINITY)), "float32", json!("-Infinity")),
        (same(Value::text("héllo")), "string", json!("héllo")),
        (same(Value::Timestamp(Timestamp::from_millis(1_700_000_000_123))), "timestamp", json!(1_700_000_000_123_i64)),
        (same(Value::Timestamp(Timestamp::from_millis(i64::MIN))), "timestamp", json!(i64::MIN)),
        (same(Value::List(vec![Value::text("a"), Value::text("")])), "array", json!(["a", ""])),
        (same(Value::List(vec![])), "array", json!([])),
        // The original gives up on what follows.
        (same(Value::Null), "string", Json::Null),
        (same(Value::Bytes(bytes())), "bytes", json!("AP8=")),
        ((Value::U8(200), Value::I32(200)), "int32", json!(200)),
        ((Value::U16(65535), Value::I32(65535)), "int32", json!(65535)),
        ((Value::U32(u32::MAX), Value::I64(i64::from(u32::MAX))), "int64", json!(u32::MAX)),
        ((Value::U64(7), Value::I64(7)), "int64", json!(7)),
        ((Value::U64(u64::MAX), Value::text(u64::MAX.to_string())), "string", json!(u64::MAX.to_string())),
        ((Value::String(bytes()), Value::Bytes(bytes())), "bytes", json!("AP8=")),
        ((Value::Timestamp(far), Value::text(far.to_string())), "string", json!("4611686018427387904")),
        ((Value::Decimal { scale: 2, unscaled: 1990 }, Value::text("19.90")), "string", json!("19.90")),
        ((table(), Value::text(r#"{"count":3}"#)), "string", json!(r#"{"count":3}"#)),
        (
            (
                Value::List(vec![table(), Value::Null, Value::I8(1), Value::text("t"), Value::Bytes(bytes())]),
                Value::List([r#"{"count":3}"#, "null", "1", "t", "AP8="].map(Value::text).to_vec()),
            ),
            "array",
            json!([r#"{"count":3}"#, "null", "1", "t", "AP8="]),
        ),
    ];
    for ((value, comes_back), kind, expected) in cases {
        let mut record = body("x");
        record.headers.push("h", value.clone());
        let wrapped = wrap(&json!({ "do": "wrap" }), record);
        let envelope: Json = serde_json::from_str(text(&wrapped)).expect("JSON");
        let header = &envelope["basicProperties"]["headers"]["h"];
        assert_eq!((&header["type"], &header[kind]), (&json!(kind), &expected), "{value:?}");
        let others =
            header.as_object().expect("a struct").iter().filter(|(name, own)| **name != kind && !own.is_null());
        assert_eq!(others.count(), 1, "{header}: the type alone");
        let back = unwrap(wrapped).expect("it is one");
        assert_eq!(back.headers.to_vec(), [("h".into(), comes_back)], "{value:?}");
    }
}

#[test]
fn headers_of_one_name_become_an_array() {
    let mut record = body("x");
    for (name, value) in [("a", Value::text("1")), ("b", Value::I8(2)), ("a", Value::Null), ("a", Value::I8(3))] {
        record.headers.push(name, value);
    }
    let back = unwrap(wrap(&json!({ "do": "wrap" }), record)).expect("it is one");
    let all = Value::List(["1", "null", "3"].map(Value::text).to_vec());
    assert_eq!(back.headers.to_vec(), [("a".into(), all), ("b".into(), Value::I8(2))]);
}

/// As somebody shows it in the connector's issue tracker.
#[test]
fn an_envelope_of_the_connectors_own_is_unwrapped() {
    let envelope = concat!(
        r#"{"consumerTag":"amq.ctag-ACdCAHyu0jSoSxlPWZcWVQ","envelope":{"deliveryTag":1,"isRedeliver":false,"#,
        r#""exchange":"","routingKey":"q"},"basicProperties":{"contentType":null,"contentEncoding":null,"headers":{},"#,
        r#""deliveryMode":1,"priority":null,"correlationId":null,"replyTo":null,"expiration":null,"messageId":null,"#,
        r#""timestamp":null,"type":null,"userId":null,"appId":null},"body":"eyJ0ZXN0IjoidGVzdCJ9"}"#,
    );
    let mut record = body(envelope);
    record.key = Some(r#"{"messageId":null}"#.into());
    record.headers.push("trace", Value::text("abc"));
    record.origin = Origin::new("topic", "topic".into()).with("offset", 7);
    let back = unwrap(record).expect("it is one");
    assert_eq!(text(&back), r#"{"test":"test"}"#);
    assert_eq!(*back.properties(), Properties { delivery_mode: Some(1), ..Properties::EMPTY });
    assert_eq!(back.headers.to_vec(), [("trace".into(), Value::text("abc"))]);
    let origin = &back.origin;
    let key = origin.text("routing_key").map(|key| &**key);
    assert_eq!((&*origin.address, key, origin.integer("offset")), ("topic", Some("q"), Some(7)));
    assert_eq!(back.key.as_deref(), Some(br#"{"messageId":null}"#.as_slice()));
}

#[test]
fn a_schema_is_taken_off_and_a_null_with_one_is_a_tombstone() {
    let wrapped = wrap(&json!({ "do": "wrap", "schemas_enable": true }), message());
    let back = unwrap(wrapped).expect("it is one");
    assert_eq!((back.value, back.headers, back.properties), (message().value, message().headers, message().properties));
    assert_eq!(unwrap(body(r#"{"schema":null,"payload":null}"#)).expect("a null").value, None);
}

#[test]
fn tombstones_go_on_unchanged() {
    for action in ["wrap", "unwrap"] {
        let tombstone = Record { key: Some("k".into()), value: None, ..message() };
        let options = json!({ "do": action });
        assert_eq!(apply_one("rabbitmq_envelope", &options, tombstone.clone()), Ok(Some(tombstone)), "{action}");
    }
}

#[test]
fn an_odd_envelope_is_read_like_any_other_body() {
    let envelope = |headers: &str| {
        let text = format!(
            "\u{feff}{{\"envelope\":{{\"x\":\"\\ud800\"}},\"basicProperties\":{{\"messageId\":\"a\",\"messageId\":\"m\",\
             \"headers\":{{{headers}}}}},\"body\":\"eA==\"}}"
        );
        Record { value: Some(text.into()), ..Record::default() }
    };
    let int = |name: &str, value: i32| format!("\"{name}\":{{\"type\":\"int32\",\"int32\":{value}}}");
    let found = unwrap(envelope(&[int("h", 1), int("g", 2), int("h", 3)].join(","))).expect("an envelope");
    assert_eq!(found.value.as_deref(), Some(&b"x"[..]));
    assert_eq!(found.properties().message_id.as_deref(), Some("m"), "the last counts");
    let headers: Vec<_> = found.headers.iter().cloned().collect();
    assert_eq!(headers, [("h".into(), Value::I32(3)), ("g".into(), Value::I32(2))]);
    for text in ["\"h\":{\"type\":\"string\",\"string\":\"\\ud800\"}", "\"\\ud800\":{\"type\":\"string\"}"] {
        let reason = unwrap(envelope(text)).expect_err("it is asked for");
        assert!(reason.contains("is no text"), "{reason}");
    }
}

#[test]
fn what_is_no_envelope_is_refused_with_the_reason_or_kept() {
    let with = |properties: &str| format!(r#"{{"envelope":{{}},"basicProperties":{properties},"body":""}}"#);
    let header = |value: &str| with(&format!(r#"{{"headers":{{"h":{value}}}}}"#));
    let cases = [
        ("hello".to_owned(), "the body is not JSON: expected value at line 1 column 1; found 5 bytes of text"),
        ("[]".to_owned(), "the body is a list, not an object"),
        ("null".to_owned(), "the body is null, not an object"),
        (r#"{"id":1}"#.to_owned(), "the body is no envelope: it has no envelope"),
        (r#"{"envelope":{},"body":""}"#.to_owned(), "the body is no envelope: it has no basicProperties"),
        (r#"{"envelope":{},"basicProperties":null}"#.to_owned(), "the body is no envelope: it has no body"),
        (r#"{"schema":{},"payload":7}"#.to_owned(), "payload is a number, not an object"),
        (r#"{"schema":{},"payload":{}}"#.to_owned(), "the body is no envelope: it has no envelope"),
        (r#"{"envelope":7}"#.to_owned(), "envelope is a number, not an object"),
        (r#"{"envelope":{"exchange":7}}"#.to_owned(), "envelope.exchange is a number, not a string"),
        (r#"{"envelope":{},"basicProperties":null,"body":null}"#.to_owned(), "body is null, not base64"),
        (r#"{"envelope":{},"basicProperties":null,"body":"s3cr3t!"}"#.to_owned(), "body is not base64 (7 bytes)"),
        (with("[]"), "basicProperties is a list, not an object"),
        (with(r#"{"priority":256}"#), "basicProperties.priority is a number that does not fit there"),
        (with(r#"{"priority":1.5}"#), "basicProperties.priority is a number that does not fit there"),
        (with(r#"{"timestamp":"now"}"#), "basicProperties.timestamp is a string, not a number"),
        (with(r#"{"headers":[]}"#), "basicProperties.headers is a list, not an object"),
        (header("{}"), "basicProperties.headers.h.type is null"),
        (header("7"), "basicProperties.headers.h is a number, not an object"),
        (header(r#"{"type":"s3cr3t"}"#), "basicProperties.headers.h.type is none that the connector has"),
        (header(r#"{"type":"int8","int8":128}"#), "basicProperties.headers.h.int8 is a number that does not fit there"),
        (header(r#"{"type":"int8","int8":"1"}"#), "basicProperties.headers.h.int8 is a string, not a number"),
        (
            header(r#"{"type":"float32","float32":1e300}"#),
            "basicProperties.headers.h.float32 is a number that does not fit there",
        ),
        (
            header(r#"{"type":"float64","float64":"inf"}"#),
            "basicProperties.headers.h.float64 is a string, not a number",
        ),
        (header(r#"{"type":"boolean","boolean":1}"#), "basicProperties.headers.h.boolean is a number, not a boolean"),
        (header(r#"{"type":"bytes","bytes":"?"}"#), "basicProperties.headers.h.bytes is not base64 (1 bytes)"),
        (
            header(r#"{"type":"array","array":[null]}"#),
            "basicProperties.headers.h.array is null, not a list of strings alone",
        ),
    ];
    for (envelope, reason) in cases {
        let record = Record { value: Some(envelope.clone().into()), ..message() };
        assert_eq!(unwrap(record.clone()), Err(format!("rabbitmq_envelope: {reason}")), "{envelope}");
        let lenient = json!({ "do": "unwrap", "on_invalid": "keep" });
        assert_eq!(apply_one("rabbitmq_envelope", &lenient, record.clone()), Ok(Some(record)), "{envelope}");
    }
}

#[test]
fn options_of_the_other_direction_are_a_problem() {
    let paths = |options: Json| -> Vec<_> {
        problems("rabbitmq_envelope", &options).into_iter().map(|(path, _)| path).collect()
    };
    assert_eq!(paths(json!({ "do": "wrap", "schemas_enable": true, "key": "message_key" })), [""; 0]);
    assert_eq!(paths(json!({ "do": "wrap", "on_invalid": "keep" })), ["on_invalid"]);
    let wrong = json!({ "do": "unwrap", "schemas_enable": true, "key": "message_key", "on_invalid": "keep" });
    assert_eq!(paths(wrong), ["schemas_enable", "key"]);
    assert_eq!(paths(json!({ "do": "fold" })).len(), 1);
    assert_eq!(paths(json!({})).len(), 1);
}

/// What the original can say of a header.
fn any_original_value() -> impl Strategy<Value = Value> {
    let words = prop::collection::vec("\\PC{0,8}".prop_map(Value::text), 0..4);
    prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        any::<i8>().prop_map(Value::I8),
        any::<i16>().prop_map(Value::I16),
        any::<i32>().prop_map(Value::I32),
        any::<i64>().prop_map(Value::I64),
        any::<f32>().prop_filter("equal to itself", |value| !value.is_nan()).prop_map(Value::F32),
        any::<f64>().prop_filter("equal to itself", |value| !value.is_nan()).prop_map(Value::F64),
        any::<i64>().prop_map(|millis| Value::Timestamp(Timestamp::from_millis(millis))),
        "\\PC{0,16}".prop_map(Value::text),
        words.prop_map(Value::List),
    ]
}

proptest! {
    #[test]
    fn what_the_original_can_say_comes_back(
        value in prop::collection::vec(any::<u8>(), 0..64),
        headers in prop::collection::btree_map("\\PC{0,8}", any_original_value(), 0..6),
        properties in any_properties(),
        millis in prop::option::of(any::<i64>()),
        schemas in any::<bool>(),
    ) {
        let mut record = body(value);
        record.headers = headers.into_iter().map(|(name, value)| (name.into(), value)).collect();
        let timestamp = millis.map(Timestamp::from_millis);
        record.set_properties(Properties { timestamp, cluster_id: None, ..properties });
        record.origin = Origin::new("queue", "".into()).with("exchange", "e").with("routing_key", "k");
        let wrapped = wrap(&json!({ "do": "wrap", "schemas_enable": schemas }), record.clone());
        prop_assert_eq!(unwrap(wrapped), Ok(record));
    }

    /// Every header that there can be has its place, and an envelope that is one comes out the same again.
    #[test]
    fn whatever_is_wrapped_is_unwrapped(headers in any_headers(), properties in any_properties()) {
        let mut record = body("x");
        record.headers = headers;
        record.set_properties(properties);
        let options = json!({ "do": "wrap" });
        let once = unwrap(wrap(&options, record.clone())).expect("it is one");
        let names = |headers: &Headers| headers.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        prop_assert_eq!(names(&once.headers), names(&record.headers));
        // By its JSON: a float that is none is not equal to itself.
        let wrapped = wrap(&options, once);
        let again = wrap(&options, unwrap(wrapped.clone()).expect("it is one"));
        prop_assert_eq!(again, wrapped);
    }
}
