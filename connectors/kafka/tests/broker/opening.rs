//! An opening that fails, or that nobody waits for any more, leaves nothing open behind.

use std::{
    fs,
    time::{Duration, Instant},
};

use gantry_sdk::{Context, Opening};
use rdkafka::{
    ClientConfig,
    consumer::{BaseConsumer, Consumer as _},
};
use serde_json::{Value as Json, json};

use crate::support::{
    DEADLINE, Topic, bootstrap, context, create, merge, options,
    source::{create_source, next, open_source, producer, source_options, write_numbers},
    unique,
};

/// A context whose threads have a name of their own, and the name.
fn named(what: &str) -> (Context, String) {
    (Context { bridge: what.into(), ..context() }, format!("kafka {what}"))
}

pub(crate) fn count_threads(name: &str) -> usize {
    let threads = fs::read_dir("/proc/self/task").unwrap().filter_map(|entry| entry.ok());
    // One that ends meanwhile has no name any more.
    threads.filter(|thread| fs::read_to_string(thread.path().join("comm")).is_ok_and(|own| own.trim() == name)).count()
}

pub(crate) async fn until(what: &str, done: impl Fn() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < DEADLINE, "{what}: not after {DEADLINE:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Opens until the thread is there, and waits no longer.
async fn drop_half_way<T: ?Sized>(opening: Opening<T>, thread: &str) {
    tokio::select! {
        biased;
        _ = opening => panic!("nobody is there, and it would have waited for long"),
        () = until("it begins", || count_threads(thread) > 0) => {}
    }
    until("its thread ends", || count_threads(thread) == 0).await;
}

/// Nobody answers there, and a connection that is refused is tried again.
fn nobody() -> Json {
    json!({ "connection": { "bootstrap_servers": "127.0.0.1:1", "connect_timeout": "10m" } })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_nobody_waits_for_ends() {
    let (context, thread) = named("left");
    drop_half_way(create_source(&source_options("orders", nobody()), context), &thread).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_nobody_waits_for_ends() {
    let (context, thread) = named("leave");
    drop_half_way(create(&options("orders", nobody()), context), &thread).await;
}

/// The last one that waits takes the producer along, and no other does.
#[tokio::test(flavor = "multi_thread")]
async fn a_shared_producer_that_nobody_waits_for_ends() {
    // Long enough that Linux shows no more of it.
    let (with, thread) =
        (merge(nobody(), json!({ "connection": { "client_id": "nobody-waits", "share": true } })), "kafka nobody-wa");
    let first = tokio::spawn(create(&options("orders", with.clone()), context()));
    let second = tokio::spawn(create(&options("payments", with), context()));
    until("it begins", || count_threads(thread) > 0).await;
    first.abort();
    assert!(first.await.is_err_and(|error| error.is_cancelled()));
    assert!(!second.is_finished());
    second.abort();
    until("its thread ends", || count_threads(thread) == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_opening_that_failed_has_ended() {
    let (context, thread) = named("failed");
    let name = unique("missing");
    assert!(create_source(&source_options(&name, json!({})), context.clone()).await.is_err());
    until("the source's thread ends", || count_threads(&thread) == 0).await;
    assert!(create(&options(&name, json!({})), context).await.is_err());
    until("the sink's thread ends", || count_threads(&thread) == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_dropped_at_any_time_leaves_the_group() {
    let topic = Topic::new("left", 1, &[]).await;
    write_numbers(&producer(&[]), &topic, 0..1);
    let group = unique("group");
    // A member that has not left is not forgotten before the test ends.
    let properties = json!({ "session.timeout.ms": 600_000, "max.poll.interval.ms": 600_000 });
    let with = source_options(&topic.name, json!({ "group": group, "properties": properties }));
    let (own, thread) = named("any time");
    for millis in [0, 20, 100, 300, 1_000] {
        // Wherever that finds it: still connecting, or a member already.
        let _ = tokio::time::timeout(Duration::from_millis(millis), create_source(&with, own.clone())).await;
        until("its thread ends", || count_threads(&thread) == 0).await;
    }
    let asked = group.clone();
    let left = until("all have left the group", move || members_of(&asked) == 0);
    left.await;
    let mut last = open_source(&with, context()).await;
    assert_eq!(next(&mut *last).await.1.len(), 1, "it is alone");
    last.close().await.unwrap();
}

fn members_of(group: &str) -> usize {
    let consumer: BaseConsumer = ClientConfig::new().set("bootstrap.servers", bootstrap()).create().unwrap();
    let list = consumer.fetch_group_list(Some(group), DEADLINE).unwrap();
    list.groups().iter().map(|group| group.members().len()).sum()
}
