//! Brokers that go away in the middle and come back.

use crate::{
    Scene, brokers,
    support::{SOON, eventually},
};

#[tokio::test(flavor = "multi_thread")]
async fn reverse_rabbitmq_restarted_in_full_flow() {
    let scene = Scene::reverse(40_000).await;
    brokers("restart", "rabbitmq").await;
    scene.judge().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reverse_rabbitmq_killed_in_full_flow() {
    let mut scene = Scene::reverse(3_000).await;
    scene
        .fed(async |scene| {
            brokers("kill", "rabbitmq").await;
            scene.gantry.wait_for_state("b", "backing_off").await;
            brokers("start", "rabbitmq").await;
            scene.moves(1_000).await;
        })
        .await;
    scene.judge().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reverse_kafka_restarted_in_full_flow() {
    let scene = Scene::reverse(40_000).await;
    brokers("restart", "kafka").await;
    scene.judge().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reverse_kafka_down_for_a_while_then_back() {
    let mut scene = Scene::reverse(3_000).await;
    brokers("kill", "kafka").await;
    eventually("the bridge says that Kafka is away", SOON, async || {
        scene.gantry.task("b").filter(|(_, error)| error.contains("unreachable"))
    })
    .await;
    assert_eq!(scene.gantry.get("/readyz").map(|(status, _)| status), Some(503));
    assert_eq!(scene.gantry.get("/healthz").map(|(status, _)| status), Some(200));
    brokers("start", "kafka").await;
    scene.publish(3_000).await;
    scene.judge().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reverse_a_stop_while_rabbitmq_is_down_leaves_everything_in_kafka() {
    let mut scene = Scene::reverse(3_000).await;
    brokers("kill", "rabbitmq").await;
    scene.publish(3_000).await;
    scene.gantry.terminate().await;
    brokers("start", "rabbitmq").await;
    scene.gantry.start_again();
    scene.judge().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reverse_both_killed_and_started_again() {
    let scene = Scene::reverse(40_000).await;
    brokers("kill", "kafka").await;
    brokers("kill", "rabbitmq").await;
    brokers("start", "rabbitmq").await;
    brokers("start", "kafka").await;
    scene.judge().await;
}
