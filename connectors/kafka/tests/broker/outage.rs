//! What becomes of records when the cluster fails: librdkafka's own mock cluster fails on demand.

use std::time::{Duration, Instant};

use gantry_sdk::{Context, FailureKind, Record, health::Condition, plugin::RetryPolicy, testkit::Courier};
use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    mocking::MockCluster,
    producer::DefaultProducerContext,
    types::{RDKafkaApiKey, RDKafkaRespErr},
};
use serde_json::{Value as Json, json};

use crate::support::{DEADLINE, Topic, context, ends, last_writes, merge, open, options, put, record};

pub(crate) type Mock = MockCluster<'static, DefaultProducerContext>;

const TOPIC: &str = "orders";

pub(crate) fn mock() -> Mock {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic(TOPIC, 1, 1).unwrap();
    cluster
}

fn mock_options(cluster: &Mock, more: Json) -> Json {
    options_at(&cluster.bootstrap_servers(), more)
}

/// Of a mock cluster that is there.
pub(crate) fn options_at(bootstrap_servers: &str, more: Json) -> Json {
    // Back soon after an outage: the tests wait for it.
    let properties = json!({ "reconnect.backoff.max.ms": 200 });
    // The mock cluster does not know what a topic's settings are and never answers: do not wait for long.
    let connection = json!({
        "bootstrap_servers": bootstrap_servers,
        "connect_timeout": "1s",
        "properties": properties,
    });
    merge(json!({ "connection": connection, "topic": TOPIC }), more)
}

fn impatient() -> Context {
    Context { retry: RetryPolicy { timeout: Some(Duration::from_secs(2)), ..context().retry }, ..context() }
}

fn records(numbers: std::ops::Range<u32>) -> Vec<Record> {
    numbers.map(|n| record("k", n.to_string())).collect()
}

fn numbers(cluster: &Mock, count: usize) -> Vec<u32> {
    let found = all_numbers(cluster);
    assert_eq!(found.len(), count);
    found
}

fn all_numbers(cluster: &Mock) -> Vec<u32> {
    all_numbers_at(&cluster.bootstrap_servers())
}

/// What lies on the mock cluster that is there.
pub(crate) fn all_numbers_at(bootstrap_servers: &str) -> Vec<u32> {
    let consumer: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", bootstrap_servers).set("group.id", "reader").create().unwrap();
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(TOPIC, 0, Offset::Beginning).unwrap();
    consumer.assign(&assignment).unwrap();
    let (_, end) = ends(&consumer, TOPIC, 0);
    let begun = Instant::now();
    let mut found = Vec::new();
    while (found.len() as i64) < end && begun.elapsed() < DEADLINE {
        if let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) {
            let text = String::from_utf8(message.payload().unwrap().to_vec()).unwrap();
            found.push(text.parse().unwrap());
        }
    }
    found
}

