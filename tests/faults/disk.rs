//! The disk of a broker is full. RabbitMQ stops reading from whoever publishes, as it does without memory. Kafka halts.

use crate::{
    BROKERS, Scene, Setup,
    cluster::leader,
    support::{
        self, SOON,
        brokers::{cluster_up, rabbitmqctl, run},
        eventually,
        kafka::Cluster,
        rabbit,
    },
};

/// More than any disk has free.
const PLENTY: &str = "1000000GB";
/// RabbitMQ's own default.
const USUAL: &str = "50MB";

/// RabbitMQ counts its disk as full while less than that is free.
async fn full_below(limit: &str) {
    rabbitmqctl(&["set_disk_free_limit", limit]).await;
    eventually("RabbitMQ has looked at its disk", SOON, async || {
        let nodes = rabbit::management("/api/nodes")?;
        nodes[0]["disk_free_alarm"].as_bool().filter(|full| *full == (limit == PLENTY))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_of_rabbitmq_stops_publishers_and_not_the_bridge() {
    let mut scene = Scene::begin(40_000).await;
    full_below(PLENTY).await;
    scene.wait_for_count(40_000).await;
    full_below(USUAL).await;
    scene.publish(1_000).await;
    let verdict = scene.judge().await;
    assert_eq!(verdict.duplicates, 0, "the connection stayed");
}

#[tokio::test(flavor = "multi_thread")]
async fn reverse_a_full_disk_of_rabbitmq_holds_the_bridge_up_and_fails_nothing() {
    let mut scene = Scene::reverse(3_000).await;
    full_below(PLENTY).await;
    scene.publish(20_000).await;
    scene.gantry.wait_until_not_ready("blocked").await;
    full_below(USUAL).await;
    let verdict = scene.judge().await;
    assert_eq!(verdict.duplicates, 0, "the connection stayed");
}

/// A bridge with a topic of one partition on one node of the cluster: nobody can step in for that node.
async fn on_one_node(setup: Setup, messages: u64) -> Scene {
    let brokers = BROKERS.lock().await;
    cluster_up().await;
    let (servers, _) = support::cluster_servers();
    let kafka = Cluster::at(&servers, 1);
    let events = format!("bootstrap_servers: \"{servers}\"");
    Scene::with(brokers, Setup { events, kafka, partitions: 1, ..setup }, messages).await
}

/// The node of the topic halts in full flow for want of room, until the bridge has said so; then there is room.
async fn full_for_a_while(scene: &mut Scene) {
    let node = leader(scene, 1).await.to_string();
    run(&["cluster", "fill", &node]).await;
    scene.gantry.wait_until_not_ready("").await;
    run(&["cluster", "start", &node]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_of_kafka_holds_the_bridge_up_and_fails_nothing() {
    let mut scene = on_one_node(Setup::direct(), 2_000).await;
    scene.again_and_again(3, full_for_a_while).await;
    let verdict = scene.judge().await;
    assert_eq!(verdict.duplicates, 0, "the idempotent producer goes on where it was");
}

#[tokio::test(flavor = "multi_thread")]
async fn reverse_a_full_disk_of_kafka_holds_the_bridge_up_and_fails_nothing() {
    let mut scene = on_one_node(Setup::reverse(), 2_000).await;
    scene.again_and_again(3, full_for_a_while).await;
    scene.judge().await;
}
