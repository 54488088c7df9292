//! The source for exactly once, on a real Kafka: without a group, behind what is stored.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use gantry_sdk::{Checkpoints, Context, ErrorKind, Position, Source};
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewPartitions},
    client::DefaultClientContext,
    consumer::{BaseConsumer, CommitMode, Consumer as _},
    producer::Producer as _,
};
use serde_json::{Value as Json, json};

use crate::support::{
    DEADLINE, Topic, answered, bootstrap, context,
    source::{
        ALL, is_silent, next, number, open_source, partition_of, producer, source_options, take, write_numbers,
        write_one,
    },
    unique,
};

type Stored = HashMap<Arc<str>, Position>;

fn replayed(task: u32, tasks: u32, stored: &Stored) -> Context {
    let stored = Checkpoints::new(stored.clone());
    Context { task, tasks, exactly_once: true, stored, ..context() }
}

/// So many records as partition and number, settled as they come; stores what a sink would.
async fn take_stored(source: &mut dyn Source, count: usize, stored: &mut Stored) -> Vec<(i32, u64)> {
    let mut taken = Vec::new();
    while taken.len() < count {
        let (lane, records, last) = next(source).await;
        taken.extend(records.iter().map(|record| (partition_of(record), number(record))));
        stored.insert(source.lane_key(lane), last.clone());
        source.commit(lane, &last);
        source.sync().await.unwrap();
    }
    assert_eq!(taken.len(), count);
    taken
}

/// A consumer that reads and sets the group's offsets, and does not join it.
fn of_group(group: &str) -> BaseConsumer {
    ClientConfig::new().set("bootstrap.servers", bootstrap()).set("group.id", group).create().unwrap()
}

/// What a group has committed of the first partition.
fn committed(group: &str, topic: &Topic) -> Offset {
    let mut list = TopicPartitionList::new();
    list.add_partition(&topic.name, 0);
    let group = of_group(group);
    answered(|| group.committed_offsets(list.clone(), DEADLINE)).elements()[0].offset()
}