async fn wait_for(context: &Context, what: impl Fn(&Condition) -> bool) -> Condition {
    let mut conditions = context.health.subscribe();
    let condition = tokio::time::timeout(DEADLINE, conditions.wait_for(|condition| what(condition))).await;
    condition.unwrap_or_else(|_| panic!("it is still {:?}", context.health.get())).unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn records_wait_out_an_outage_and_health_says_so() {
    let cluster = mock();
    let context = context();
    let mut sink = open(&mock_options(&cluster, json!({})), context.clone()).await;
    let mut courier = Courier::new();
    sink.put(courier.batch(records(0..100))).await.unwrap();
    sink.flush().await.unwrap();
    cluster.broker_down(-1).unwrap();
    sink.put(courier.batch(records(100..200))).await.unwrap();
    let down = wait_for(&context, |condition| matches!(condition, Condition::Down(_))).await;
    let Condition::Down(reason) = down else { unreachable!() };
    assert!(reason.contains("no connection to Kafka at"), "{reason}");
    cluster.broker_up(-1).unwrap();
    tokio::time::timeout(DEADLINE, sink.flush()).await.expect("flush ends").unwrap();
    assert_eq!(courier.outcomes(DEADLINE).await.delivered, 200);
    wait_for(&context, |condition| *condition == Condition::Up).await;
    sink.close().await.unwrap();
    assert_eq!(numbers(&cluster, 200), (0..200).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_sink_notices_an_outage_and_its_end() {
    let cluster = mock();
    let context = context();
    let sink = open(&mock_options(&cluster, json!({})), context.clone()).await;
    cluster.broker_down(-1).unwrap();
    wait_for(&context, |condition| matches!(condition, Condition::Down(_))).await;
    cluster.broker_up(-1).unwrap();
    wait_for(&context, |condition| *condition == Condition::Up).await;
    sink.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_given_up_takes_everything_behind_it_along() {
    let cluster = mock();
    let context = impatient();
    let mut sink = open(&mock_options(&cluster, json!({})), context.clone()).await;
    let mut courier = Courier::new();
    sink.put(courier.batch(records(0..50))).await.unwrap();
    sink.flush().await.unwrap();
    cluster.broker_down(-1).unwrap();
    sink.put(courier.batch(records(50..100))).await.unwrap();
    // The next ones are younger: their own time is not over when that of the first is.
    tokio::time::sleep(Duration::from_millis(500)).await;
    sink.put(courier.batch(records(100..150))).await.unwrap();
    let failed = wait_for(&context, |condition| matches!(condition, Condition::Failed(..))).await;
    assert!(matches!(&failed, Condition::Failed(_, reason) if reason.contains("did not confirm")), "{failed:?}");
    cluster.broker_up(-1).unwrap();
    sink.put(courier.batch(records(150..200))).await.unwrap();
    tokio::time::timeout(DEADLINE, sink.flush()).await.expect("flush ends").unwrap();
    let summary = courier.outcomes(DEADLINE).await;
    assert_eq!((summary.delivered, summary.failed.len(), summary.abandoned), (50, 150, 0));
    assert!(summary.failed.iter().all(|failure| failure.kind == FailureKind::Retriable), "{:?}", summary.failed);
    sink.close().await.unwrap();
    assert_eq!(numbers(&cluster, 50), (0..50).collect::<Vec<_>>(), "nothing overtook what failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_batch_is_sent_again_in_order() {
    use RDKafkaRespErr::{RD_KAFKA_RESP_ERR_INVALID_RECORD as INVALID, RD_KAFKA_RESP_ERR_NO_ERROR as FINE};
    let cluster = mock();
    let mut sink = open(&mock_options(&cluster, json!({ "batch_records": 50, "linger": "20ms" })), context()).await;
    // The third request is refused as a whole; sent again in parts, all of it is fine. The mock cluster takes the requests
    // that are on their way behind it, as a broker does when the producer is new to the partition.
    cluster.request_errors(RDKafkaApiKey::Produce, &[FINE, FINE, INVALID]);
    let mut courier = Courier::new();
    for n in 0..10 {
        sink.put(courier.batch(records(n * 50..(n + 1) * 50))).await.unwrap();
    }
    tokio::time::timeout(DEADLINE, sink.flush()).await.expect("flush ends").unwrap();
    let summary = courier.outcomes(DEADLINE).await;
    assert_eq!((summary.delivered, summary.failed.len()), (500, 0));
    sink.close().await.unwrap();
    assert_eq!(last_writes(all_numbers(&cluster)), (0..500).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_that_pass_are_retried_in_order() {
    use RDKafkaRespErr::{
        RD_KAFKA_RESP_ERR_NO_ERROR as FINE, RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS as FEW,
        RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION as MOVED,
    };
    let cluster = mock();
    let mut sink = open(&mock_options(&cluster, json!({ "batch_records": 20, "linger": "20ms" })), context()).await;
    cluster.request_errors(RDKafkaApiKey::Produce, &[FINE, FEW, FEW, FINE, MOVED]);
    let mut courier = Courier::new();
    for n in 0..10 {
        sink.put(courier.batch(records(n * 20..(n + 1) * 20))).await.unwrap();
    }
    tokio::time::timeout(DEADLINE, sink.flush()).await.expect("flush ends").unwrap();
    assert_eq!(courier.outcomes(DEADLINE).await.delivered, 200);
    sink.close().await.unwrap();
    assert_eq!(numbers(&cluster, 200), (0..200).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_to_write_the_sink_fails_and_says_what_to_grant() {
    let cluster = mock();
    let context = context();
    let mut sink = open(&mock_options(&cluster, json!({})), context.clone()).await;
    cluster.request_errors(RDKafkaApiKey::Produce, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED]);
    let mut courier = Courier::new();
    sink.put(courier.batch(records(0..10))).await.unwrap();
    tokio::time::timeout(DEADLINE, sink.flush()).await.expect("flush ends").unwrap();
    let summary = courier.outcomes(DEADLINE).await;
    assert_eq!((summary.delivered, summary.failed.len()), (0, 10));
    assert!(summary.failed.iter().all(|failure| failure.kind == FailureKind::Retriable));
    let Condition::Failed(kind, reason) = context.health.get() else { panic!("{:?}", context.health.get()) };
    assert!(kind.needs_a_person() && reason.contains("grant WRITE"), "{kind:?} {reason}");
    sink.close().await.unwrap();
}

/// A dead letter is stamped when it becomes one, whatever its record says.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_time_is_the_records_own_or_this_machines() {
    let own = |dead_letter: bool, timestamp: Option<i64>, times: usize| async move {
        let cluster = mock();
        let context = Context { dead_letter, ..context() };
        let mut sink = open(&mock_options(&cluster, json!({})), context).await;
        cluster
            .request_errors(RDKafkaApiKey::Produce, &vec![RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP; times]);
        let summary = put(&mut *sink, vec![Record { timestamp, ..records(0..1).remove(0) }]).await;
        sink.close().await.unwrap();
        assert_eq!(summary.delivered + summary.failed.len(), 1, "{summary:?}");
        summary.failed.first().map(|failure| failure.kind)
    };
    let retriable = Some(FailureKind::Retriable);
    assert_eq!(own(false, Some(1_000), 1).await, None, "it is sent with the time of sending");
    assert_eq!(own(false, Some(1_000), 9).await, retriable, "which is this machine's");
    assert_eq!(own(false, None, 9).await, retriable);
    assert_eq!(own(false, Some(-1), 9).await, retriable, "Kafka cannot tell a time before 1970 from none");
    assert_eq!(own(true, Some(1_000), 9).await, retriable);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_disappears_fails_the_sink() {
    let topic = Topic::new("disappears", 1, &[]).await;
    let context = context();
    let with = options(&topic.name, json!({ "properties": { "topic.metadata.propagation.max.ms": 0 } }));
    let mut sink = open(&with, context.clone()).await;
    let name = topic.name.clone();
    tokio::task::spawn_blocking(move || drop(topic)).await.unwrap();
    let mut courier = Courier::new();
    sink.put(courier.batch(records(0..10))).await.unwrap();
    let failed = wait_for(&context, |condition| matches!(condition, Condition::Failed(..))).await;
    let Condition::Failed(_, reason) = failed else { unreachable!() };
    assert!(reason.contains(&name) && reason.contains("gone") && reason.contains("create it"), "{reason}");
    let summary = courier.outcomes(DEADLINE).await;
    assert_eq!(summary.failed.len(), 10);
    assert!(summary.failed.iter().all(|failure| failure.kind == FailureKind::Retriable));
    sink.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_during_an_outage_abandons_what_is_not_delivered() {
    let cluster = mock();
    let mut sink = open(&mock_options(&cluster, json!({})), context()).await;
    cluster.broker_down(-1).unwrap();
    let mut courier = Courier::new();
    sink.put(courier.batch(records(0..100))).await.unwrap();
    tokio::time::timeout(DEADLINE, sink.close()).await.expect("close ends").unwrap();
    let summary = courier.outcomes(DEADLINE).await;
    assert_eq!((summary.delivered, summary.failed.len(), summary.abandoned), (0, 0, 100));
}
