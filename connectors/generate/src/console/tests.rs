use std::{sync::mpsc, time::Duration};

use gantry_sdk::{
    ErrorKind, FailureKind, Origin,
    testkit::{Courier, any_headers, any_properties},
};
use proptest::prelude::*;

use super::*;

/// A full record: one of everything that a line can show.
fn record() -> Record {
    let mut record = Record {
        key: Some("k1".into()),
        value: Some("{\"client\":\"Вася\"}".into()),
        timestamp: Some(1_700_000_000_000),
        destination: Some("orders".into()),
        ..Record::default()
    };
    record.headers.push("tenant", gantry_sdk::Value::text("acme"));
    record.headers.push("retry", gantry_sdk::Value::I64(3));
    record.headers.push("none", gantry_sdk::Value::Null);
    record.origin = Origin::new("queue", "orders-for-offsets".into());
    record.properties_mut().message_id = Some("m-1".into());
    record
}

fn line(format: Format, record: &Record) -> String {
    String::from_utf8(format.lines(std::slice::from_ref(record))).expect("utf-8")
}

#[test]
fn text_shows_what_is_there_in_one_line() {
    let body = |body: &'static [u8]| Record { value: Some(body.into()), ..Record::default() };
    let cases = [
        (record(), "to=orders key=k1 headers={tenant=acme, retry=3, none=null} value={\"client\":\"Вася\"}\n"),
        (body(b"{}"), "value={}\n"),
        (body(b""), "value=\n"),
        (Record { key: Some("k".into()), ..Record::default() }, "key=k tombstone\n"),
        (body(b"a\nvalue=forged\x1b[2J\t\x7f"), "value=a\\nvalue=forged\\u{1b}[2J\\t\\u{7f}\n"),
        (body(b"\xff\x00text\xc3"), "value=\\xff\\u{0}text\\xc3\n"),
    ];
    for (record, expected) in cases {
        assert_eq!(line(Format::Text, &record), expected);
    }
}

#[test]
fn json_keeps_everything() {
    let expected = concat!(
        r#"{"key":"k1","value":"{\"client\":\"Вася\"}","headers":[{"name":"tenant","type":"string","value":"acme"},"#,
        r#"{"name":"retry","type":"i64","value":3},{"name":"none","type":"null","value":null}],"#,
        r#""timestamp":1700000000000,"destination":"orders","source":{"address":"orders-for-offsets"},"#,
        r#""properties":{"message_id":"m-1"}}"#,
        "\n"
    );
    assert_eq!(line(Format::Json, &record()), expected);
    let tombstone = line(Format::Json, &Record::default());
    assert_eq!(tombstone, "{\"value\":null,\"headers\":[],\"source\":{}}\n");
    let binary =
        Record { key: Some((&b"\xff"[..]).into()), value: Some((&b"\x00\xff"[..]).into()), ..Record::default() };
    assert_eq!(
        line(Format::Json, &binary),
        "{\"key_base64\":\"/w==\",\"value_base64\":\"AP8=\",\"headers\":[],\"source\":{}}\n"
    );
}

proptest! {
    #[test]
    fn any_record_is_one_line_without_control_characters(
        headers in any_headers(),
        properties in any_properties(),
        body in prop::option::of(prop::collection::vec(any::<u8>(), 0..64)),
        format in prop_oneof![Just(Format::Text), Just(Format::Json)],
    ) {
        let count = headers.len();
        let mut record = Record { headers, value: body.map(Into::into), ..Record::default() };
        record.set_properties(properties);
        let line = line(format, &record);
        let inside = line.strip_suffix('\n').expect("a line ends");
        prop_assert!(!inside.contains(|c: char| c.is_control()));
        if format == Format::Json {
            let json: serde_json::Value = serde_json::from_str(inside).expect("a line is JSON");
            prop_assert_eq!(json["headers"].as_array().map(Vec::len), Some(count));
        }
    }
}

/// Writes into a channel, one message a flush; fails when nobody listens.
#[derive(Debug)]
struct Pipe {
    pending: Vec<u8>,
    reader: mpsc::Sender<String>,
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.pending.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let text = String::from_utf8(std::mem::take(&mut self.pending)).map_err(io::Error::other)?;
        self.reader.send(text).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

fn numbered(numbers: std::ops::Range<u32>) -> Vec<Record> {
    numbers.map(|n| Record { value: Some(n.to_string().into()), ..Record::default() }).collect()
}

#[tokio::test]
async fn a_batch_is_settled_after_its_flush() {
    let (reader, printed) = mpsc::channel();
    let mut courier = Courier::new();
    let mut sink = Console::new(Format::Text, Pipe { pending: vec![], reader });
    sink.put(courier.batch(numbered(0..2))).await.unwrap();
    sink.put(courier.batch(numbered(2..3))).await.unwrap();
    sink.flush().await.unwrap();
    assert_eq!(courier.outcomes(Duration::from_secs(5)).await.delivered, 3);
    assert_eq!(printed.try_iter().collect::<Vec<_>>(), ["value=0\nvalue=1\n", "value=2\n"]);
}

#[tokio::test]
async fn a_reader_that_has_gone_is_an_error_and_nothing_is_settled() {
    let (reader, printed) = mpsc::channel();
    drop(printed);
    let mut courier = Courier::new();
    let mut sink = Console::new(Format::Text, Pipe { pending: vec![], reader });
    let error = sink.put(courier.batch(numbered(0..2))).await.expect_err("nobody reads");
    assert_eq!(error.kind(), ErrorKind::Disconnected);
    assert!(error.chain().contains("has gone"), "{}", error.chain());
    let summary = courier.outcomes(Duration::from_secs(5)).await;
    assert_eq!((summary.delivered, summary.abandoned), (0, 0));
    let kinds: Vec<_> = summary.failed.iter().map(|failure| failure.kind).collect();
    assert_eq!(kinds, [FailureKind::Retriable; 2]);
}

#[test]
fn options_are_known_words() {
    for (options, fine) in [
        (serde_json::json!({}), true),
        (serde_json::json!({ "format": "json" }), true),
        (serde_json::json!({ "format": "xml" }), false),
        (serde_json::json!({ "formatt": "json" }), false),
    ] {
        assert_eq!((crate::CONSOLE.check)(&options).is_empty(), fine, "{options}");
    }
}
