use std::{
    collections::HashSet,
    ops::RangeInclusive,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use gantry_sdk::{
    Origin, SourceCapabilities,
    testkit::{
        self,
        conformance::{SourceAbilities, SourceWorld},
    },
};
use serde_json::json;

use super::*;

const ALL: Limits = Limits { records: 500, bytes: 4 << 20 };

/// Each test is a bridge of its own, since commits outlive the source.
fn context(bridge: &str) -> Context {
    Context { bridge: bridge.into(), ..testkit::context() }
}

async fn source(bridge: &str, options: serde_json::Value) -> Box<dyn Source> {
    open(context(bridge), options).await.expect("opening cannot fail")
}

async fn open(context: Context, options: serde_json::Value) -> Result<Box<dyn Source>> {
    (crate::SOURCE.create)(&options, context).expect("options").await
}

async fn batch(source: &mut dyn Source, limits: Limits) -> Option<(Vec<gantry_sdk::Record>, u64)> {
    match source.poll(limits).await.expect("generating cannot fail") {
        Polled::Batch { records, last, .. } => Some((records, last.as_u64().expect("a number"))),
        Polled::End | Polled::Suspended | Polled::LaneEnded(_) => None,
    }
}

fn text(bytes: Option<&bytes::Bytes>) -> &str {
    str::from_utf8(bytes.expect("some")).expect("utf-8")
}

#[tokio::test]
async fn gives_the_wanted_number_of_records_in_order_and_ends() {
    let mut source = source("counted", json!({ "count": 1234, "size": "300B" })).await;
    let mut expected = 1;
    while let Some((records, last)) = batch(&mut *source, ALL).await {
        for record in &records {
            let body = record.value.as_ref().unwrap();
            assert_eq!((payload::verify(body), body.len()), (Ok(expected), 300));
            assert_eq!(record.properties().content_type.as_deref(), Some("application/json"));
            expected += 1;
        }
        assert_eq!(last, expected - 1);
    }
    assert_eq!(expected - 1, 1234);
}

#[tokio::test]
async fn stays_within_limits() {
    let mut source = source("limits", json!({ "size": "1KiB" })).await;
    for (limits, records) in [
        (Limits { records: 7, bytes: 1 << 20 }, 7),
        (Limits { records: 500, bytes: 10 << 10 }, 10),
        (Limits { records: 500, bytes: (10 << 10) + 1 }, 11),
        (Limits { records: 500, bytes: 1 }, 1),
    ] {
        assert_eq!(batch(&mut *source, limits).await.unwrap().0.len(), records, "{limits:?}");
    }
}

#[tokio::test]
async fn every_part_follows_its_pattern() {
    let options = json!({
        "body": r#"{"order":{n},"client":"Вася"}"#, "key": "customer-{n%2}", "message_id": "m-{n}",
        "headers": { "tenant": "t{n%3}", "version": "1" },
    });
    let (records, _) = batch(&mut *source("parts", options).await, Limits { records: 3, ..ALL }).await.unwrap();
    let seen: Vec<_> = records
        .iter()
        .map(|record| {
            let headers = [record.headers.get("tenant"), record.headers.get("version")];
            let [tenant, version] = headers.map(|value| String::from(value.unwrap().clone()));
            let id = record.properties().message_id.as_deref().unwrap();
            (text(record.value.as_ref()), text(record.key.as_ref()), id, tenant, version)
        })
        .collect();
    let expected = [
        (r#"{"order":1,"client":"Вася"}"#, "customer-1", "m-1", "t1".to_owned(), "1".to_owned()),
        (r#"{"order":2,"client":"Вася"}"#, "customer-0", "m-2", "t2".to_owned(), "1".to_owned()),
        (r#"{"order":3,"client":"Вася"}"#, "customer-1", "m-3", "t0".to_owned(), "1".to_owned()),
    ];
    assert_eq!(seen, expected);
    assert!(
        records
            .iter()
            .all(|record| record.timestamp.is_some() && record.origin == Origin::new("generate", "generate".into()))
    );
    assert!(records.iter().all(|record| record.properties().content_type.is_none()));
}

#[tokio::test]
async fn a_new_instance_goes_on_after_what_was_committed() {
    let options = json!({ "count": 10 });
    let limits = Limits { records: 4, ..ALL };
    let mut first = source("resumed", options.clone()).await;
    let (_, four) = batch(&mut *first, limits).await.unwrap();
    batch(&mut *first, limits).await.unwrap();
    first.commit(LANE, &four.into());
    first.sync().await.unwrap();
    first.close().await.unwrap();

    let mut second = source("resumed", options.clone()).await;
    let mut again = HashSet::new();
    while let Some((records, last)) = batch(&mut *second, ALL).await {
        again.extend(records.iter().map(|record| payload::verify(record.value.as_ref().unwrap()).unwrap()));
        second.commit(LANE, &last.into());
    }
    assert_eq!(again, HashSet::from_iter(5..=10));
    assert!(batch(&mut *source("resumed", options).await, ALL).await.is_none());
}

/// As a process begins: with what the sink has stored and nothing else.
fn exactly_once(task: u32, stored: &[(&str, Position)]) -> Context {
    let stored = stored.iter().map(|(lane_key, position)| (Arc::from(*lane_key), position.clone())).collect();
    Context { task, tasks: 2, exactly_once: true, stored: Arc::new(stored), ..context("exactly-once") }
}

#[tokio::test]
async fn for_exactly_once_it_goes_on_behind_what_the_sink_has_stored() {
    let options = json!({ "count": 10 });
    let mut first = open(exactly_once(1, &[]), options.clone()).await.unwrap();
    assert_eq!(&*first.lane_key(LANE), "generate/1");
    assert_eq!(batch(&mut *first, ALL).await.unwrap().1, 10);
    // The sink's word counts, not what was noted here: its transaction may be gone.
    first.commit(LANE, &10.into());
    first.sync().await.unwrap();
    first.close().await.unwrap();

    let stored = [("generate/0", 2.into()), ("generate/1", 7.into())];
    let mut second = open(exactly_once(1, &stored), options.clone()).await.unwrap();
    let (records, last) = batch(&mut *second, ALL).await.unwrap();
    let numbers: Vec<_> = records.iter().map(|record| payload::verify(record.value.as_ref().unwrap())).collect();
    assert_eq!((numbers, last), (vec![Ok(8), Ok(9), Ok(10)], 10));

    let mut done = open(exactly_once(1, &[("generate/1", 10.into())]), options).await.unwrap();
    assert!(batch(&mut *done, ALL).await.is_none());
}

#[tokio::test]
async fn a_stored_position_of_another_source_is_an_error() {
    let foreign = [("generate/0", Position::new(b"offset"))];
    let error = open(exactly_once(0, &foreign), json!({})).await.err().expect("it is not a number");
    assert_eq!(error.kind(), gantry_sdk::ErrorKind::Config);
    assert!(error.chain().contains("generate/0"), "{}", error.chain());
}

#[tokio::test(start_paused = true)]
async fn a_dropped_poll_has_taken_nothing() {
    let mut source = source("cancelled", json!({ "rate": 1 })).await;
    assert_eq!(batch(&mut *source, ALL).await.unwrap().1, 1);
    for _ in 0..10 {
        let poll = tokio::time::timeout(Duration::from_millis(90), source.poll(ALL)).await;
        assert!(poll.is_err(), "the second record is due after a second");
    }
    let (records, last) = batch(&mut *source, ALL).await.unwrap();
    assert_eq!((records.len(), last), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn a_rate_is_kept_whatever_the_limits() {
    for (task, limits) in [(0, ALL), (1, Limits { records: 1, ..ALL })] {
        let context = Context { task, ..context("paced") };
        let mut source = open(context, json!({ "rate": 200 })).await.expect("opening cannot fail");
        let end = tokio::time::Instant::now() + Duration::from_secs(5);
        let mut last = 0;
        while let Ok(polled) = tokio::time::timeout_at(end, batch(&mut *source, limits)).await {
            last = polled.unwrap().1;
        }
        assert!((999..=1001).contains(&last), "{last} records in 5 s at 200 a second");
    }
}

#[tokio::test]
async fn a_greedy_source_lets_others_run() {
    let mut source = source("greedy", json!({})).await;
    let other = Arc::new(tokio::sync::Notify::new());
    let done = other.clone();
    tokio::spawn(async move { done.notify_one() });
    let polls = async {
        loop {
            source.poll(Limits { records: 1, ..ALL }).await.expect("generating cannot fail");
        }
    };
    tokio::select! {
        () = other.notified() => {}
        () = polls => {}
    }
}

#[test]
fn bad_options_are_all_found() {
    let cases = [
        (json!({ "rate": 0 }), vec!["rate"]),
        (json!({ "rate": -1, "count": 0 }), vec!["rate", "count"]),
        (json!({ "size": "10B" }), vec!["size"]),
        (json!({ "size": "100B", "body": "x" }), vec!["size"]),
        (json!({ "key": "{n%0}" }), vec!["key"]),
        (json!({ "rate": 0.5, "count": 1, "size": "64B" }), vec![]),
    ];
    for (options, paths) in cases {
        let problems = (crate::SOURCE.check)(&options);
        let found: Vec<_> = problems.iter().map(|problem| problem.path.to_string()).collect();
        assert_eq!(found, paths, "{options}");
        let made = (crate::SOURCE.create)(&options, context("bad"));
        assert_eq!(made.is_ok(), paths.is_empty(), "{options}");
    }
}

/// A queue that grows from one opening to the next.
struct Queue {
    bridge: String,
    count: u64,
}

#[async_trait]
impl SourceWorld for Queue {
    fn capabilities(&self) -> SourceCapabilities {
        crate::SOURCE.capabilities
    }

    fn abilities(&self) -> SourceAbilities {
        SourceAbilities::default().without_life().without_cuts().without_silence()
    }

    async fn put(&mut self, numbers: RangeInclusive<u64>) {
        self.count = *numbers.end();
    }

    fn open(&mut self, context: Context) -> Opening<dyn Source> {
        let options = json!({ "count": self.count, "body": "{n}" });
        (crate::SOURCE.create)(&options, Context { bridge: self.bridge.as_str().into(), ..context }).expect("options")
    }
}

mod conformance {
    use super::*;

    fn queue() -> Queue {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        Queue { bridge: format!("conformance-{}", NEXT.fetch_add(1, Ordering::Relaxed)), count: 0 }
    }

    gantry_sdk::source_conformance!(queue());
}
