//! A stop drains, a kill loses nothing.

use crate::{
    bridge,
    support::{
        SOON, eventually,
        gantry::Gantry,
        kafka, oracle,
        rabbit::{Rabbit, single_active_consumer},
        unique,
    },
};

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_in_full_flow_drains_and_makes_no_duplicates() {
    let (queue, topic) = (unique("term"), unique("term"));
    let rabbit = Rabbit::connect().await;
    rabbit.queue(&queue).await;
    kafka::create_topic(&topic, 1).await;
    rabbit.publish_sequence(&queue, 0, 40_000, 200).await;

    let mut gantry = Gantry::start(&bridge(&format!("queue: {queue}"), &format!("topic: {topic}"), ""));
    for round in 1..=3 {
        // The start before may have brought as many already, and before it listens a signal just ends it.
        gantry.wait_until_ready().await;
        kafka::wait_for_count(&topic, round * 5_000).await;
        let ended = gantry.terminate().await;
        assert!(ended.success(), "a drained stop exits 0: {ended}");
        gantry.start_again();
    }
    rabbit.wait_until_empty(&queue).await;
    let verdict = oracle::assert_nothing_lost(&kafka::read_all(&topic), 40_000);
    assert_eq!(verdict.duplicates, 0, "what a drained stop delivered, it has committed");
    rabbit.delete(&queue).await;
    kafka::delete_topic(&topic).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_in_full_flow_loses_nothing() {
    let (queue, topic) = (unique("kill"), unique("kill"));
    let rabbit = Rabbit::connect().await;
    rabbit.queue_with(&queue, single_active_consumer()).await;
    kafka::create_topic(&topic, 1).await;
    rabbit.publish_sequence(&queue, 0, 60_000, 200).await;

    let mut gantry = Gantry::start(&bridge(&format!("queue: {queue}"), &format!("topic: {topic}"), ""));
    for round in 1..=5 {
        kafka::wait_for_count(&topic, round * 3_000).await;
        gantry.kill();
        gantry.start_again();
    }
    rabbit.wait_until_empty(&queue).await;
    oracle::assert_nothing_lost(&kafka::read_all(&topic), 60_000);
    rabbit.delete(&queue).await;
    kafka::delete_topic(&topic).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_one_bridge_over_rest_loses_nothing() {
    let (queue, topic) = (unique("restart"), unique("restart"));
    let rabbit = Rabbit::connect().await;
    rabbit.queue(&queue).await;
    kafka::create_topic(&topic, 1).await;
    rabbit.publish_sequence(&queue, 0, 20_000, 200).await;

    let gantry = Gantry::start(&bridge(&format!("queue: {queue}"), &format!("topic: {topic}"), ""));
    for round in 1..=3 {
        kafka::wait_for_count(&topic, round * 2_000).await;
        let before = gantry.bridge("b").expect("the bridge")["tasks"][0]["epoch"].as_u64();
        let (status, _) = gantry.request("POST", "/connectors/b/restart?includeTasks=true").expect("an answer");
        assert_eq!(status, 202);
        eventually("a new epoch", SOON, async || {
            let epoch = gantry.bridge("b")?["tasks"][0]["epoch"].as_u64();
            (epoch > before).then_some(())
        })
        .await;
    }
    rabbit.wait_until_empty(&queue).await;
    assert_eq!(oracle::assert_nothing_lost(&kafka::read_all(&topic), 20_000).duplicates, 0);
    rabbit.delete(&queue).await;
    kafka::delete_topic(&topic).await;
}
