//! RabbitMQ defends itself: it blocks publishers, and takes back what a consumer holds for too long.

use crate::{
    BROKERS, Scene, Setup,
    support::{
        self, SOON,
        brokers::{rabbitmqctl, run},
        eventually,
        proxy::{Faults, Proxy},
        rabbit,
    },
};

#[tokio::test(flavor = "multi_thread")]
async fn memory_alarm_in_rabbitmq_stops_publishers_and_not_the_bridge() {
    let mut scene = Scene::begin(40_000).await;
    rabbitmqctl(&["set_vm_memory_high_watermark", "0.00001"]).await;
    eventually("the alarm is on", SOON, async || {
        let nodes = rabbit::management("/api/nodes")?;
        nodes[0]["mem_alarm"].as_bool().filter(|alarm| *alarm)
    })
    .await;
    scene.kafka.wait_for_count(&scene.topic, 40_000).await;
    // RabbitMQ's own default.
    rabbitmqctl(&["set_vm_memory_high_watermark", "0.4"]).await;
    scene.publish(1_000).await;
    let verdict = scene.judge().await;
    assert_eq!(verdict.duplicates, 0, "the connection stayed");
}

/// RabbitMQ waits 30 minutes for an acknowledgement, looks once a minute, and reads both numbers when a channel opens.
async fn acknowledgement_timeout(millis: u32, look: u32) {
    let set = format!(
        "application:set_env(rabbit, consumer_timeout, {millis}), \
         application:set_env(rabbit, channel_tick_interval, {look})."
    );
    run(&["rabbitmqctl", "eval", &set]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn channel_closed_by_the_acknowledgement_timeout_while_kafka_is_away() {
    let brokers = BROKERS.lock().await;
    let wire = Proxy::start_on(support::kafka_proxy_port(), &support::kafka_behind_proxy(), 1).await;
    let events = format!("bootstrap_servers: \"127.0.0.1:{}\"", wire.port());
    acknowledgement_timeout(3_000, 500).await;
    let mut scene = Scene::with(brokers, Setup { events, ..Setup::direct() }, 1_000).await;
    wire.set(Faults { refuse: true, ..Faults::default() });
    wire.cut();
    scene.publish(1_000).await;
    eventually("the bridge says that RabbitMQ took its messages back", SOON, async || {
        // The state shows it for a moment only: the next try complains of Kafka.
        scene.gantry.log().contains("delivery acknowledgement on channel").then_some(())
    })
    .await;
    acknowledgement_timeout(1_800_000, 60_000).await;
    wire.heal();
    scene.judge().await;
}
