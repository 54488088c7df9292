//! What the source does when the cluster fails: librdkafka's own mock cluster fails on demand.

use gantry_sdk::{ErrorKind, health::Condition};
use rdkafka::{
    ClientConfig,
    mocking::MockCluster,
    producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer as _},
    types::{RDKafkaApiKey, RDKafkaRespErr},
};
use serde_json::{Value as Json, json};

use crate::support::{
    DEADLINE, context, merge,
    source::{failure, number, open_source, take},
};

type Mock = MockCluster<'static, DefaultProducerContext>;

const TOPIC: &str = "orders";

fn mock() -> Mock {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic(TOPIC, 1, 1).unwrap();
    cluster
}

fn options(cluster: &Mock, more: Json) -> Json {
    let properties = json!({ "reconnect.backoff.max.ms": 200 });
    let connection = json!({ "bootstrap_servers": cluster.bootstrap_servers(), "properties": properties });
    merge(json!({ "connection": connection, "topic": TOPIC, "group": "orders" }), more)
}

fn write(cluster: &Mock, numbers: std::ops::Range<u64>) {
    let mut config = ClientConfig::new();
    let producer: BaseProducer = config.set("bootstrap.servers", cluster.bootstrap_servers()).create().unwrap();
    for number in numbers {
        let body = number.to_string();
        producer.send(BaseRecord::<(), str>::to(TOPIC).partition(0).payload(&body)).unwrap();
    }
    producer.flush(DEADLINE).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_shows_in_health_and_it_goes_on_by_itself() {
    let cluster = mock();
    write(&cluster, 0..100);
    let context = context();
    let mut source = open_source(&options(&cluster, json!({})), context.clone()).await;
    assert_eq!(take(&mut *source, 100).await.len(), 100);
    let mut health = context.health.subscribe();
    cluster.broker_down(-1).unwrap();
    {
        let down = tokio::time::timeout(DEADLINE, health.wait_for(|now| matches!(now, Condition::Down(_)))).await;
        let down = down.expect("it notices").unwrap();
        assert!(matches!(&*down, Condition::Down(reason) if reason.contains("no connection to Kafka at")), "{down:?}");
    }
    cluster.broker_up(-1).unwrap();
    tokio::time::timeout(DEADLINE, health.wait_for(|now| *now == Condition::Up)).await.expect("it is back").unwrap();
    write(&cluster, 100..200);
    let taken = take(&mut *source, 100).await;
    assert_eq!(taken.iter().map(number).collect::<Vec<_>>(), (100..200).collect::<Vec<_>>());
    source.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_during_an_outage_ends() {
    let cluster = mock();
    write(&cluster, 0..100);
    let mut source = open_source(&options(&cluster, json!({})), context()).await;
    take(&mut *source, 100).await;
    cluster.broker_down(-1).unwrap();
    tokio::time::timeout(DEADLINE, source.close()).await.expect("close ends").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_to_the_group_it_says_what_to_grant() {
    let cluster = mock();
    let denied = RDKafkaRespErr::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED;
    cluster.request_errors(RDKafkaApiKey::OffsetFetch, &[denied; 3]);
    let error = failure(&options(&cluster, json!({}))).await;
    assert_eq!(error.kind(), ErrorKind::Refused, "{}", error.chain());
    assert!(error.chain().contains("grant READ"), "{}", error.chain());
}
