//! The sink on a real file: what counts as delivered is on the disk, and what cannot be written waits.

mod conformance;

use std::{fs, os::unix::fs::symlink, path::Path, sync::Arc, time::Duration};

use gantry_sdk::{
    Context, FailureKind, Record, Sink,
    health::Condition,
    plugin::RetryPolicy,
    testkit::{self, Courier},
};
use serde_json::{Value as Json, json};

/// Longer than anything takes here, so that a hang is a failure.
const DEADLINE: Duration = Duration::from_secs(180);

fn context(timeout: Option<Duration>) -> Context {
    let retry = RetryPolicy {
        timeout,
        delay: Duration::from_millis(10),
        max_delay: Duration::from_millis(50),
        ..RetryPolicy::default()
    };
    Context { bridge: "b".into(), retry, ..testkit::context() }
}

async fn open(path: &Path, context: &Context) -> Box<dyn Sink> {
    let options = json!({ "path": path, "follow_symlinks": path.is_symlink() });
    let opening = (gantry_file::SINK.create)(&options, context.clone()).expect("options");
    opening.await.unwrap_or_else(|error| panic!("{}", error.chain()))
}

fn numbered(numbers: std::ops::Range<u32>) -> Vec<Record> {
    numbers.map(|number| Record { value: Some(number.to_string().into()), ..Record::default() }).collect()
}

/// The bodies in the file, in order.
fn bodies(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).expect("the file");
    let body = |line: &str| serde_json::from_str::<Json>(line).expect("JSON")["value"].as_str().map(str::to_owned);
    text.lines().map(|line| body(line).expect("a body")).collect()
}

fn expected(numbers: std::ops::Range<u32>) -> Vec<String> {
    numbers.map(|number| number.to_string()).collect()
}

/// A link in place of another, at once.
fn repoint(link: &Path, to: &Path) {
    let next = link.with_extension("next");
    symlink(to, &next).expect("a link");
    fs::rename(&next, link).expect("renaming it");
}

#[tokio::test(flavor = "multi_thread")]
async fn records_stand_in_order_and_rotation_loses_none() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("out.jsonl");
    let context = context(None);
    let (mut sink, mut courier) = (open(&path, &context).await, Courier::new());
    for batch in 0..20 {
        sink.put(courier.batch(numbered(batch * 10..batch * 10 + 10))).await.expect("it takes it");
    }
    sink.flush().await.expect("it flushes");
    assert_eq!(courier.outcomes(DEADLINE).await.delivered, 200);
    fs::rename(&path, directory.path().join("out.1.jsonl")).expect("rotating");
    sink.put(courier.batch(numbered(200..210))).await.expect("it takes it");
    assert_eq!(courier.outcomes(DEADLINE).await.delivered, 10);
    sink.close().await.expect("it closes");
    assert_eq!(bodies(&directory.path().join("out.1.jsonl")), expected(0..200));
    assert_eq!(bodies(&path), expected(200..210));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_holds_everything_until_there_is_room() {
    let directory = tempfile::tempdir().expect("a directory");
    let (link, real) = (directory.path().join("out.jsonl"), directory.path().join("real.jsonl"));
    symlink("/dev/full", &link).expect("a link");
    let context = context(None);
    let (mut sink, mut courier) = (open(&link, &context).await, Courier::new());
    sink.put(courier.batch(numbered(0..5))).await.expect("it takes it");
    let down = |condition: &Condition| matches!(condition, Condition::Down(why) if why.contains("make room"));
    let mut health = context.health.subscribe();
    tokio::time::timeout(DEADLINE, health.wait_for(down)).await.expect("in time").expect("it is there");
    sink.put(courier.batch(numbered(5..9))).await.expect("it takes it");
    repoint(&link, &real);
    tokio::time::timeout(DEADLINE, sink.flush()).await.expect("in time").expect("it flushes");
    assert_eq!(courier.outcomes(DEADLINE).await.delivered, 9);
    assert_eq!(context.health.get(), Condition::Up);
    assert_eq!(bodies(&real), expected(0..9));
    sink.close().await.expect("it closes");
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_time_is_over_all_of_it_fails_as_retriable() {
    let directory = tempfile::tempdir().expect("a directory");
    let link = directory.path().join("out.jsonl");
    symlink("/dev/full", &link).expect("a link");
    let context = context(Some(Duration::from_millis(100)));
    let (mut sink, mut courier) = (open(&link, &context).await, Courier::new());
    sink.put(courier.batch(numbered(0..3))).await.expect("it takes it");
    sink.put(courier.batch(numbered(3..5))).await.expect("it takes it");
    tokio::time::timeout(DEADLINE, sink.flush()).await.expect("in time").expect("it flushes");
    let summary = courier.outcomes(DEADLINE).await;
    assert_eq!((summary.delivered, summary.failed.len()), (0, 5));
    assert!(summary.failed.iter().all(|failure| failure.kind == FailureKind::Retriable), "{summary:?}");
    assert!(summary.failed[0].reason.contains(&link.display().to_string()), "{summary:?}");
    assert!(matches!(context.health.get(), Condition::Failed(..)));
    assert!(sink.put(courier.batch(numbered(5..6))).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_lets_go_of_what_waits() {
    let directory = tempfile::tempdir().expect("a directory");
    let link = directory.path().join("out.jsonl");
    symlink("/dev/full", &link).expect("a link");
    let context = context(None);
    let (mut sink, mut courier) = (open(&link, &context).await, Courier::new());
    sink.put(courier.batch(numbered(0..3))).await.expect("it takes it");
    tokio::time::timeout(DEADLINE, sink.close()).await.expect("in time").expect("it closes");
    let summary = courier.outcomes(DEADLINE).await;
    assert_eq!((summary.delivered, summary.abandoned), (0, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn several_writers_share_a_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = Arc::new(directory.path().join("out.jsonl"));
    let write = |writer: u32| {
        let path = path.clone();
        tokio::spawn(async move {
            let context = context(None);
            let (mut sink, mut courier) = (open(&path, &context).await, Courier::new());
            for batch in 0..20 {
                let first = writer * 1_000 + batch * 5;
                sink.put(courier.batch(numbered(first..first + 5))).await.expect("it takes it");
            }
            assert_eq!(courier.outcomes(DEADLINE).await.delivered, 100);
            sink.close().await.expect("it closes");
        })
    };
    for task in [write(1), write(2), write(3)] {
        task.await.expect("no panic");
    }
    let bodies = bodies(&path);
    for writer in 1..=3 {
        let own = bodies.iter().filter(|body| body.starts_with(&writer.to_string())).cloned().collect::<Vec<_>>();
        assert_eq!(own, expected(writer * 1_000..writer * 1_000 + 100), "each writer's records are whole and in order");
    }
    assert_eq!(bodies.len(), 300);
}

#[test]
fn a_relative_path_is_warned_of_and_no_path_is_refused() {
    let check = |path: &str| (gantry_file::SINK.check)(&json!({ "path": path }));
    assert!(check("/var/lib/x.jsonl").is_empty());
    assert!(check("x.jsonl")[0].message.contains("is relative"));
    assert!(check("/var/lib/")[0].message.contains("name a file"));
}
