//! Exactly once: records and the positions of their lanes are there together or not at all, whatever ends the sink.

use std::sync::Arc;

use gantry_sdk::{
    Checkpoint, Checkpoints, Context, ErrorKind, Health, Position, Record, Sink,
    health::Condition,
    testkit::{Courier, Summary},
};
use rdkafka::{
    ClientConfig,
    producer::{BaseProducer, BaseRecord, Producer as _},
};
use serde_json::{Value as Json, json};

use crate::support::{
    DEADLINE, Topic, bootstrap, committed, context, create, ends, failed, open, options, reader, record, unique,
};

/// A bridge of one test: its topic, that of its positions, and what a task would tell its sink.
struct Bridge {
    topic: Topic,
    positions: Topic,
    options: Json,
    context: Context,
}

impl Bridge {
    async fn new(what: &str, config: &[(&str, &str)]) -> Self {
        let topic = Topic::new(what, 1, config).await;
        let positions = Topic::later(&format!("{what}-positions"), 1);
        let options = options(&topic.name, json!({ "checkpoints_topic": positions.name }));
        let context = Context { exactly_once: true, bridge: unique(what).into(), ..context() };
        Self { topic, positions, options, context }
    }

    /// Another instance: with a health of its own.
    fn context(&self) -> Context {
        Context { health: Health::new(), ..self.context.clone() }
    }

    async fn open(&self) -> Box<dyn Sink> {
        open(&self.options, self.context()).await
    }
}

fn texts(from: u32, count: u32) -> Vec<Record> {
    (from..from + count).map(|number| record("k", number.to_string())).collect()
}

fn at(lane: &str, position: u64) -> Checkpoint {
    Checkpoint { lane_key: lane.into(), position: position.into() }
}

async fn begin(sink: &mut dyn Sink) {
    sink.transactions().expect("the sink has transactions").begin().await.unwrap();
}

async fn commit(sink: &mut dyn Sink, checkpoints: &[Checkpoint]) {
    sink.transactions().unwrap().commit(checkpoints).await.unwrap_or_else(|error| panic!("{}", error.chain()));
}

async fn write(sink: &mut dyn Sink, records: Vec<Record>) -> Summary {
    let mut courier = Courier::new();
    sink.put(courier.batch(records)).await.unwrap();
    tokio::time::timeout(DEADLINE, sink.flush()).await.expect("flush ends").unwrap();
    courier.outcomes(DEADLINE).await
}

fn stored(sink: &mut dyn Sink) -> Checkpoints {
    sink.transactions().unwrap().stored()
}

fn position(stored: &Checkpoints, lane: &str) -> Option<u64> {
    stored.get(lane).and_then(Position::as_u64)
}

