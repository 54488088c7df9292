use bytes::Bytes;
use gantry_sdk::{
    Origin, Timestamp, Value,
    testkit::{any_headers, any_origin, any_properties},
};
use proptest::prelude::*;

use super::*;

fn now() -> jiff::Timestamp {
    "2026-01-02T03:04:05.678Z".parse().expect("a time")
}

fn line(record: &Record, is_letter: bool) -> Vec<u8> {
    let mut out = Vec::new();
    write(&DeadLetterId::new("run", 7), now(), record, is_letter, &mut out);
    assert!(!out.contains(&b'\n'));
    out
}

fn read_record(line: &[u8]) -> Entry {
    match read(line) {
        Ok(Line::Record(entry)) => *entry,
        other => panic!("{other:?} for {}", String::from_utf8_lossy(line)),
    }
}

/// Every bit of a value, which `==` on floats does not see.
fn bits(value: &Value) -> String {
    match value {
        Value::F32(value) => format!("f32 {}", value.to_bits()),
        Value::F64(value) => format!("f64 {}", value.to_bits()),
        Value::List(items) => format!("{:?}", items.iter().map(bits).collect::<Vec<_>>()),
        Value::Table(fields) => {
            format!("{:?}", fields.iter().map(|(name, value)| (name.clone(), bits(value))).collect::<Vec<_>>())
        }
        other => format!("{other:?}"),
    }
}

fn any_bytes() -> impl Strategy<Value = Option<Bytes>> {
    prop::option::of(prop_oneof![
        prop::collection::vec(any::<u8>(), 0..16).prop_map(Bytes::from),
        ".{0,8}".prop_map(Bytes::from),
    ])
}

proptest! {
    #[test]
    fn a_line_holds_the_whole_record(
        key in any_bytes(),
        value in any_bytes(),
        headers in any_headers(),
        more in prop::collection::vec(("[a-b]{0,1}", (any::<i64>(), 0..1_000_000_000u32)), 0..3),
        properties in any_properties(),
        origin in any_origin(),
        timestamp in prop::option::of(any::<i64>()),
        is_letter: bool,
    ) {
        let mut record = Record { key, value, headers, origin, timestamp, ..Record::default() };
        record.set_properties(properties);
        for (name, (seconds, nanos)) in more {
            record.headers.push(name.clone(), Value::Timestamp(Timestamp { seconds, nanos }));
            record.headers.push(name, Value::U64(seconds.cast_unsigned()));
        }
        let entry = read_record(&line(&record, is_letter));
        prop_assert_eq!(&entry.id, &DeadLetterId::new("run", 7));
        prop_assert_eq!(entry.written, Some(now()));
        prop_assert!(!entry.flattened);
        let all = |record: &Record| record.headers.iter().map(|(name, value)| (name.clone(), bits(value))).collect::<Vec<_>>();
        prop_assert_eq!(all(&entry.record), all(&record));
        let without_headers = |record: &Record| Record { headers: Headers::EMPTY, ..record.clone() };
        prop_assert_eq!(without_headers(&entry.record), without_headers(&record));
    }

    #[test]
    fn foreign_bytes_never_panic(text in "[{}\\[\\]\":,a-z0-9]{0,40}", raw in prop::collection::vec(any::<u8>(), 0..40)) {
        let _ = read(text.as_bytes());
        let _ = read(&raw);
    }

    #[test]
    fn a_line_that_was_cut_is_none(record in (any_bytes(), any_headers()), cut in 1..1000usize) {
        let (value, headers) = record;
        let whole = line(&Record { value, headers, ..Record::default() }, false);
        prop_assert!(read(&whole[..whole.len() - cut.min(whole.len())]).is_err());
    }
}

#[test]
fn the_reason_of_a_letter_stands_apart_from_its_headers() {
    let mut record = Record { value: Some("x".into()), ..Record::default() };
    record.headers.push("own", Value::I32(1));
    for name in ["queue", "stage", "exception.message"] {
        record.headers.push(format!("{}{name}", Reason::PREFIX), Value::text(name.to_uppercase()));
    }
    let text = line(&record, true);
    let entry = read_record(&text);
    assert_eq!(entry.record.headers.to_vec(), [("own".into(), Value::I32(1))]);
    assert_eq!(entry.reason.get("stage"), Some("STAGE"));
    assert_eq!(
        String::from_utf8(text).expect("text"),
        "{\"id\":\"run:7\",\"written\":\"2026-01-02T03:04:05.678Z\",\
         \"error\":{\"queue\":\"QUEUE\",\"stage\":\"STAGE\",\"exception.message\":\"EXCEPTION.MESSAGE\"},\
         \"value\":\"x\",\"headers\":[{\"name\":\"own\",\"type\":\"i32\",\"value\":1}],\"source\":{},\"properties\":{}}"
    );
}

#[test]
fn a_letter_of_before_kinds_were_written_has_the_kind_of_its_reason() {
    let read = |source: &str| {
        let rest = r#""value":"x","headers":[],"properties":{}"#;
        read_record(format!(r#"{{"id":"run:7","error":{{"topic":"orders"}},"source":{source},{rest}}}"#).as_bytes())
    };
    let origin = read(r#"{"address":"orders","partition":3,"offset":7,"unheard_of":[]}"#).record.origin;
    assert_eq!(origin, Origin::new("topic", "orders".into()).with("partition", 3).with("offset", 7_i64));
    assert_eq!(read(r#"{"kind":"queue","address":"orders"}"#).record.origin, Origin::new("queue", "orders".into()));
}

#[test]
fn what_is_nested_too_deeply_is_kept_as_text_and_says_so() {
    let nest = |levels| (0..levels).fold(Value::text("core"), |inner, _| Value::List(vec![inner]));
    for (levels, flattened) in [(32, false), (33, true), (2_000, true)] {
        let record = Record { headers: vec![("deep".into(), nest(levels))].into(), ..Record::default() };
        let entry = read_record(&line(&record, false));
        assert_eq!(entry.flattened, flattened, "{levels}");
        let text = |record: &Record| record.headers.get("deep").and_then(Value::to_text).expect("a value");
        let brackets = |record: &Record| text(record).iter().filter(|byte| **byte == b'[').count();
        assert_eq!(brackets(&entry.record), brackets(&record));
    }
}

#[test]
fn marks_are_lines_too() {
    let marks: Marks = "run:3,5-9".parse().expect("marks");
    let text = write_mark(&marks);
    assert_eq!(text, br#"{"replayed":"run:3,5-9"}"#);
    assert_eq!(read(&text), Ok(Line::Mark(marks)));
    assert!(read(br#"{"replayed":7}"#).is_err());
}
