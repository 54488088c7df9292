//! Dead letters out of a real topic: as they were, each once, until they are marked.

use bytes::Bytes;
use gantry_sdk::{
    Context, DeadLetter, DeadLetterId, DeadLetters, Origin, Properties, Record, Timestamp, Value,
    dead_letters::{Fidelity, Marks, Reason},
};
use serde_json::{Value as Json, json};

use crate::support::{self, Topic, context, merge, open, options, put};

fn dead() -> Context {
    Context { dead_letter: true, ..context() }
}

async fn dead_letters(options: &Json) -> Box<dyn DeadLetters> {
    let open = gantry_kafka::SINK.dead_letters.expect("they can be read back");
    open(options, dead()).expect("options").await.unwrap_or_else(|error| panic!("{}", error.chain()))
}

async fn all(options: &Json) -> Vec<DeadLetter> {
    let mut letters = dead_letters(options).await;
    let mut read = Vec::new();
    while let Some(letter) = letters.next().await.expect("it reads") {
        read.push(letter);
    }
    assert_eq!(letters.total(), Some(read.len() as u64));
    letters.close().await.expect("it closes");
    read
}

async fn write(options: &Json, records: Vec<Record>) {
    let mut sink = open(options, dead()).await;
    let count = records.len();
    assert_eq!(put(&mut *sink, records).await.delivered, count);
    sink.close().await.expect("it closes");
}

/// A record as the runtime hands it to a dead letter's sink.
fn condemned(record: &Record) -> Record {
    let mut record = record.clone();
    let fields =
        [("queue", &*record.origin.address), ("exchange", ""), ("routing.key", "eu"), ("exception.message", "no")];
    let fields = fields.map(|(name, value)| (format!("{}{name}", Reason::PREFIX), value.to_owned()));
    fields.into_iter().for_each(|(name, value)| record.headers.push(name, Value::text(value)));
    record
}

fn awkward() -> Record {
    let mut record = Record {
        key: Some("own".into()),
        value: Some(Bytes::from_static(b"\xff\x00body")),
        timestamp: Some(1_000),
        ..Record::default()
    };
    record.origin = Origin::new("queue", "orders".into()).with("exchange", "").with("routing_key", "eu");
    for (name, value) in [
        ("", Value::Null),
        ("a\0b", Value::I16(-7)),
        ("same", Value::text("1")),
        ("same", Value::Bytes(Bytes::from_static(b"2"))),
        ("gantry.types", Value::text("mine")),
        ("gantry.timestamp", Value::text("mine")),
        ("gantry.replayed", Value::text("0:0-100")),
        ("__connect.errors.queue", Value::text("it was a dead letter before")),
        ("nested", Value::List(vec![Value::Table(vec![("x".into(), Value::F32(0.5))]), Value::U64(u64::MAX)])),
        ("amqp.message_id", Value::text("no property")),
    ] {
        record.headers.push(name, value);
    }
    record.set_properties(Properties {
        message_id: Some("m-1".into()),
        priority: Some(3),
        timestamp: Some(Timestamp { seconds: 5, nanos: 7 }),
        ..Properties::EMPTY
    });
    record
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_is_the_record_that_it_was() {
    let topic = Topic::new("letters", 1, &[("max.message.bytes", "20000000")]).await;
    let plain = options(&topic.name, json!({}));
    let dressed = merge(
        plain.clone(),
        json!({ "key": "{message_id}", "headers": { "source": "{queue}" },
                "header_mapping": { "header_prefix": "h.", "include": ["properties", "headers", "origin"] } }),
    );
    let tombstone = Record { origin: awkward().origin, ..Record::default() };
    let large = Record { value: Some(vec![b'x'; 6_000_000].into()), origin: awkward().origin, ..Record::default() };
    for options in [&plain, &dressed] {
        let before = all(options).await.len();
        let records = [awkward(), tombstone.clone(), large.clone()];
        write(options, records.iter().map(condemned).collect()).await;
        let read = all(options).await;
        assert_eq!(read.len(), before + 3);
        for (letter, record) in read[before..].iter().zip(&records) {
            assert_eq!(letter.fidelity, Fidelity::Exact);
            assert!(letter.record == *record, "{:?} is not {record:?}", letter.record);
            assert_eq!(letter.reason.get("exception.message"), Some("no"));
            assert!(letter.written.is_some_and(|written| written.elapsed().is_ok_and(|ago| ago.as_secs() < 3_600)));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_marked_is_not_read_again() {
    let topic = Topic::new("marks", 3, &[]).await;
    let options = options(&topic.name, json!({}));
    let numbered = |number: u32| Record { key: Some(number.to_string().into()), ..awkward() };
    write(&options, (0..300).map(|number| condemned(&numbered(number))).collect()).await;
    let mut first = dead_letters(&options).await;
    // What comes later is not read by this one.
    write(&options, vec![condemned(&numbered(300))]).await;
    let (mut read, mut marks) = (Vec::new(), Marks::default());
    while let Some(letter) = first.next().await.expect("it reads") {
        read.push(letter);
    }
    assert_eq!((read.len(), first.total()), (300, Some(300)));
    for letter in read.iter().step_by(2) {
        marks.insert(&letter.id);
    }
    first.mark(&marks).await.expect("it marks");
    first.close().await.expect("it closes");

    let expected: Vec<DeadLetterId> = read.iter().skip(1).step_by(2).map(|letter| letter.id.clone()).collect();
    let left = all(&options).await;
    assert_eq!(left.len(), 151);
    assert!(expected.iter().all(|id| left.iter().any(|letter| letter.id == *id)));
    // A mark is told from a letter by other tools, too: no key, no value, this one header.
    let stored = topic.read_all();
    let marks: Vec<_> = stored.iter().filter(|record| record.key.is_none() && record.value.is_none()).collect();
    assert!(marks.iter().all(|mark| mark.headers.len() == 1 && mark.headers[0].0 == "gantry.replayed"), "{marks:?}");
    assert!(!marks.is_empty());
    // One that does not read hides nothing.
    let rubbish =
        Record { headers: vec![("gantry.replayed".into(), Value::text("0:0-x"))].into(), ..Record::default() };
    support::write(&options, vec![rubbish]).await;
    assert_eq!(all(&options).await.len(), 151);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_topic_has_no_letters_and_a_missing_one_is_said() {
    let topic = Topic::new("none", 2, &[]).await;
    assert!(all(&options(&topic.name, json!({}))).await.is_empty());
    let open = gantry_kafka::SINK.dead_letters.expect("they can be read back");
    let missing = open(&options("no-such-topic-at-all", json!({})), dead()).expect("options");
    let error = missing.await.err().expect("there is none");
    assert!(error.chain().contains("it does not exist"), "{}", error.chain());
    assert!(open(&options("dead-{queue}", json!({})), dead()).is_err());
    let nobody = json!({ "connection": { "bootstrap_servers": "127.0.0.1:1", "connect_timeout": "1s" }, "topic": "t" });
    let nobody = open(&nobody, dead()).expect("options");
    let error = nobody.await.err().expect("nobody listens there");
    assert!(error.chain().contains("127.0.0.1:1"), "{}", error.chain());
}