/// Whether nothing in the topic waits for a decision.
fn is_decided(topic: &str) -> bool {
    let end = |isolation| ends(&reader(isolation), topic, 0).1;
    end("read_committed") == end("read_uncommitted")
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_visible_with_the_commit() {
    let bridge = Bridge::new("visible", &[]).await;
    let mut sink = bridge.open().await;
    assert!(stored(&mut *sink).is_empty());
    for round in 0..3 {
        begin(&mut *sink).await;
        assert_eq!(write(&mut *sink, texts(round * 10, 10)).await.delivered, 10);
        assert_eq!(committed(&bridge.topic.name).len() as u32, round * 10);
        commit(&mut *sink, &[at("orders/0", u64::from(round))]).await;
        assert_eq!(committed(&bridge.topic.name).len() as u32, (round + 1) * 10);
    }
    sink.close().await.unwrap();
    let expected: Vec<_> = (0..30).map(|number| number.to_string()).collect();
    assert_eq!(committed(&bridge.topic.name), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn positions_are_read_back() {
    let bridge = Bridge::new("stored", &[]).await;
    let mut sink = bridge.open().await;
    begin(&mut *sink).await;
    write(&mut *sink, texts(0, 1)).await;
    commit(&mut *sink, &[at("orders/0", 41), at("orders/1", 7)]).await;
    begin(&mut *sink).await;
    write(&mut *sink, texts(1, 1)).await;
    commit(&mut *sink, &[at("orders/0", 42)]).await;
    sink.close().await.unwrap();

    let mut again = bridge.open().await;
    let found = stored(&mut *again);
    assert_eq!((found.len(), position(&found, "orders/0"), position(&found, "orders/1")), (2, Some(42), Some(7)));
    again.close().await.unwrap();

    let other = Context { bridge: unique("other").into(), ..bridge.context() };
    let mut other = open(&bridge.options, other).await;
    assert!(stored(&mut *other).is_empty(), "another bridge's positions are none of its own");
    other.close().await.unwrap();

    assert!(committed(&bridge.positions.name).contains(&r#"{"position":"000000000000002a","number":42}"#.to_owned()));
}

/// What is written to is not compacted: it has to stay small.
#[tokio::test(flavor = "multi_thread")]
async fn the_topic_of_positions_is_made_to_stay_small() {
    let bridge = Bridge::new("small", &[]).await;
    bridge.open().await.close().await.unwrap();
    for (name, value) in [
        ("cleanup.policy", "compact"),
        ("segment.bytes", "16777216"),
        ("segment.ms", "3600000"),
        ("min.cleanable.dirty.ratio", "0.1"),
    ] {
        assert_eq!(bridge.positions.setting(name).await.as_deref(), Some(value), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_without_positions_commits() {
    let bridge = Bridge::new("bare", &[]).await;
    let mut sink = bridge.open().await;
    begin(&mut *sink).await;
    commit(&mut *sink, &[]).await;
    begin(&mut *sink).await;
    commit(&mut *sink, &[at("orders/0", 1)]).await;
    sink.close().await.unwrap();
    let mut again = bridge.open().await;
    assert_eq!(position(&stored(&mut *again), "orders/0"), Some(1));
    again.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_aborts_what_is_open() {
    let bridge = Bridge::new("closed", &[]).await;
    let mut sink = bridge.open().await;
    begin(&mut *sink).await;
    write(&mut *sink, texts(0, 10)).await;
    sink.close().await.unwrap();
    assert!(is_decided(&bridge.topic.name), "the abort was not left to the broker");
    assert!(committed(&bridge.topic.name).is_empty());
}

/// What is still on its way when the sink closes is aborted too.
#[tokio::test(flavor = "multi_thread")]
async fn closing_in_the_middle_of_a_batch_aborts_it() {
    let bridge = Bridge::new("closed-early", &[]).await;
    let mut sink = bridge.open().await;
    let mut courier = Courier::new();
    begin(&mut *sink).await;
    write(&mut *sink, texts(0, 1)).await;
    sink.put(courier.batch(texts(1, 1000))).await.unwrap();
    sink.close().await.unwrap();
    assert!(is_decided(&bridge.topic.name));
    assert!(committed(&bridge.topic.name).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_dies_leaves_neither_records_nor_positions() {
    let bridge = Bridge::new("dead", &[]).await;
    let mut sink = bridge.open().await;
    begin(&mut *sink).await;
    write(&mut *sink, texts(0, 5)).await;
    commit(&mut *sink, &[at("orders/0", 5)]).await;
    begin(&mut *sink).await;
    write(&mut *sink, texts(5, 5)).await;
    drop(sink);

    let mut again = bridge.open().await;
    assert_eq!(position(&stored(&mut *again), "orders/0"), Some(5));
    assert!(is_decided(&bridge.topic.name), "the next opening aborts it");
    assert_eq!(committed(&bridge.topic.name).len(), 5);
    begin(&mut *again).await;
    write(&mut *again, texts(5, 5)).await;
    commit(&mut *again, &[at("orders/0", 10)]).await;
    again.close().await.unwrap();
    let expected: Vec<_> = (0..10).map(|number| number.to_string()).collect();
    assert_eq!(committed(&bridge.topic.name), expected);
}

/// A commit that nobody waits for any more: whichever way it went, records and positions went the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_is_dropped_is_whole_or_nothing() {
    let bridge = Bridge::new("torn", &[]).await;
    for (round, wait) in [0, 1, 2, 4, 8, 16, 32].into_iter().enumerate() {
        let mut sink = bridge.open().await;
        let before = position(&stored(&mut *sink), "orders/0").unwrap_or(0);
        assert_eq!(committed(&bridge.topic.name).len() as u64, before, "before round {round}");
        begin(&mut *sink).await;
        write(&mut *sink, texts(0, 3)).await;
        let checkpoints = [at("orders/0", before + 3)];
        let committing = sink.transactions().unwrap().commit(&checkpoints);
        let _ = tokio::time::timeout(std::time::Duration::from_millis(wait), committing).await;
        drop(sink);
    }
    let mut sink = bridge.open().await;
    let last = position(&stored(&mut *sink), "orders/0").unwrap_or(0);
    assert_eq!(committed(&bridge.topic.name).len() as u64, last);
    sink.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_instance_fences_the_first() {
    let bridge = Bridge::new("fence", &[]).await;
    let first_context = bridge.context();
    let health = first_context.health.clone();
    let mut first = open(&bridge.options, first_context).await;
    begin(&mut *first).await;
    write(&mut *first, texts(0, 5)).await;

    let mut second = bridge.open().await;
    assert!(stored(&mut *second).is_empty());
    let error = first.transactions().unwrap().commit(&[at("orders/0", 5)]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused, "{}", error.chain());
    assert!(error.chain().contains("another instance") && error.chain().contains(&*bridge.context.bridge));
    assert_eq!(failed(&health).await.0, ErrorKind::Refused);
    first.close().await.unwrap();

    begin(&mut *second).await;
    write(&mut *second, texts(0, 5)).await;
    commit(&mut *second, &[at("orders/0", 5)]).await;
    second.close().await.unwrap();
    assert_eq!(committed(&bridge.topic.name).len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fenced_instance_that_writes_ends_too() {
    let bridge = Bridge::new("fence-write", &[]).await;
    let first_context = bridge.context();
    let health = first_context.health.clone();
    let mut first = open(&bridge.options, first_context).await;
    let second = bridge.open().await;
    begin(&mut *first).await;
    let summary = write(&mut *first, texts(0, 5)).await;
    assert_eq!((summary.delivered, summary.failed.len()), (0, 5));
    assert_eq!(failed(&health).await.0, ErrorKind::Refused);
    first.close().await.unwrap();
    second.close().await.unwrap();
    assert!(committed(&bridge.topic.name).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_have_transactions_of_their_own_and_share_positions() {
    let bridge = Bridge::new("tasks", &[]).await;
    let mut sinks = Vec::new();
    for task in 0..2 {
        sinks.push(open(&bridge.options, Context { task, tasks: 2, ..bridge.context() }).await);
    }
    for (number, sink) in sinks.iter_mut().enumerate() {
        begin(&mut **sink).await;
        write(&mut **sink, texts(0, 1)).await;
        commit(&mut **sink, &[at(&format!("orders/{number}"), 1)]).await;
    }
    for sink in sinks {
        sink.close().await.unwrap();
    }
    let mut again = bridge.open().await;
    assert_eq!(stored(&mut *again).len(), 2);
    again.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_too_large_does_not_spoil_the_transaction() {
    let bridge = Bridge::new("large", &[]).await;
    let mut sink = bridge.open().await;
    begin(&mut *sink).await;
    let mut records = texts(0, 10);
    records.insert(4, record("k", "x".repeat(2_000_000)));
    let summary = write(&mut *sink, records).await;
    assert_eq!((summary.delivered, summary.failed.len()), (10, 1));
    commit(&mut *sink, &[at("orders/0", 11)]).await;
    sink.close().await.unwrap();
    assert_eq!(committed(&bridge.topic.name).len(), 10);
}

/// The limit was lowered while the sink ran, and it has not seen that: the broker refuses, and takes the transaction with it.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_broker_refuses_ends_the_transaction_and_the_sink() {
    let bridge = Bridge::new("refused", &[]).await;
    let context = bridge.context();
    let health = context.health.clone();
    let mut sink = open(&bridge.options, context).await;
    bridge.topic.set(&[("max.message.bytes", "1000")]).await;
    begin(&mut *sink).await;
    let mut courier = Courier::new();
    sink.put(courier.batch(vec![record("k", "x".repeat(5000))])).await.unwrap();
    tokio::time::timeout(DEADLINE, sink.flush()).await.expect("flush ends").unwrap();
    let summary = courier.outcomes(DEADLINE).await;
    assert_eq!(summary.failed.len(), 1);
    let reason = &*summary.failed[0].reason;
    assert!(reason.contains("the transaction is aborted") && reason.contains("max.message.bytes"), "{reason}");
    assert_eq!(failed(&health).await.0, ErrorKind::Refused);
    assert!(sink.transactions().unwrap().commit(&[at("orders/0", 1)]).await.is_err());
    sink.close().await.unwrap();
    assert!(is_decided(&bridge.topic.name));
    assert!(committed(&bridge.topic.name).is_empty());
    let mut again = bridge.open().await;
    assert!(stored(&mut *again).is_empty());
    again.close().await.unwrap();
}

/// An open transaction of somebody else's on the topic of positions.
async fn hide(topic: &str) -> BaseProducer {
    let topic = topic.to_owned();
    let open = move || {
        let other: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", bootstrap())
            .set("transactional.id", unique("hiding"))
            .create()
            .unwrap();
        other.init_transactions(DEADLINE).unwrap();
        other.begin_transaction().unwrap();
        other.send(BaseRecord::<[u8], [u8]>::to(&topic).partition(0).key(b"x").payload(b"y")).unwrap();
        other.flush(DEADLINE).unwrap();
        other
    };
    tokio::task::spawn_blocking(open).await.unwrap()
}

/// An opening says that it waits for somebody else's transaction.
async fn until_it_waits(health: &Health) {
    let mut watched = health.subscribe();
    let says = |condition: &Condition| matches!(condition, Condition::Down(why) if why.contains("waiting"));
    tokio::time::timeout(DEADLINE, watched.wait_for(says)).await.expect("it says what it waits for").unwrap();
}

/// Its successor begins at once, though what it waited for goes on, and is not fenced by what is left of it.
#[tokio::test(flavor = "multi_thread")]
async fn an_opening_that_is_dropped_half_way_leaves_its_id_to_the_next() {
    let bridge = Bridge::new("half-way", &[]).await;
    bridge.open().await.close().await.unwrap();
    let other = hide(&bridge.positions.name).await;
    let context = bridge.context();
    let health = context.health.clone();
    let first = tokio::spawn(create(&bridge.options, context));
    until_it_waits(&health).await;
    first.abort();
    let context = bridge.context();
    let health = context.health.clone();
    let second = tokio::spawn(create(&bridge.options, context));
    until_it_waits(&health).await;
    tokio::task::spawn_blocking(move || other.abort_transaction(DEADLINE).unwrap()).await.unwrap();
    let mut sink = tokio::time::timeout(DEADLINE, second).await.expect("opening ends").unwrap().unwrap();
    begin(&mut *sink).await;
    write(&mut *sink, texts(0, 1)).await;
    commit(&mut *sink, &[at("orders/0", 1)]).await;
    sink.close().await.unwrap();
}

/// Somebody else's transaction on the topic of positions hides what lies behind it: the opening waits and says so.
#[tokio::test(flavor = "multi_thread")]
async fn opening_waits_for_transactions_that_hide_positions() {
    let bridge = Bridge::new("hidden", &[]).await;
    bridge.open().await.close().await.unwrap();
    let other = hide(&bridge.positions.name).await;
    let context = bridge.context();
    let health = context.health.clone();
    let opening = tokio::spawn(create(&bridge.options, context));
    until_it_waits(&health).await;
    assert!(!opening.is_finished());
    tokio::task::spawn_blocking(move || other.abort_transaction(DEADLINE).unwrap()).await.unwrap();
    let sink = tokio::time::timeout(DEADLINE, opening).await.expect("opening ends").unwrap().unwrap();
    assert_eq!(health.get(), Condition::Up);
    sink.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_of_its_own_keeps_positions_apart() {
    let bridge = Bridge::new("named", &[]).await;
    let name = unique("id");
    let mut named = bridge.options.clone();
    named["transactional_id"] = json!(name);
    let mut sink = open(&named, bridge.context()).await;
    begin(&mut *sink).await;
    commit(&mut *sink, &[at("orders/0", 3)]).await;
    sink.close().await.unwrap();
    let mut under_the_bridges_name = bridge.open().await;
    assert!(stored(&mut *under_the_bridges_name).is_empty());
    under_the_bridges_name.close().await.unwrap();
    let elsewhere = Context { bridge: unique("renamed").into(), ..bridge.context() };
    let mut again = open(&named, elsewhere).await;
    assert_eq!(position(&stored(&mut *again), "orders/0"), Some(3));
    again.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_written_without_transactions() {
    let bridge = Bridge::new("letters", &[]).await;
    let mut sink = open(&bridge.options, Context { dead_letter: true, ..bridge.context() }).await;
    assert!(sink.transactions().is_none());
    assert_eq!(write(&mut *sink, texts(0, 1)).await.delivered, 1);
    sink.close().await.unwrap();
}

/// Whatever is in the topic, a position that cannot be read is never taken for none.
#[tokio::test(flavor = "multi_thread")]
async fn a_position_that_is_none_is_an_error() {
    let bridge = Bridge::new("broken", &[]).await;
    bridge.open().await.close().await.unwrap();
    let key = format!(r#"{{"bridge":"{}","lane":"orders/0"}}"#, bridge.context.bridge);
    let plain = Arc::new(options(&bridge.positions.name, json!({})));
    crate::support::write(&plain, vec![record(key.clone(), "nonsense")]).await;
    let Err(error) = create(&bridge.options, bridge.context()).await else { panic!("it opened") };
    assert!(error.chain().contains("is no position") && error.kind() == ErrorKind::Refused, "{}", error.chain());
    let tombstone = Record { value: None, ..record(key, "") };
    crate::support::write(&plain, vec![tombstone]).await;
    let mut sink = bridge.open().await;
    assert!(stored(&mut *sink).is_empty());
    sink.close().await.unwrap();
}
