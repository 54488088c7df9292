//! Cutting inputs into their parts, and the record that they are tried on.

use gantry_sdk::{Origin, Record, Timestamp, Value};

/// No input has it and every value of [`record`] does: a text for people that holds it has quoted a value.
pub(super) const SECRET: &str = "s3cr3t";

/// The first line and what is behind it.
pub(super) fn line(data: &[u8]) -> (&[u8], &[u8]) {
    match data.iter().position(|byte| *byte == b'\n') {
        Some(at) => (&data[..at], &data[at + 1..]),
        None => (data, b""),
    }
}

/// The lines before the first empty one, and what is behind it.
pub(super) fn lines(data: &[u8]) -> (Vec<&[u8]>, &[u8]) {
    let (mut lines, mut rest) = (Vec::new(), data);
    while !rest.is_empty() {
        let (first, behind) = line(rest);
        rest = behind;
        if first.is_empty() {
            break;
        }
        lines.push(first);
    }
    (lines, rest)
}

/// A record with that body, and something in most other places.
pub(super) fn record(body: &[u8]) -> Record {
    let text = |name: &str| format!("{SECRET}-{name}");
    let mut record = Record {
        key: Some(text("key").into()),
        value: Some(body.to_vec().into()),
        timestamp: Some(1_700_000_000_123),
        origin: Origin::new("queue", text("queue").into())
            .with("exchange", "")
            .with("routing_key", text("routing").as_str())
            .with("offset", 77),
        ..Record::default()
    };
    for (name, value) in [
        ("a", Value::text(text("first"))),
        ("b", Value::I64(-7)),
        ("a", Value::text(text("second"))),
        ("b.c", Value::Bytes(b"\xff\xfe".as_slice().into())),
        ("null", Value::Null),
        ("at", Value::Timestamp(Timestamp::from_seconds(1_700_000_000))),
        ("list", Value::List(vec![Value::I8(1), Value::F64(f64::NAN)])),
    ] {
        record.headers.push(name, value);
    }
    let properties = record.properties_mut();
    properties.message_id = Some(text("id").into());
    properties.priority = Some(9);
    properties.content_type = Some("".into());
    record
}
