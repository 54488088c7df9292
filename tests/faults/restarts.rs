//! Brokers that go away in the middle and come back.

use crate::{Scene, brokers, support::kafka};

#[tokio::test(flavor = "multi_thread")]
async fn rabbitmq_restarted_in_full_flow() {
    let scene = Scene::begin(40_000).await;
    brokers("restart", "rabbitmq").await;
    scene.judge().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rabbitmq_killed_in_full_flow() {
    let scene = Scene::begin(40_000).await;
    brokers("kill", "rabbitmq").await;
    scene.gantry.wait_for_state("b", "backing_off").await;
    brokers("start", "rabbitmq").await;
    scene.judge().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kafka_restarted_in_full_flow() {
    let scene = Scene::begin(40_000).await;
    brokers("restart", "kafka").await;
    let verdict = scene.judge().await;
    assert_eq!(verdict.duplicates, 0, "the idempotent producer goes on where it was");
}

#[tokio::test(flavor = "multi_thread")]
async fn kafka_down_for_a_while_then_back() {
    let scene = Scene::begin(40_000).await;
    brokers("kill", "kafka").await;
    crate::support::eventually("the bridge says that Kafka is away", crate::support::SOON, async || {
        scene.gantry.task("b").filter(|(_, error)| error.contains("unreachable"))
    })
    .await;
    assert_eq!(scene.gantry.get("/readyz").map(|(status, _)| status), Some(503));
    assert_eq!(scene.gantry.get("/healthz").map(|(status, _)| status), Some(200));
    brokers("start", "kafka").await;
    kafka::wait_for_count(&scene.topic, 40_000).await;
    scene.judge().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_while_kafka_is_down_gives_everything_back_and_says_so() {
    let mut scene = Scene::begin(40_000).await;
    brokers("kill", "kafka").await;
    let status = scene.gantry.terminate().await;
    assert_eq!(status.code(), Some(3), "not everything was drained in time");
    brokers("start", "kafka").await;
    scene.gantry.start_again();
    scene.judge().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_killed_and_started_again() {
    let scene = Scene::begin(40_000).await;
    brokers("kill", "kafka").await;
    brokers("kill", "rabbitmq").await;
    brokers("start", "rabbitmq").await;
    brokers("start", "kafka").await;
    scene.judge().await;
}
