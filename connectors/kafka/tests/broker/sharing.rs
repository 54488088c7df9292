//! Sinks that share a producer: none of them notices what another gets into.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use gantry_sdk::{
    Context, FailureKind, Record, Shared, Sink, health::Condition, plugin::RetryPolicy, testkit::Courier,
};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use serde_json::{Value as Json, json};

use crate::{
    opening::{count_threads, until},
    outage::{Mock, mock, options_at},
    support::{DEADLINE, Received, Topic, context, failed, last_writes, merge, open, options, put, record},
};

/// Its sinks share with each other and with no other test's.
fn alone() -> Context {
    Context { shared: Shared::default(), ..context() }
}

/// The same for another sink: its health is its own.
fn beside(context: &Context) -> Context {
    Context { shared: context.shared.clone(), retry: context.retry, ..crate::support::context() }
}

/// All sinks of a test have these: what differs for the producer, is not shared.
fn same(topic: &str) -> Json {
    let properties = json!({ "topic.metadata.propagation.max.ms": 0 });
    options(topic, json!({ "connection": { "share": true }, "properties": properties }))
}

/// The same at a mock cluster.
fn shared_at(cluster: &Mock, more: Json) -> Json {
    merge(options_at(&cluster.bootstrap_servers(), json!({ "connection": { "share": true } })), more)
}

/// A sink that writes numbers all the time.
struct Flow {
    topic: Topic,
    context: Context,
    written: Arc<AtomicUsize>,
    over: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<()>,
}

impl Flow {
    async fn begin(context: &Context) -> Self {
        let (topic, context) = (Topic::new("neighbour", 1, &[]).await, beside(context));
        let mut sink = open(&same(&topic.name), context.clone()).await;
        let (written, over) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
        let (count, stop) = (Arc::clone(&written), Arc::clone(&over));
        let task = tokio::spawn(async move {
            let (mut courier, mut next) = (Courier::new(), 0);
            while !stop.load(Ordering::SeqCst) {
                for _ in 0..10 {
                    sink.put(courier.batch((next..next + 50).map(|n| record("k", n.to_string())).collect()))
                        .await
                        .unwrap();
                    next += 50;
                }
                tokio::time::timeout(DEADLINE, sink.flush()).await.expect("flush ends").unwrap();
                count.store(next, Ordering::SeqCst);
            }
            let summary = courier.outcomes(DEADLINE).await;
            assert_eq!(
                (summary.delivered, summary.failed.len(), summary.abandoned),
                (next, 0, 0),
                "{:?}",
                summary.failed.first()
            );
            sink.close().await.unwrap();
        });
        let flow = Self { topic, context, written, over, task };
        flow.goes_on().await;
        flow
    }

