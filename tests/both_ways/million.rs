//! Kafka → RabbitMQ → Kafka: complete, once, and in order per partition.

use std::time::Instant;

use crate::{
    bridges, from_queue, from_topic, into_queue, into_topic,
    support::{
        SOON, bootstrap_servers, eventually,
        feed::{self, Feeder},
        gantry::Gantry,
        kafka::{self, Cluster},
        oracle,
        rabbit::Rabbit,
        unique,
    },
};

const PARTITIONS: i32 = 4;

/// How many records go round; `GANTRY_TEST_MESSAGES` changes it.
fn many() -> u64 {
    std::env::var("GANTRY_TEST_MESSAGES").ok().and_then(|text| text.parse().ok()).unwrap_or(200_000)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_topic_comes_back_through_a_queue_in_order_per_partition() {
    let (topic, queue, back, messages) = (unique("there"), unique("between"), unique("back"), many());
    let rabbit = Rabbit::connect().await;
    rabbit.queue(&queue).await;
    kafka::create_topic(&topic, PARTITIONS).await;
    kafka::create_topic(&back, 1).await;
    let cluster = Cluster::at(&bootstrap_servers(), 1);
    Feeder::new(&cluster).sequence(&topic, PARTITIONS, 0, messages, 100).await;

    let started = Instant::now();
    let mut gantry = Gantry::start(&bridges(&[
        ("there", &from_topic(&topic), &into_queue(&queue), ""),
        ("back", &from_queue(&queue), &into_topic(&back), ""),
    ]));
    let mut seen = 0;
    while seen < i64::try_from(messages).expect("few") {
        // As long as it moves it may take its time.
        seen = eventually("more has come back", SOON, async || kafka::count(&back).filter(|count| *count > seen)).await;
    }
    eprintln!("{messages} records there and back in {:.1} s", started.elapsed().as_secs_f64());
    cluster.wait_until_committed(&topic, &topic).await;
    rabbit.wait_until_empty(&queue).await;
    for bridge in ["there", "back"] {
        gantry.check_conservation(bridge);
    }
    assert!(gantry.terminate().await.success());

    let mut stored = kafka::read_all(&back);
    for record in &mut stored {
        record.partition = feed::partition_of(oracle::sequence_of(record), PARTITIONS);
    }
    let verdict = oracle::assert_nothing_lost(&stored, messages);
    assert_eq!((verdict.arrived, verdict.duplicates), (messages, 0), "an undisturbed run makes no duplicates");
    rabbit.delete(&queue).await;
    kafka::delete_topic(&topic).await;
    kafka::delete_topic(&back).await;
}
