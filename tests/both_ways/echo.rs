//! A bridge there and a bridge back: with `hops` nothing echoes.

use crate::{
    bridges, from_queue, from_topic, into_queue, into_topic,
    support::{SOON, eventually, gantry::Gantry, kafka, oracle, rabbit::Rabbit, unique},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_bridge_there_and_a_bridge_back_with_hops_do_not_echo() {
    const MESSAGES: u64 = 5_000;
    let (queue, topic) = (unique("echo"), unique("echo"));
    let rabbit = Rabbit::connect().await;
    rabbit.queue(&queue).await;
    kafka::create_topic(&topic, 1).await;
    rabbit.publish_sequence(&queue, 0, MESSAGES, 200).await;
    let mut gantry = Gantry::start(&bridges(&[
        ("there", &from_queue(&queue), &into_topic(&topic), "hops: {}"),
        ("back", &from_topic(&topic), &into_queue(&queue), "hops: {}"),
    ]));
    // Every record of the topic is an echo of the queue's.
    eventually("the bridge back has seen all of them", SOON, async || {
        (gantry.metric("gantry_records_filtered_total", "back")? >= MESSAGES as f64).then_some(())
    })
    .await;
    rabbit.wait_until_empty(&queue).await;
    assert_eq!(gantry.metric("gantry_records_in_total", "there"), Some(MESSAGES as f64), "none came back");
    assert_eq!(gantry.metric("gantry_records_out_total", "back"), Some(0.0), "none was sent back");
    for bridge in ["there", "back"] {
        gantry.check_conservation(bridge);
    }
    assert!(gantry.terminate().await.success());
    let verdict = oracle::assert_nothing_lost(&kafka::read_all(&topic), MESSAGES);
    assert_eq!(verdict.duplicates, 0, "each passed once");
    rabbit.delete(&queue).await;
    kafka::delete_topic(&topic).await;
}