    /// Waits until it has written more.
    async fn goes_on(&self) {
        let (before, begun) = (self.written.load(Ordering::SeqCst), Instant::now());
        while self.written.load(Ordering::SeqCst) <= before + 500 {
            assert!(begun.elapsed() < DEADLINE, "it stands still at {before}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Everything has arrived, in order, and it never failed.
    async fn end(self) {
        self.goes_on().await;
        self.over.store(true, Ordering::SeqCst);
        tokio::time::timeout(DEADLINE, self.task).await.expect("it ends").unwrap();
        assert!(!matches!(self.context.health.get(), Condition::Failed(..)), "{:?}", self.context.health.get());
        let written = self.written.load(Ordering::SeqCst);
        let found = last_writes(self.topic.read_all().iter().map(Received::text).collect());
        assert_eq!(found.len(), written);
        assert!(found.iter().enumerate().all(|(n, text)| *text == n.to_string()), "in order");
    }
}

async fn two_flows(context: &Context) -> [Flow; 2] {
    [Flow::begin(context).await, Flow::begin(context).await]
}

async fn end([first, second]: [Flow; 2]) {
    first.end().await;
    second.end().await;
}

fn numbers(count: usize) -> Vec<Record> {
    (0..count).map(|n| record("k", n.to_string())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_only_the_broker_refuses_disturbs_no_other_sink() {
    let context = alone();
    let flows = two_flows(&context).await;
    let topic = Topic::new("poison", 1, &[("max.message.bytes", "20000")]).await;
    let mut sink = open(&same(&format!("{{header.none|{}}}", topic.name)), beside(&context)).await;
    for round in 0..3 {
        let mut records = numbers(100);
        records[50] = record("k", "x".repeat(30_000));
        let summary = put(&mut *sink, records).await;
        assert_eq!((summary.delivered, summary.failed.len()), (99, 1), "round {round}: {:?}", summary.failed.first());
        assert_eq!(summary.failed[0].kind, FailureKind::Rejected);
    }
    sink.close().await.unwrap();
    end(flows).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_deleted_fails_only_the_sink_that_writes_to_it() {
    let context = alone();
    let flows = two_flows(&context).await;
    let (topic, own) = (Topic::new("deleted", 1, &[]).await, beside(&context));
    let mut sink = open(&same(&topic.name), own.clone()).await;
    tokio::task::spawn_blocking(move || drop(topic)).await.unwrap();
    let summary = put(&mut *sink, numbers(100)).await;
    assert_eq!((summary.delivered, summary.failed.len()), (0, 100));
    assert!(failed(&own.health).await.1.contains("gone"));
    sink.close().await.unwrap();
    end(flows).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_is_dropped_or_closed_in_full_flow_disturbs_no_other() {
    let context = alone();
    let flows = two_flows(&context).await;
    for close in [false, true, false, true] {
        let topic = Topic::new("left", 1, &[]).await;
        let mut sink = open(&same(&topic.name), beside(&context)).await;
        let mut courier = Courier::new();
        for _ in 0..10 {
            sink.put(courier.batch(numbers(500))).await.unwrap();
        }
        if close {
            tokio::time::timeout(DEADLINE, sink.close()).await.expect("close ends").unwrap();
        } else {
            drop(sink);
        }
        let summary = courier.outcomes(DEADLINE).await;
        assert_eq!((summary.delivered + summary.abandoned, summary.failed.len()), (5_000, 0));
        // What it delivered lies there from the first on: nothing of it comes later.
        let found = topic.read_all().len();
        assert!(found >= summary.delivered, "{found} of {}", summary.delivered);
    }
    end(flows).await;
}

/// While Kafka is away each sink gives its records up when their own time is over, and takes no other's along.
#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_gives_up_takes_no_other_along() {
    let cluster = mock();
    cluster.create_topic("payments", 1, 1).unwrap();
    let timeout = Some(Duration::from_secs(12));
    let context = Context { retry: RetryPolicy { timeout, ..context().retry }, ..alone() };
    let with = shared_at(&cluster, json!({}));
    let (first, second) = (beside(&context), beside(&context));
    let mut hasty = open(&merge(with.clone(), json!({ "topic": "payments" })), first.clone()).await;
    let mut patient = open(&with, second.clone()).await;
    let (mut of_hasty, mut of_patient) = (Courier::new(), Courier::new());
    patient.put(of_patient.batch(numbers(50))).await.unwrap();
    patient.flush().await.unwrap();
    cluster.broker_down(-1).unwrap();
    hasty.put(of_hasty.batch(numbers(100))).await.unwrap();
    // The others are younger: their own time is not over when that of the first is.
    tokio::time::sleep(Duration::from_secs(6)).await;
    patient.put(of_patient.batch((50..100).map(|n| record("k", n.to_string())).collect())).await.unwrap();
    assert!(failed(&first.health).await.1.contains("did not confirm"));
    cluster.broker_up(-1).unwrap();
    tokio::time::timeout(DEADLINE, patient.flush()).await.expect("flush ends").unwrap();
    let summary = of_patient.outcomes(DEADLINE).await;
    assert_eq!((summary.delivered, summary.failed.len()), (100, 0), "{:?}", summary.failed.first());
    let mut conditions = second.health.subscribe();
    let up = conditions.wait_for(|condition| *condition == Condition::Up);
    tokio::time::timeout(DEADLINE, up).await.expect("it is up again").unwrap();
    assert_eq!(of_hasty.outcomes(DEADLINE).await.failed.len(), 100);
    hasty.close().await.unwrap();
    patient.close().await.unwrap();
    let found = crate::outage::all_numbers_at(&cluster.bootstrap_servers());
    assert_eq!(last_writes(found), (0..100).collect::<Vec<_>>());
}

/// What is held for a neighbour's sake is sent again behind what was delivered before, and before what comes then.
#[tokio::test(flavor = "multi_thread")]
async fn i5_what_a_neighbour_holds_up_keeps_its_order() {
    let cluster = mock();
    cluster.create_topic("payments", 1, 1).unwrap();
    let context = alone();
    let with = shared_at(&cluster, json!({ "batch_records": 20, "linger": "20ms" }));
    let mut refused = open(&merge(with.clone(), json!({ "topic": "payments" })), beside(&context)).await;
    let mut other = open(&with, beside(&context)).await;
    // Long enough that many requests are on their way when the first is refused.
    cluster.broker_round_trip_time(-1, Duration::from_millis(100)).unwrap();
    cluster.request_errors(RDKafkaApiKey::Produce, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_RECORD]);
    let (mut of_refused, mut of_other) = (Courier::new(), Courier::new());
    for n in 0..20 {
        refused.put(of_refused.batch(numbers(20))).await.unwrap();
        let records = (n * 20..(n + 1) * 20).map(|n| record("k", n.to_string())).collect();
        other.put(of_other.batch(records)).await.unwrap();
    }
    for sink in [&mut refused, &mut other] {
        tokio::time::timeout(DEADLINE, sink.flush()).await.expect("flush ends").unwrap();
    }
    let (refused_summary, other_summary) = (of_refused.outcomes(DEADLINE).await, of_other.outcomes(DEADLINE).await);
    assert_eq!((refused_summary.delivered, refused_summary.failed.len()), (400, 0));
    assert_eq!((other_summary.delivered, other_summary.failed.len()), (400, 0));
    refused.close().await.unwrap();
    other.close().await.unwrap();
    let found = crate::outage::all_numbers_at(&cluster.bootstrap_servers());
    assert_eq!(last_writes(found), (0..400).collect::<Vec<_>>());
}

/// Else a sink that is refused again and again would break up a producer of others each time.
#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_was_refused_begins_with_a_producer_of_its_own() {
    let cluster = mock();
    let with = shared_at(&cluster, json!({}));
    let context = Context { bridge: "refused".into(), ..alone() };
    let own_producers = || count_threads("kafka refused");
    for (round, expected) in [0, 1, 0].into_iter().enumerate() {
        let mut sink = open(&with, context.clone()).await;
        assert_eq!(own_producers(), expected, "round {round}");
        if round == 0 {
            cluster.request_errors(RDKafkaApiKey::Produce, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_RECORD]);
        }
        assert_eq!(put(&mut *sink, numbers(10)).await.delivered, 10);
        assert_eq!(own_producers(), if round == 0 { 1 } else { expected }, "round {round}");
        sink.close().await.unwrap();
        until("its thread ends", || own_producers() == 0).await;
    }
}

/// A record's opaque tells 256 sinks apart: there are two producers, and all is delivered to whom it belongs.
#[tokio::test(flavor = "multi_thread")]
async fn three_hundred_sinks_write_by_two_producers() {
    const SINKS: usize = 300;
    let cluster = mock();
    let context = alone();
    // Of a template: the mock cluster does not answer what a topic's settings are.
    let with = shared_at(&cluster, json!({ "topic": "{header.none|orders}" }));
    let opening: Vec<_> = (0..SINKS)
        .map(|_| {
            let (with, context) = (with.clone(), beside(&context));
            tokio::spawn(async move { open(&with, context).await })
        })
        .collect();
    let mut sinks: Vec<Box<dyn Sink>> = Vec::new();
    for opened in opening {
        sinks.push(opened.await.unwrap());
    }
    let mut couriers: Vec<Courier> = (0..SINKS).map(|_| Courier::new()).collect();
    for (n, (sink, courier)) in sinks.iter_mut().zip(&mut couriers).enumerate() {
        sink.put(courier.batch(vec![record("k", n.to_string())])).await.unwrap();
    }
    for (sink, courier) in sinks.iter_mut().zip(&mut couriers) {
        tokio::time::timeout(DEADLINE, sink.flush()).await.expect("flush ends").unwrap();
        assert_eq!(courier.outcomes(DEADLINE).await.delivered, 1);
    }
    let connections = connections_to(&cluster.bootstrap_servers());
    assert!(connections <= 6, "{connections} connections of two producers");
    for sink in sinks {
        tokio::time::timeout(DEADLINE, sink.close()).await.expect("close ends").unwrap();
    }
    let found: BTreeSet<u32> = crate::outage::all_numbers_at(&cluster.bootstrap_servers()).into_iter().collect();
    assert_eq!(found.len(), SINKS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_does_not_share_has_a_producer_of_its_own() {
    let cluster = mock();
    let context = alone();
    let own = json!({ "topic": "{header.none|orders}", "connection": { "share": false } });
    let with = options_at(&cluster.bootstrap_servers(), own);
    let mut sinks: Vec<Box<dyn Sink>> = Vec::new();
    for _ in 0..5 {
        let mut sink = open(&with, beside(&context)).await;
        assert_eq!(put(&mut *sink, numbers(1)).await.delivered, 1);
        sinks.push(sink);
    }
    assert!(connections_to(&cluster.bootstrap_servers()) >= 5);
    for sink in sinks {
        sink.close().await.unwrap();
    }
}

/// Connections of this machine to there that are up.
fn connections_to(address: &str) -> usize {
    let port: u16 = address.split(',').next().unwrap().rsplit(':').next().unwrap().parse().unwrap();
    let remote = format!(":{port:04X}");
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let up = |line: &&str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        fields[2].ends_with(&remote) && fields[3] == "01"
    };
    table.lines().skip(1).filter(up).count()
}
