//! A record that Kafka does not take is rejected alone, with the reason.

use gantry_sdk::{
    FailureKind, Record, Value,
    health::Condition,
    testkit::{Courier, Summary},
};
use serde_json::json;

use crate::support::{DEADLINE, Received, Topic, context, last_writes, open, options, put, record, write};

fn reasons(summary: &Summary) -> Vec<&str> {
    assert!(summary.failed.iter().all(|failure| failure.kind == FailureKind::Rejected), "{:?}", summary.failed);
    summary.failed.iter().map(|failure| &*failure.reason).collect()
}

fn texts(topic: &Topic, count: usize) -> Vec<String> {
    topic.read(count).iter().map(Received::text).collect()
}

/// What lies there after everything was written. Behind a batch that is refused while the producer is new, the broker takes
/// others, which are then written twice.
fn written(topic: &Topic) -> Vec<String> {
    last_writes(topic.read_all().iter().map(Received::text).collect())
}

/// Records with these bodies, with `bad` at some places.
fn with_poison(count: usize, at: &[usize], bad: impl Fn() -> Record) -> (Vec<Record>, Vec<String>) {
    let good = |n: &usize| !at.contains(n);
    let records = (0..count).map(|n| if good(&n) { record("k", n.to_string()) } else { bad() }).collect();
    (records, (0..count).filter(good).map(|n| n.to_string()).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_oversize_record_is_refused_before_it_is_sent() {
    let topic = Topic::new("oversize", 1, &[]).await;
    let (records, good) = with_poison(20, &[7], || record("k", "x".repeat(2_000_000)));
    let summary = write(&options(&topic.name, json!({})), records).await;
    assert_eq!(summary.delivered, 19);
    let reason = reasons(&summary)[0];
    assert!(
        reason.contains("takes 2000") && reason.contains("1048527") && reason.contains("max.message.bytes"),
        "{reason}"
    );
    assert_eq!(texts(&topic, 19), good);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_persons_own_limit_is_named() {
    let topic = Topic::new("own-limit", 1, &[]).await;
    let with = options(&topic.name, json!({ "properties": { "message.max.bytes": 5000 } }));
    let summary = write(&with, vec![record("k", "x".repeat(6000)), record("k", "fits")]).await;
    assert!(reasons(&summary)[0].contains("raise message.max.bytes under properties"), "{:?}", summary.failed);
    assert_eq!(texts(&topic, 1), ["fits"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_takes_more_gets_more() {
    let topic = Topic::new("roomy", 1, &[("max.message.bytes", "8000000")]).await;
    let summary = write(&options(&topic.name, json!({})), vec![record("k", "x".repeat(5_000_000))]).await;
    assert_eq!(summary.delivered, 1);
    assert_eq!(topic.read(1)[0].value.as_ref().map(Vec::len), Some(5_000_000));
}

/// To the byte: whatever passes here passes there.
#[tokio::test(flavor = "multi_thread")]
async fn the_topics_limit_is_met_without_the_brokers_help() {
    let topic = Topic::new("edge", 1, &[("max.message.bytes", "3000")]).await;
    let mut sink = open(&options(&topic.name, json!({})), context()).await;
    let sizes: Vec<usize> = (2850..3050).collect();
    let records = sizes.iter().map(|size| record("k", "x".repeat(*size))).collect();
    let summary = put(&mut *sink, records).await;
    sink.close().await.unwrap();
    assert!(reasons(&summary).iter().all(|reason| reason.contains("takes")), "refused by us: {:?}", summary.failed);
    let received = topic.read(summary.delivered);
    let largest = received.iter().map(|received| received.value.as_ref().unwrap().len()).max().unwrap();
    assert!((2890..2950).contains(&largest), "{largest}");
    assert_eq!(summary.delivered, largest - 2850 + 1, "all up to the largest, none above it");
}

/// Kafka counts after compression: only the broker knows whether a record fits.
#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_fits_once_it_is_compressed_is_delivered() {
    let topic = Topic::new("compressed", 1, &[]).await;
    let mut noise = 1_u32;
    let noise = std::iter::repeat_with(|| {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(33 + (noise >> 24) as u8 % 90)
    });
    let bodies = ["before".to_owned(), "x".repeat(2_000_000), noise.take(3_000_000).collect(), "after".to_owned()];
    let records = bodies.iter().map(|body| record("k", body.as_str())).collect();
    let summary = write(&options(&topic.name, json!({ "compression": "zstd" })), records).await;
    assert_eq!(summary.delivered, 3, "{:?}", summary.failed);
    assert!(reasons(&summary)[0].contains("max.message.bytes"), "what does not compress is refused alone");
    let expected = [&bodies[0], &bodies[1], &bodies[3]].map(|body| body.len());
    assert_eq!(written(&topic).iter().map(String::len).collect::<Vec<_>>(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_is_raised_is_noticed_by_the_next_record_that_needs_it() {
    let topic = Topic::new("raised", 1, &[]).await;
    let mut sink = open(&options(&topic.name, json!({})), context()).await;
    let large = || vec![record("k", "x".repeat(2_000_000)), record("k", "small")];
    let summary = put(&mut *sink, large()).await;
    assert!(summary.delivered == 1 && reasons(&summary)[0].contains("takes 2000"), "{:?}", summary.failed);
    topic.set(&[("max.message.bytes", "5000000")]).await;
    let begun = std::time::Instant::now();
    while put(&mut *sink, large()).await.delivered < 2 {
        assert!(begun.elapsed() < DEADLINE, "it is noticed");
    }
    sink.close().await.unwrap();
}

/// Batches would be too large from now on, and each be refused: the runtime is to open another sink.
#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_is_lowered_ends_the_sink() {
    let topic = Topic::new("lowered", 1, &[]).await;
    let mut sink = open(&options(&topic.name, json!({})), context()).await;
    topic.set(&[("max.message.bytes", "1500")]).await;
    let summary = put(&mut *sink, vec![record("k", "x".repeat(2_000)), record("k", "fits")]).await;
    assert_eq!(summary.delivered, 1, "{:?}", summary.failed);
    assert!(reasons(&summary)[0].contains("larger than topic"), "{:?}", summary.failed);
    let begun = std::time::Instant::now();
    let failure = loop {
        if let Some(failure) = put(&mut *sink, vec![record("k", "small")]).await.failed.pop() {
            break failure;
        }
        assert!(begun.elapsed() < DEADLINE, "it is noticed");
    };
    assert_eq!(failure.kind, FailureKind::Retriable);
    sink.close().await.unwrap();
    let summary =
        write(&options(&topic.name, json!({})), vec![record("k", "x".repeat(2_000)), record("k", "fits")]).await;
    assert!(summary.delivered == 1 && reasons(&summary)[0].contains("takes 2"), "{:?}", summary.failed);
}

/// The sink learns no limits of templated topics: the broker refuses whole batches, and only the culprits may pay.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_the_broker_refuses_for_its_size_loses_only_the_culprits() {
    let topic = Topic::new("broker-limit", 1, &[("max.message.bytes", "20000")]).await;
    let template = format!("{{header.none|{}}}", topic.name);
    let mut sink = open(&options(&template, json!({ "linger": "20ms" })), context()).await;
    let (records, good) = with_poison(300, &[0, 13, 150, 151, 299], || record("k", "x".repeat(30_000)));
    let mut courier = Courier::new();
    for chunk in records.chunks(60) {
        sink.put(courier.batch(chunk.to_vec())).await.unwrap();
    }
    tokio::time::timeout(DEADLINE, sink.flush()).await.expect("flush ends").unwrap();
    let summary = courier.outcomes(DEADLINE).await;
    sink.close().await.unwrap();
    assert_eq!((summary.delivered, summary.failed.len()), (295, 5));
    assert!(reasons(&summary)[0].contains("larger than topic"), "{:?}", summary.failed[0]);
    assert_eq!(written(&topic), good, "in order");
}

/// The whole of a producer in a wrong time zone, or one with nonsense: the records arrive, and nothing of them is lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_timestamp_that_the_topic_refuses_is_kept_in_a_header() {
    const YEAR_2391: i64 = 13_285_728_000_000;
    let topic = Topic::new("timestamps", 1, &[("message.timestamp.after.max.ms", "60000")]).await;
    let untimely = |n: usize| n % 331 == 5 || n > 1_900;
    let own = |n: usize| Record { timestamp: untimely(n).then_some(YEAR_2391), ..record("k", n.to_string()) };
    // Small requests: several are in flight behind the one that is refused.
    let summary = write(&options(&topic.name, json!({ "batch_records": 25 })), (0..2000).map(own).collect()).await;
    assert_eq!((summary.delivered, summary.failed.len()), (2000, 0), "{:?}", summary.failed.first());
    assert_eq!(written(&topic), (0..2000).map(|n| n.to_string()).collect::<Vec<_>>());
    for received in topic.read_all() {
        let number: usize = received.text().parse().unwrap();
        let kept = received.header_texts().get("gantry.timestamp").cloned();
        assert_eq!(kept, untimely(number).then(|| YEAR_2391.to_string()), "{number}");
        assert!(received.timestamp.unwrap() < YEAR_2391, "the time of sending");
    }
}

/// Two hours ahead is fine where the topic takes it: nothing is changed by guessing.
#[tokio::test(flavor = "multi_thread")]
async fn a_timestamp_that_the_topic_takes_stays() {
    let topic = Topic::new("ahead", 1, &[("message.timestamp.after.max.ms", "9000000000000")]).await;
    let ahead = 4_102_444_800_000;
    let records = vec![Record { timestamp: Some(ahead), ..record("k", "from the year 2100") }];
    assert_eq!(write(&options(&topic.name, json!({})), records).await.delivered, 1);
    let received = &topic.read(1)[0];
    assert_eq!((received.timestamp, received.headers.len()), (Some(ahead), 0));
}

/// As if this machine's clock were wrong: the topic refuses every time that is past.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_the_topic_refuses_is_no_records_fault() {
    let topic = Topic::new("clock", 1, &[("message.timestamp.before.max.ms", "0")]).await;
    let (records, _) = with_poison(200, &[], Record::default);
    let context = context();
    // Not flushed: in the millisecond in which it was stamped a record is not past yet.
    let mut sink = open(&options(&topic.name, json!({ "linger": "500ms" })), context.clone()).await;
    let mut courier = Courier::new();
    sink.put(courier.batch(records)).await.unwrap();
    let summary = courier.outcomes(DEADLINE).await;
    sink.close().await.unwrap();
    assert_eq!((summary.delivered, summary.failed.len(), summary.abandoned), (0, 200, 0));
    assert!(summary.failed.iter().all(|failure| failure.kind == FailureKind::Retriable), "{:?}", summary.failed);
    let Condition::Failed(_, reason) = context.health.get() else { panic!("{:?}", context.health.get()) };
    assert!(reason.contains("clock") && reason.contains(&topic.name), "{reason}");
    assert_eq!(topic.read_all().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compacted_topic_gets_no_record_without_a_key() {
    let topic = Topic::new("compacted", 1, &[("cleanup.policy", "compact")]).await;
    let keyless = || Record { key: None, ..record("", "keyless") };
    let (records, good) = with_poison(50, &[20], keyless);
    let summary = write(&options(&topic.name, json!({})), records.clone()).await;
    assert_eq!(summary.delivered, 49);
    assert!(reasons(&summary)[0].contains("compacted"), "{:?}", summary.failed);
    assert_eq!(texts(&topic, 49), good);
    // The same where only the broker knows.
    let topic = Topic::new("compacted", 1, &[("cleanup.policy", "compact")]).await;
    let template = format!("{{header.none|{}}}", topic.name);
    let summary = write(&options(&template, json!({})), records).await;
    assert_eq!(summary.delivered, 49);
    assert!(reasons(&summary)[0].contains("compacted"), "{:?}", summary.failed);
    assert_eq!(written(&topic), good);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_is_a_number_of_one_that_is_there() {
    let topic = Topic::new("partitions", 2, &[]).await;
    let to = |partition: &str| {
        let mut record = record("k", partition);
        record.headers.push("p", Value::text(partition));
        record
    };
    let records = ["1", "two", "7", "-1", "0"].map(to).into();
    let summary = write(&options(&topic.name, json!({ "partition": "{header.p}" })), records).await;
    let mut reasons = reasons(&summary);
    reasons.sort_unstable();
    assert_eq!(summary.delivered, 2);
    assert_eq!(reasons.len(), 3);
    assert!(reasons[0].contains("\"-1\", which is not a number from 0"), "{reasons:?}");
    assert!(reasons[1].contains("\"two\", which is not a number from 0"), "{reasons:?}");
    assert!(reasons[2].contains("has no such partition"), "{reasons:?}");
    assert_eq!(texts(&topic, 2), ["0", "1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timestamp_template_has_to_make_a_number() {
    let topic = Topic::new("when", 1, &[]).await;
    let summary = write(&options(&topic.name, json!({ "timestamp": "{value}" })), vec![record("k", "noon")]).await;
    assert!(reasons(&summary)[0].contains("\"noon\", which is not a number of milliseconds"), "{:?}", summary.failed);
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_may_be_of_any_size_and_take_no_neighbour_down() {
    let topic = Topic::new("dead", 1, &[("max.message.bytes", "6000000")]).await;
    let mut sink = open(&options(&topic.name, json!({})), gantry_sdk::Context { dead_letter: true, ..context() }).await;
    let records = vec![
        record("k", "before"),
        record("k", "x".repeat(5_000_000)),
        record("k", "y".repeat(7_000_000)),
        record("k", "after"),
    ];
    let summary = put(&mut *sink, records).await;
    sink.close().await.unwrap();
    assert_eq!(summary.delivered, 3);
    assert!(reasons(&summary)[0].contains("takes 7000"), "{:?}", summary.failed);
    let sizes: Vec<_> = topic.read(3).iter().map(|received| received.value.as_ref().unwrap().len()).collect();
    assert_eq!(sizes, [6, 5_000_000, 5]);
}
