//! Networks that cut, fall silent, delay and reset, on either side of a bridge.

use std::time::Duration;

use lapin::types::FieldTable;

use crate::{BROKERS, Scene, Setup, scene::Direction, support::proxy::Faults, wires::Wires};

async fn begin(messages: u64) -> (Scene, Wires) {
    let brokers = BROKERS.lock().await;
    let wires = Wires::start().await;
    let direction = Direction::KafkaToRabbit;
    let setup = Setup { direction, partitions: 3, queue: FieldTable::default(), ..wires.setup() };
    (Scene::with(brokers, setup, messages).await, wires)
}

#[tokio::test(flavor = "multi_thread")]
async fn reverse_connection_to_rabbitmq_cut_twenty_times() {
    let (mut scene, wires) = begin(2_000).await;
    scene.again_and_again(20, async |_| wires.rabbit.cut()).await;
    scene.judge().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reverse_connection_to_kafka_cut_twenty_times() {
    let (mut scene, wires) = begin(2_000).await;
    scene.again_and_again(20, async |_| wires.kafka.cut()).await;
    scene.judge().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reverse_half_open_connection_to_rabbitmq() {
    let (mut scene, wires) = begin(2_000).await;
    wires.rabbit.set(Faults { silent: true, ..Faults::default() });
    scene.publish(2_000).await;
    let error = scene.gantry.wait_for_state("b", "backing_off").await;
    assert!(error.contains("heartbeat"), "{error}");
    wires.rabbit.heal();
    scene.judge().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reverse_half_open_connection_to_kafka() {
    let (mut scene, wires) = begin(2_000).await;
    wires.kafka.set(Faults { silent: true, ..Faults::default() });
    scene.gantry.wait_until_not_ready("").await;
    scene.publish(5_000).await;
    wires.kafka.heal();
    scene.judge().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reverse_two_seconds_of_latency_then_one_percent_of_resets() {
    let (mut scene, wires) = begin(1_000).await;
    let slow = Faults { latency: Duration::from_secs(2), ..Faults::default() };
    wires.rabbit.set(slow);
    wires.kafka.set(slow);
    let unreliable = Faults { resets: 100, ..Faults::default() };
    scene
        .fed(async |scene| {
            scene.moves(1_000).await;
            wires.rabbit.set(unreliable);
            wires.kafka.set(unreliable);
            scene.moves(10_000).await;
        })
        .await;
    wires.rabbit.heal();
    wires.kafka.heal();
    scene.judge().await;
}
