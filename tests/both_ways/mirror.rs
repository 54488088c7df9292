//! Kafka → Kafka: what MirrorMaker does.

use rdkafka::{
    message::{Header, OwnedHeaders},
    producer::FutureRecord,
};

use crate::{
    bridges, from_topic, into_topic,
    support::{
        bootstrap_servers,
        feed::{self, Feeder},
        gantry::Gantry,
        kafka::{self, Cluster},
        oracle, unique,
    },
};

const PARTITIONS: i32 = 3;

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_is_mirrored_once_in_order_per_source_partition() {
    const MESSAGES: u64 = 100_000;
    let (topic, mirror) = (unique("origin"), unique("mirror"));
    kafka::create_topic(&topic, PARTITIONS).await;
    kafka::create_topic(&mirror, 1).await;
    let cluster = Cluster::at(&bootstrap_servers(), 1);
    Feeder::new(&cluster).sequence(&topic, PARTITIONS, 0, MESSAGES, 200).await;
    let mut gantry = Gantry::start(&bridges(&[("b", &from_topic(&topic), &into_topic(&mirror), "")]));
    cluster.wait_until_committed(&topic, &topic).await;
    gantry.check_conservation("b");
    assert!(gantry.terminate().await.success());
    let mut stored = kafka::read_all(&mirror);
    for record in &mut stored {
        record.partition = feed::partition_of(oracle::sequence_of(record), PARTITIONS);
    }
    let verdict = oracle::assert_nothing_lost(&stored, MESSAGES);
    assert_eq!(verdict.duplicates, 0, "an undisturbed run makes no duplicates");
    kafka::delete_topic(&topic).await;
    kafka::delete_topic(&mirror).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirrored_record_keeps_key_time_headers_and_null() {
    let (topic, mirror) = (unique("origin"), unique("mirror"));
    kafka::create_topic(&topic, 1).await;
    kafka::create_topic(&mirror, 1).await;
    let cluster = Cluster::at(&bootstrap_servers(), 1);
    let mut feeder = Feeder::new(&cluster);
    let time = 1_700_000_000_123;
    let headers = OwnedHeaders::new()
        .insert(Header { key: "twice", value: Some("1") })
        .insert(Header { key: "null", value: None::<&[u8]> })
        .insert(Header { key: "twice", value: Some([0xff, 0].as_slice()) });
    let full = FutureRecord::to(&topic).key([1, 0xff].as_slice()).payload(b"body".as_slice());
    feeder.send(full.headers(headers).timestamp(time)).await;
    feeder.send(FutureRecord::to(&topic).key(b"gone".as_slice()).timestamp(time)).await;
    feeder.confirmed().await;
    let gantry = Gantry::start(&bridges(&[("b", &from_topic(&topic), &into_topic(&mirror), "")]));
    cluster.wait_until_committed(&topic, &topic).await;
    gantry.check_conservation("b");
    let (sent, arrived) = (kafka::read_all(&topic), kafka::read_all(&mirror));
    assert_eq!(arrived.len(), 2);
    for (sent, arrived) in sent.iter().zip(&arrived) {
        assert_eq!((&sent.key, &sent.value), (&arrived.key, &arrived.value));
        assert_eq!((&sent.headers, sent.timestamp), (&arrived.headers, arrived.timestamp));
    }
    assert_eq!(arrived[1].value, None, "a tombstone");
    kafka::delete_topic(&topic).await;
    kafka::delete_topic(&mirror).await;
}