async fn nothing_waits(source: &mut dyn Source) {
    let begun = Instant::now();
    while source.backlog().await.unwrap() != Some(0) {
        assert!(begun.elapsed() < DEADLINE, "{:?}", source.backlog().await);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_goes_on_behind_what_is_stored_and_tells_no_group() {
    let topic = Topic::new("replay", 2, &[]).await;
    let producer = producer(&[]);
    write_numbers(&producer, &topic, 0..100);
    let options = source_options(&topic.name, json!({ "commit_interval": "100ms" }));
    let mut stored = Stored::new();
    let mut source = open_source(&options, replayed(0, 1, &stored)).await;
    take_stored(&mut *source, 100, &mut stored).await;
    let keys: BTreeSet<_> = stored.keys().map(ToString::to_string).collect();
    assert_eq!(keys, [format!("{}/0", topic.name), format!("{}/1", topic.name)].into());
    write_numbers(&producer, &topic, 100..120);
    // Taken, never settled.
    next(&mut *source).await;
    source.close().await.unwrap();
    assert_eq!(committed(options["group"].as_str().unwrap(), &topic), Offset::Invalid);

    let mut source = open_source(&options, replayed(0, 1, &stored)).await;
    let mut rest = take_stored(&mut *source, 20, &mut stored).await;
    rest.sort_by_key(|(_, number)| *number);
    assert_eq!(rest.iter().map(|(_, number)| *number).collect::<Vec<_>>(), (100..120).collect::<Vec<_>>());
    nothing_waits(&mut *source).await;
    source.close().await.unwrap();

    // What is given back comes again, as in a group.
    write_numbers(&producer, &topic, 120..122);
    let mut source = open_source(&options, replayed(0, 1, &stored)).await;
    take_none(&mut *source, 2).await;
    assert!(source.give_back().await.unwrap());
    take_stored(&mut *source, 2, &mut stored).await;
    assert!(is_silent(&mut *source).await);
    source.close().await.unwrap();
    assert_eq!(committed(options["group"].as_str().unwrap(), &topic), Offset::Invalid);
}

/// So many records, not settled.
async fn take_none(source: &mut dyn Source, count: usize) {
    let mut taken = 0;
    while taken < count {
        taken += next(source).await.1.len();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_share_the_partitions() {
    let first = Topic::new("share-a", 3, &[]).await;
    let second = Topic::new("share-b", 1, &[]).await;
    let producer = producer(&[]);
    write_numbers(&producer, &first, 0..30);
    write_numbers(&producer, &second, 0..10);
    let options = source_options("", json!({ "topics": [first.name, second.name] }));
    let mut seen = BTreeMap::new();
    for task in 0..2 {
        let mut source = open_source(&options, replayed(task, 2, &Stored::new())).await;
        let records = take(&mut *source, 20).await;
        assert!(is_silent(&mut *source).await, "the rest is the other's");
        source.close().await.unwrap();
        for record in records {
            let place = (record.origin.address.clone(), partition_of(&record));
            assert_eq!(*seen.entry(place).or_insert(task), task, "one partition, two tasks");
        }
    }
    assert_eq!(seen.len(), 4);
    // A task that has nothing to read waits for something.
    let mut idle = open_source(&options, replayed(9, 10, &Stored::new())).await;
    assert!(is_silent(&mut *idle).await);
    idle.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_without_a_position_begins_where_the_options_say() {
    let topic = Topic::new("begin", 1, &[]).await;
    let producer = producer(&[]);
    write_numbers(&producer, &topic, 0..50);
    let options = |more: Json| source_options(&topic.name, more);
    for (more, first) in [(json!({}), 0), (json!({ "start": { "offset": 20 } }), 20)] {
        let mut source = open_source(&options(more), replayed(0, 1, &Stored::new())).await;
        assert_eq!(number(&next(&mut *source).await.1[0]), first);
        source.close().await.unwrap();
    }
    let mut source = open_source(&options(json!({ "offset_reset": "error" })), replayed(0, 1, &Stored::new())).await;
    let error = tokio::time::timeout(DEADLINE, source.poll(ALL)).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused, "{}", error.chain());
    assert!(error.chain().contains("no position is stored"), "{}", error.chain());
    source.close().await.unwrap();
}

/// A bridge that ran without exactly once before: nothing is read again and nothing is skipped.
#[tokio::test(flavor = "multi_thread")]
async fn a_lane_without_a_position_goes_on_where_the_group_was() {
    let topic = Topic::new("before", 2, &[]).await;
    let producer = producer(&[]);
    write_numbers(&producer, &topic, 0..40);
    // What the options say is for partitions that the group does not know.
    let options = source_options(&topic.name, json!({ "start": { "offset": 2 } }));
    let group = options["group"].as_str().unwrap();
    let mut source = open_source(&options, context()).await;
    take(&mut *source, 36).await;
    source.close().await.unwrap();
    let before = committed(group, &topic);
    assert!(matches!(before, Offset::Offset(_)), "{before:?}");

    write_numbers(&producer, &topic, 40..60);
    let mut stored = Stored::new();
    for _ in 0..2 {
        // The second one, too, of which no transaction was committed.
        let mut source = open_source(&options, replayed(0, 1, &Stored::new())).await;
        let numbers = take(&mut *source, 20).await.iter().map(number).collect::<BTreeSet<_>>();
        assert!(numbers.into_iter().eq(40..60));
        assert!(is_silent(&mut *source).await);
        source.close().await.unwrap();
        assert_eq!(committed(group, &topic), before);
    }
    let mut source = open_source(&options, replayed(0, 1, &stored)).await;
    take_stored(&mut *source, 20, &mut stored).await;
    source.close().await.unwrap();
    let mut source = open_source(&options, replayed(0, 1, &stored)).await;
    assert!(is_silent(&mut *source).await, "what is stored goes before what the group knows");
    source.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offset_that_the_group_has_of_another_topic_is_not_taken() {
    let topic = Topic::new("another", 1, &[]).await;
    write_numbers(&producer(&[]), &topic, 0..20);
    let options = source_options(&topic.name, json!({}));
    let consumer = of_group(options["group"].as_str().unwrap());
    for (metadata, first, losses) in [("", 7, 0), ("gantry topic-id=AAAAAAAAAAAAAAAAAAAAAQ", 0, 1)] {
        let mut list = TopicPartitionList::new();
        let mut element = list.add_partition(&topic.name, 0);
        element.set_offset(Offset::Offset(7)).unwrap();
        element.set_metadata(metadata);
        consumer.commit(&list, CommitMode::Sync).unwrap();
        let context = replayed(0, 1, &Stored::new());
        let mut source = open_source(&options, context.clone()).await;
        assert_eq!(number(&next(&mut *source).await.1[0]), first, "{metadata}");
        source.close().await.unwrap();
        let told = context.lost.get().into_iter().filter(|loss| loss.reason == "topic_recreated");
        assert_eq!(told.count(), losses, "{metadata}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_stored_and_is_gone_is_counted() {
    let topic = Topic::new("gone", 1, &[]).await;
    let producer = producer(&[]);
    write_numbers(&producer, &topic, 0..30);
    let options = source_options(&topic.name, json!({}));
    let mut stored = Stored::new();
    let mut source = open_source(&options, replayed(0, 1, &stored)).await;
    take_stored(&mut *source, 30, &mut stored).await;
    source.close().await.unwrap();
    write_numbers(&producer, &topic, 30..110);
    topic.delete_before(100).await;
    let context = replayed(0, 1, &stored);
    let mut source = open_source(&options, context.clone()).await;
    let taken = take_stored(&mut *source, 10, &mut stored).await;
    assert_eq!(taken[0], (0, 100));
    source.close().await.unwrap();
    let losses = |context: &Context| -> Vec<_> {
        context.lost.get().into_iter().map(|loss| (loss.reason, loss.records)).collect()
    };
    assert_eq!(losses(&context), [("retention", 70)]);

    topic.recreate().await;
    write_numbers(&producer, &topic, 1_000..1_300);
    let context = replayed(0, 1, &stored);
    let mut source = open_source(&options, context.clone()).await;
    let taken = take_stored(&mut *source, 300, &mut stored).await;
    assert_eq!(taken.iter().map(|(_, number)| *number).collect::<Vec<_>>(), (1_000..1_300).collect::<Vec<_>>());
    source.close().await.unwrap();
    assert_eq!(losses(&context), [("topic_recreated", 0)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn aborted_transactions_are_not_seen_and_hold_up_no_lag() {
    let topic = Topic::new("aborted", 1, &[]).await;
    let (name, id) = (topic.name.clone(), unique("transaction"));
    tokio::task::spawn_blocking(move || {
        // It belongs to the test, which deletes it.
        let topic = std::mem::ManuallyDrop::new(Topic { name, partitions: 1 });
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
    })
    .await
    .unwrap();
    let options = source_options(&topic.name, json!({}));
    let mut stored = Stored::new();
    // The second one begins behind the last record, where only what was aborted is left.
    for count in [100, 0] {
        let mut source = open_source(&options, replayed(0, 1, &stored)).await;
        let taken = take_stored(&mut *source, count, &mut stored).await;
        assert!(taken.into_iter().map(|(_, number)| number).eq(0..count as u64));
        assert!(is_silent(&mut *source).await);
        nothing_waits(&mut *source).await;
        source.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_comes_later_ends_the_source_whose_own_it_is() {
    let mut topic = Topic::new("grows", 1, &[]).await;
    let options = source_options(&topic.name, json!({ "properties": { "topic.metadata.refresh.interval.ms": 200 } }));
    let mut stored = Stored::new();
    write_numbers(&producer(&[]), &topic, 0..10);
    let mut first = open_source(&options, replayed(0, 2, &stored)).await;
    let mut second = open_source(&options, replayed(1, 2, &stored)).await;
    take_stored(&mut *first, 10, &mut stored).await;
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", bootstrap()).create().unwrap();
    let grown = admin.create_partitions(&[NewPartitions::new(&topic.name, 2)], &AdminOptions::new()).await.unwrap();
    grown[0].as_ref().unwrap();
    tokio::task::spawn_blocking(move || drop(admin));
    topic.partitions = 2;
    let error = tokio::time::timeout(DEADLINE, second.watch_connection()).await.expect("it is noticed");
    assert_eq!(error.kind(), ErrorKind::Disconnected, "{}", error.chain());
    assert!(error.chain().contains(&format!("partition 1 of topic \"{}\" is new", topic.name)), "{}", error.chain());
    second.close().await.unwrap();
    let mut second = open_source(&options, replayed(1, 2, &stored)).await;
    write_numbers(&producer(&[]), &topic, 0..10);
    assert!(take(&mut *second, 5).await.iter().all(|record| partition_of(record) == 1));
    assert!(take(&mut *first, 5).await.iter().all(|record| partition_of(record) == 0), "it has kept its own");
    second.close().await.unwrap();
    first.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_of_an_expression_that_comes_later_ends_it_and_internal_ones_are_not_found() {
    let common = unique("replay-expression");
    let first = Topic { name: format!("{common}-a"), partitions: 1 };
    first.create(&[]).await;
    write_one(&first, None, Some("1"), &[]);
    let options = source_options(
        "",
        json!({
            "topics_regex": format!("^({common}-.*|__consumer_offsets)"),
            "properties": { "topic.metadata.refresh.interval.ms": 200 },
        }),
    );
    let mut stored = Stored::new();
    let mut source = open_source(&options, replayed(0, 1, &stored)).await;
    take_stored(&mut *source, 1, &mut stored).await;
    assert!(is_silent(&mut *source).await);
    let second = Topic { name: format!("{common}-b"), partitions: 1 };
    second.create(&[]).await;
    write_one(&second, None, Some("2"), &[]);
    let error = tokio::time::timeout(DEADLINE, source.poll(ALL)).await.expect("it is noticed").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Disconnected, "{}", error.chain());
    assert!(error.chain().contains("is new"), "{}", error.chain());
    source.close().await.unwrap();
    let mut source = open_source(&options, replayed(0, 1, &stored)).await;
    assert_eq!(take_stored(&mut *source, 1, &mut stored).await, [(0, 2)]);
    source.close().await.unwrap();
}
