//! What the source makes of topics on a real Kafka.

use std::time::{Duration, Instant};

use gantry_sdk::{Context, ErrorKind, Polled, Position, Value};
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer as _},
};
use serde_json::{Value as Json, json};

use crate::support::{
    self, DEADLINE, Topic, context,
    source::{
        failure, is_silent, next, number, open_source, partition_of, producer, source_options, take, take_once,
        write_numbers, write_one,
    },
    unique,
};

#[tokio::test(flavor = "multi_thread")]
async fn everything_comes_once_and_in_the_order_of_its_partition() {
    let topic = Topic::new("source", 4, &[]).await;
    write_numbers(&producer(&[]), &topic, 0..20_000);
    let options = source_options(&topic.name, json!({}));
    let mut source = open_source(&options, context()).await;
    let taken = take(&mut *source, 20_000).await;
    for partition in 0..4 {
        let own: Vec<_> = taken.iter().filter(|record| partition_of(record) == partition).collect();
        let expected: Vec<u64> = (0..20_000).filter(|number| *number % 4 == partition as u64).collect();
        assert_eq!(own.iter().map(|record| number(record)).collect::<Vec<_>>(), expected);
        assert!(own.iter().zip(0..).all(|(record, offset)| record.origin.integer("offset") == Some(offset)));
        assert!(own.iter().all(|record| record.origin.address == topic.name && record.timestamp.is_some()));
    }
    source.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn it_goes_on_behind_what_is_settled_and_repeats_the_rest() {
    let topic = Topic::new("resume", 1, &[]).await;
    let producer = producer(&[]);
    write_numbers(&producer, &topic, 0..100);
    let options = source_options(&topic.name, json!({}));
    let mut source = open_source(&options, context()).await;
    let mut settled = 0;
    while settled < 60 {
        let limits = gantry_sdk::Limits { records: 20, bytes: 1 << 20 };
        let gantry_sdk::Polled::Batch { lane, records, last, .. } = source.poll(limits).await.unwrap() else {
            continue;
        };
        settled += records.len();
        source.commit(lane, &last);
    }
    let (_, in_flight, _) = support::source::next(&mut *source).await;
    assert!(!in_flight.is_empty(), "taken, never settled");
    source.close().await.unwrap();
    let mut source = open_source(&options, context()).await;
    let rest = take(&mut *source, 100 - settled).await;
    assert_eq!(rest.iter().map(number).collect::<Vec<_>>(), (settled as u64..100).collect::<Vec<_>>());
    assert!(is_silent(&mut *source).await);
    source.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn key_value_and_headers_come_as_they_are() {
    let topic = Topic::new("headers", 1, &[]).await;
    write_one(&topic, Some("k"), None, &[]);
    write_one(
        &topic,
        None,
        Some(""),
        &[("a", Some(b"1")), ("a", None), ("a", Some(b"1")), ("b", Some(b"\xff\x00\xfe")), ("", Some(b""))],
    );
    write_one(&topic, Some(""), Some("x"), &[("amqp.message_id", Some(b"m-1")), ("amqp.priority", Some(b"7"))]);
    let taken = take_once(&source_options(&topic.name, json!({})), 3).await;
    let [tombstone, headers, properties] = &taken[..] else { panic!("{taken:?}") };
    assert_eq!((tombstone.key.as_deref(), tombstone.value.as_deref()), (Some(b"k".as_slice()), None));
    assert_eq!((headers.key.as_deref(), headers.value.as_deref()), (None, Some(b"".as_slice())));
    let expected = [
        ("a".into(), Value::text("1")),
        ("a".into(), Value::Null),
        ("a".into(), Value::text("1")),
        ("b".into(), Value::Bytes(b"\xff\x00\xfe".as_slice().into())),
        ("".into(), Value::text("")),
    ];
    assert_eq!(headers.headers.to_vec(), expected);
    assert_eq!(properties.properties().message_id.as_deref(), Some("m-1"));
    assert_eq!(properties.properties().priority, Some(7));
    assert!(properties.headers.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_sink_wrote_typed_comes_back_as_it_was() {
    let topic = Topic::new("typed", 1, &[]).await;
    let mut record = support::record("k", "v");
    record.headers.push("n", Value::I16(-3));
    record.headers.push("list", Value::List(vec![Value::Null, Value::F64(0.5), Value::text("x")]));
    record.properties_mut().reply_to = Some("answers".into());
    let sink = support::options(&topic.name, json!({ "header_mapping": { "encoding": "typed" } }));
    support::write(&sink, vec![record.clone()]).await;
    let taken = take_once(&source_options(&topic.name, json!({})), 1).await;
    assert_eq!(taken[0].headers, record.headers);
    assert_eq!(taken[0].properties(), record.properties());
    let without = source_options(&topic.name, json!({ "header_mapping": { "include": [] } }));
    let taken = take_once(&without, 1).await;
    assert!(taken[0].headers.is_empty() && taken[0].properties.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_transaction_took_back_is_not_there() {
    use rdkafka::producer::Producer as _;
    let topic = Topic::new("transactions", 1, &[]).await;
    let name = topic.name.clone();
    let id = unique("transaction");
    tokio::task::spawn_blocking(move || {
        let topic = Topic { name, partitions: 1 };
        let producer = producer(&[("transactional.id", &id)]);
        producer.init_transactions(DEADLINE).unwrap();
        for (numbers, fine) in [(0..50, true), (1000..1050, false), (50..100, true), (2000..2010, false)] {
            producer.begin_transaction().unwrap();
            write_numbers(&producer, &topic, numbers);
            if fine {
                producer.commit_transaction(DEADLINE).unwrap();
            } else {
                producer.abort_transaction(DEADLINE).unwrap();
            }
        }
        // It belongs to the test, which deletes it.
        std::mem::forget(topic);
    })
    .await
    .unwrap();
    let options = source_options(&topic.name, json!({}));
    let context = context();
    let mut source = open_source(&options, context.clone()).await;
    let taken = take(&mut *source, 100).await;
    assert_eq!(taken.iter().map(number).collect::<Vec<_>>(), (0..100).collect::<Vec<_>>());
    assert!(is_silent(&mut *source).await);
    // Behind the last record there are only aborted ones and markers: nothing waits.
    let begun = std::time::Instant::now();
    while source.backlog().await.unwrap() != Some(0) {
        assert!(begun.elapsed() < DEADLINE, "{:?}", source.backlog().await);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(context.lag.get().len(), 1);
    source.close().await.unwrap();
    assert_eq!(context.lag.get(), [], "a source that has ended is behind nothing");
    let all = source_options(&topic.name, json!({ "isolation_level": "read_uncommitted" }));
    assert_eq!(take_once(&all, 160).await.len(), 160);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_begins_where_it_is_told_and_only_where_the_group_knows_nothing() {
    let topic = Topic::new("start", 1, &[]).await;
    let producer = producer(&[]);
    write_numbers(&producer, &topic, 0..50);
    tokio::time::sleep(Duration::from_millis(20)).await;
    let middle = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64;
    tokio::time::sleep(Duration::from_millis(20)).await;
    write_numbers(&producer, &topic, 50..100);
    for (start, first) in [(json!({ "offset": 30 }), 30), (json!({ "timestamp": middle }), 50)] {
        let options = source_options(&topic.name, json!({ "start": start }));
        let taken = take_once(&options, 100 - first).await;
        assert_eq!(number(&taken[0]), first as u64, "{start}");
        let mut again = open_source(&options, context()).await;
        assert!(is_silent(&mut *again).await, "the group knows the end: {start}");
        again.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn latest_is_remembered_before_anything_is_settled() {
    let topic = Topic::new("latest", 1, &[]).await;
    let producer = producer(&[]);
    write_numbers(&producer, &topic, 0..50);
    let options = source_options(&topic.name, json!({ "offset_reset": "latest" }));
    let mut source = open_source(&options, context()).await;
    assert!(is_silent(&mut *source).await);
    write_numbers(&producer, &topic, 50..60);
    let (_, records, _) = support::source::next(&mut *source).await;
    assert_eq!(number(&records[0]), 50);
    // Never settled: the next one must not begin at a new end.
    source.close().await.unwrap();
    let taken = take_once(&options, 10).await;
    assert_eq!(number(&taken[0]), 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_offset_and_with_reset_error_it_says_what_to_do() {
    let topic = Topic::new("reset", 1, &[]).await;
    write_numbers(&producer(&[]), &topic, 0..10);
    let options = source_options(&topic.name, json!({ "offset_reset": "error" }));
    let mut source = open_source(&options, context()).await;
    let polled = tokio::time::timeout(DEADLINE, source.poll(support::source::ALL)).await.unwrap();
    let error = polled.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(error.chain().contains("--reset-offsets") && error.chain().contains(&topic.name), "{}", error.chain());
    source.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_keeps_its_name_and_takes_only_positions_of_its_own() {
    let topic = Topic::new("lane", 3, &[]).await;
    write_numbers(&producer(&[]), &topic, 0..3);
    let options = source_options(&topic.name, json!({}));
    for _ in 0..2 {
        let mut source = open_source(&options, context()).await;
        for _ in 0..3 {
            let (lane, records, _) = next(&mut *source).await;
            assert_eq!(*source.lane_key(lane), format!("{}/{}", topic.name, partition_of(&records[0])));
            source.commit(lane, &Position::new(b"another's"));
            assert_eq!(source.sync().await.unwrap_err().kind(), ErrorKind::Internal);
            source.sync().await.unwrap();
        }
        source.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_topic_is_said_at_the_start() {
    let name = unique("missing");
    let options = source_options(&name, json!({}));
    let error = failure(&options).await;
    assert_eq!(error.kind(), ErrorKind::Missing);
    assert!(error.chain().contains(&name) && error.chain().contains("create it"), "{}", error.chain());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_deleted_ends_the_source_and_says_so() {
    let topic = Topic::new("deleted", 1, &[]).await;
    let fast =
        json!({ "properties": { "topic.metadata.refresh.interval.ms": 200, "topic.metadata.propagation.max.ms": 0 } });
    let mut source = open_source(&source_options(&topic.name, fast), context()).await;
    write_numbers(&producer(&[]), &topic, 0..10);
    take(&mut *source, 10).await;
    let name = topic.name.clone();
    tokio::task::spawn_blocking(move || drop(topic)).await.unwrap();
    let error = loop {
        match tokio::time::timeout(DEADLINE, source.poll(support::source::ALL)).await.expect("it ends") {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::Missing, "{}", error.chain());
    assert!(error.chain().contains(&name), "{}", error.chain());
    source.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_there_is_said_and_tried_again() {
    let options = source_options(
        "orders",
        json!({ "connection": { "bootstrap_servers": "127.0.0.1:1", "connect_timeout": "1s" } }),
    );
    let error = failure(&options).await;
    assert_eq!(error.kind(), ErrorKind::Disconnected);
    assert!(error.chain().contains("127.0.0.1:1"), "{}", error.chain());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expression_finds_topics_that_come_later() {
    let common = unique("expression");
    let first = Topic { name: format!("{common}-a"), partitions: 1 };
    first.create(&[]).await;
    write_numbers(&producer(&[]), &first, 0..10);
    let options = source_options(
        "",
        json!({ "topics_regex": format!("^{common}-.*"), "properties": { "topic.metadata.refresh.interval.ms": 200 } }),
    );
    let mut source = open_source(&options, context()).await;
    take(&mut *source, 10).await;
    let second = Topic { name: format!("{common}-b"), partitions: 2 };
    second.create(&[]).await;
    write_numbers(&producer(&[]), &second, 0..10);
    let taken = take(&mut *source, 10).await;
    assert!(taken.iter().all(|record| record.origin.address == second.name));
    source.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expression_never_finds_the_topic_where_its_own_commits_go() {
    let topic = Topic::new("internal", 1, &[]).await;
    write_numbers(&producer(&[]), &topic, 0..10);
    // The group's offsets are a topic as soon as there is a group.
    take_once(&source_options(&topic.name, json!({})), 10).await;
    let regex = format!("^(__consumer_offsets|__transaction_state|{})$", topic.name);
    let options = source_options("", json!({ "topics_regex": regex, "commit_interval": "100ms" }));
    let mut source = open_source(&options, context()).await;
    let taken = take(&mut *source, 10).await;
    assert!(taken.iter().all(|record| record.origin.address == topic.name), "{taken:?}");
    assert!(is_silent(&mut *source).await, "also after it has committed");
    source.close().await.unwrap();
    let mut named = open_source(&source_options("__consumer_offsets", json!({})), context()).await;
    let (_, records, _) = support::source::next(&mut *named).await;
    assert_eq!(records[0].origin.address, "__consumer_offsets");
    named.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn large_records_come_through_a_small_buffer() {
    let topic = Topic::new("large", 2, &[("max.message.bytes", "20000000")]).await;
    let sink = support::options(&topic.name, json!({ "partition": "{key}" }));
    let body = "x".repeat(5_000_000);
    let records = (0..4).map(|n| support::record((n % 2).to_string(), &body[n..])).collect();
    support::write(&sink, records).await;
    let options = source_options(&topic.name, json!({}));
    let small = Context { in_flight_bytes: 100_000, ..context() };
    let mut source = open_source(&options, small).await;
    let taken = take(&mut *source, 4).await;
    let mut lengths: Vec<_> = taken.iter().map(|record| record.value.as_ref().unwrap().len()).collect();
    lengths.sort_unstable();
    assert_eq!(lengths, [4_999_997, 4_999_998, 4_999_999, 5_000_000]);
    source.close().await.unwrap();
}

/// What is lost so far: reasons and numbers, when there is something.
async fn losses(context: &Context) -> Vec<(&'static str, u64)> {
    let begun = Instant::now();
    loop {
        let losses: Vec<_> = context.lost.get().into_iter().map(|loss| (loss.reason, loss.records)).collect();
        if !losses.is_empty() {
            return losses;
        }
        assert!(begun.elapsed() < DEADLINE, "a loss is told");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_kafka_deleted_while_it_was_stopped_are_counted_once() {
    let topic = Topic::new("retention", 1, &[]).await;
    let producer = producer(&[]);
    write_numbers(&producer, &topic, 0..30);
    let options = source_options(&topic.name, json!({}));
    take_once(&options, 30).await;
    write_numbers(&producer, &topic, 30..110);
    topic.delete_before(100).await;

    let first = context();
    let mut source = open_source(&options, first.clone()).await;
    let taken = take(&mut *source, 10).await;
    assert_eq!(taken.iter().map(number).collect::<Vec<_>>(), (100..110).collect::<Vec<_>>());
    assert_eq!(losses(&first).await, [("retention", 70)]);
    let what = first.lost.get()[0].what.to_string();
    assert!(what.contains("offsets 30 to 99") && what.contains(&topic.name), "{what}");
    source.close().await.unwrap();

    // All of them, so that nothing comes whose offset would be committed.
    write_numbers(&producer, &topic, 110..115);
    topic.delete_before(115).await;
    let second = context();
    let source = open_source(&options, second.clone()).await;
    assert_eq!(losses(&second).await, [("retention", 5)]);
    source.close().await.unwrap();
    let third = context();
    write_numbers(&producer, &topic, 115..120);
    let mut source = open_source(&options, third.clone()).await;
    assert_eq!(number(&take(&mut *source, 5).await[0]), 115);
    source.close().await.unwrap();
    assert_eq!(third.lost.get(), [], "the group knows by now");
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_kafka_deletes_while_it_reads_are_counted() {
    let topic = Topic::new("overtaken", 1, &[]).await;
    let body = "x".repeat(200_000);
    let sink = support::options(&topic.name, json!({}));
    support::write(&sink, (0..40).map(|_| support::record("k", body.as_str())).collect()).await;
    // So little is read ahead that most is still in Kafka when it deletes it.
    let small = Context { in_flight_bytes: 100_000, ..context() };
    let mut source = open_source(&source_options(&topic.name, json!({})), small.clone()).await;
    let (lane, records, last) = support::source::next(&mut *source).await;
    source.commit(lane, &last);
    let mut came = records.len() as u64;
    topic.delete_before(40).await;
    write_one(&topic, None, Some("the end"), &[]);
    loop {
        let (lane, records, last) = support::source::next(&mut *source).await;
        source.commit(lane, &last);
        if records.last().unwrap().origin.integer("offset") == Some(40) {
            came += records.len() as u64 - 1;
            break;
        }
        came += records.len() as u64;
    }
    assert!(came < 40, "some were gone");
    assert_eq!(losses(&small).await, [("retention", 40 - came)]);
    source.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_deleted_and_created_again_is_read_from_its_start() {
    let topic = Topic::new("recreated", 1, &[]).await;
    write_numbers(&producer(&[]), &topic, 0..100);
    let options = source_options(&topic.name, json!({ "commit_interval": "100ms" }));
    let context = context();
    let mut source = open_source(&options, context.clone()).await;
    take(&mut *source, 100).await;
    topic.recreate().await;
    write_numbers(&producer(&[]), &topic, 1_000..1_300);
    let mut came = Vec::new();
    while came.len() < 300 {
        match tokio::time::timeout(DEADLINE, source.poll(support::source::ALL)).await.expect("more comes") {
            Ok(Polled::Batch { lane, records, last, .. }) => {
                came.extend(records.iter().map(number));
                source.commit(lane, &last);
            }
            Ok(_) => {}
            // It was seen while it was gone: the runtime opens another.
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Missing, "{}", error.chain());
                source.close().await.unwrap();
                source = open_source(&options, context.clone()).await;
            }
        }
    }
    assert_eq!(came, (1_000..1_300).collect::<Vec<_>>());
    assert!(context.lost.get().iter().all(|loss| loss.reason == "topic_recreated"), "{:?}", context.lost.get());
    source.close().await.unwrap();
    let mut again = open_source(&options, context).await;
    assert!(is_silent(&mut *again).await, "the group knows the end");
    again.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offset_of_another_topic_of_that_name_does_not_count() {
    let topic = Topic::new("stale", 1, &[]).await;
    write_numbers(&producer(&[]), &topic, 0..100);
    let options = source_options(&topic.name, json!({}));
    take_once(&options, 100).await;
    let group: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", support::bootstrap())
        .set("group.id", options["group"].as_str().unwrap())
        .create()
        .unwrap();
    let mut place = TopicPartitionList::new();
    place.add_partition(&topic.name, 0);
    let committed = group.committed_offsets(place, DEADLINE).unwrap();
    assert_eq!(committed.elements()[0].offset(), Offset::Offset(100));
    assert!(committed.elements()[0].metadata().contains("topic-id="), "{committed:?}");
    topic.recreate().await;
    write_numbers(&producer(&[]), &topic, 1_000..1_300);
    // As if Kafka had not forgotten it with the topic yet, or somebody who still read the old one had committed late.
    group.commit(&committed, CommitMode::Sync).unwrap();

    let merged = |more: Json| support::merge(options.clone(), more);
    let mut source = open_source(&merged(json!({ "on_topic_recreated": "fail" })), context()).await;
    let error = tokio::time::timeout(DEADLINE, source.poll(support::source::ALL)).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused, "{}", error.chain());
    assert!(error.chain().contains("--reset-offsets") && error.chain().contains("offset 100"), "{}", error.chain());
    source.close().await.unwrap();

    let context = context();
    let mut source = open_source(&options, context.clone()).await;
    let taken = take(&mut *source, 300).await;
    assert_eq!(taken.iter().map(number).collect::<Vec<_>>(), (1_000..1_300).collect::<Vec<_>>());
    assert_eq!(losses(&context).await, [("topic_recreated", 0)]);
    source.close().await.unwrap();
}
