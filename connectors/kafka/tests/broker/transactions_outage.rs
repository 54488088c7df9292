//! What becomes of transactions when the cluster fails: librdkafka's own mock cluster fails on demand.

use std::time::Duration;

use gantry_sdk::{Checkpoint, Context, ErrorKind, Sink, testkit::Courier};
use rdkafka::{
    mocking::MockCluster,
    producer::DefaultProducerContext,
    types::{RDKafkaApiKey, RDKafkaRespErr},
};
use serde_json::{Value as Json, json};

use crate::support::{DEADLINE, context, create, failed, open, record};

type Mock = MockCluster<'static, DefaultProducerContext>;

const TOPIC: &str = "orders";
const POSITIONS: &str = "positions";

fn mock() -> (Mock, Json) {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic(TOPIC, 1, 1).unwrap();
    cluster.create_topic(POSITIONS, 1, 1).unwrap();
    let options = json!({
        "connection": { "bootstrap_servers": cluster.bootstrap_servers(), "connect_timeout": "3s" },
        "topic": TOPIC,
        "checkpoints_topic": POSITIONS,
        "properties": { "reconnect.backoff.max.ms": 200 },
    });
    (cluster, options)
}

fn exactly_once() -> Context {
    Context { exactly_once: true, ..context() }
}

fn checkpoint() -> Checkpoint {
    Checkpoint { lane_key: "orders/0".into(), position: 5.into() }
}

async fn transaction(sink: &mut dyn Sink) -> gantry_sdk::testkit::Summary {
    sink.transactions().unwrap().begin().await.unwrap();
    let mut courier = Courier::new();
    sink.put(courier.batch(vec![record("k", "v")])).await.unwrap();
    tokio::time::timeout(DEADLINE, sink.flush()).await.expect("flush ends").unwrap();
    courier.outcomes(DEADLINE).await
}

/// librdkafka lets a call run out of time and go on with the next.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_takes_long_is_waited_for() {
    let (cluster, options) = mock();
    let mut sink = open(&options, exactly_once()).await;
    assert_eq!(transaction(&mut *sink).await.delivered, 1);
    cluster.broker_round_trip_time(1, Duration::from_millis(1500)).unwrap();
    sink.transactions().unwrap().commit(&[checkpoint()]).await.unwrap();
    cluster.broker_round_trip_time(1, Duration::ZERO).unwrap();
    assert_eq!(transaction(&mut *sink).await.delivered, 1);
    sink.transactions().unwrap().commit(&[checkpoint()]).await.unwrap();
    sink.close().await.unwrap();
    let mut again = open(&options, exactly_once()).await;
    assert_eq!(again.transactions().unwrap().stored().get("orders/0"), Some(&5.into()));
    again.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_nobody_answers_ends_with_an_error() {
    let (cluster, mut options) = mock();
    options["properties"]["transaction.timeout.ms"] = json!(2000);
    let mut sink = open(&options, exactly_once()).await;
    assert_eq!(transaction(&mut *sink).await.delivered, 1);
    cluster.broker_down(1).unwrap();
    let committed = tokio::time::timeout(DEADLINE, sink.transactions().unwrap().commit(&[checkpoint()])).await;
    let error = committed.expect("it gives up").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Disconnected, "{}", error.chain());
    tokio::time::timeout(DEADLINE, sink.close()).await.expect("it closes").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_right_is_named_when_it_opens() {
    let (cluster, options) = mock();
    let refusal = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
    cluster.request_errors(RDKafkaApiKey::InitProducerId, &[refusal; 8]);
    let Err(error) = create(&options, exactly_once()).await else { panic!("it opened") };
    let text = error.chain();
    assert_eq!(error.kind(), ErrorKind::Refused, "{text}");
    assert!(text.contains("\"gantry-test-0\"") && text.contains("grant WRITE and DESCRIBE"), "{text}");
}

/// No report has the reason: librdkafka only logs it.
#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_is_taken_away_is_named_too() {
    let (cluster, options) = mock();
    let context = exactly_once();
    let health = context.health.clone();
    let mut sink = open(&options, context).await;
    let refusal = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
    cluster.request_errors(RDKafkaApiKey::AddPartitionsToTxn, &[refusal; 8]);
    let summary = transaction(&mut *sink).await;
    assert_eq!(summary.failed.len(), 1);
    let (kind, reason) = failed(&health).await;
    assert_eq!(kind, ErrorKind::Refused, "{reason}");
    assert!(reason.contains("grant WRITE and DESCRIBE"), "{reason}");
    sink.close().await.unwrap();
}
