//! RabbitMQ defends itself: it stops reading from whoever publishes, and closes the channel on what is too large.

use rdkafka::producer::FutureRecord;

use crate::{
    BROKERS, Scene, Setup,
    support::{
        SOON,
        brokers::{max_message_size, rabbitmqctl, usual_max_message_size},
        eventually,
        feed::Feeder,
        kafka, rabbit, unique,
    },
};

#[tokio::test(flavor = "multi_thread")]
async fn reverse_memory_alarm_holds_the_bridge_up_and_fails_nothing() {
    let mut scene = Scene::reverse(3_000).await;
    rabbitmqctl(&["set_vm_memory_high_watermark", "0.00001"]).await;
    eventually("the alarm is on", SOON, async || {
        let nodes = rabbit::management("/api/nodes")?;
        nodes[0]["mem_alarm"].as_bool().filter(|alarm| *alarm)
    })
    .await;
    scene.publish(20_000).await;
    scene.gantry.wait_until_not_ready("blocked").await;
    // RabbitMQ's own default.
    rabbitmqctl(&["set_vm_memory_high_watermark", "0.4"]).await;
    let verdict = scene.judge().await;
    assert_eq!(verdict.duplicates, 0, "the connection stayed");
}

#[tokio::test(flavor = "multi_thread")]
async fn reverse_a_message_above_rabbitmqs_limit_is_dead_lettered_alone() {
    let (brokers, dead) = (BROKERS.lock().await, unique("fault-dead"));
    kafka::create_topic(&dead, 1).await;
    max_message_size(100_000).await;
    let mut scene = Scene::with(brokers, Setup { dead_letter: Some(dead.clone()), ..Setup::reverse() }, 3_000).await;
    let (topic, mut feeder) = (scene.topic.clone(), Feeder::new(&scene.kafka));
    scene
        .fed(async |scene| {
            for _ in 0..3 {
                let large = vec![b'x'; 200_000];
                let record = FutureRecord::to(&topic).partition(0).key(b"large".as_slice());
                feeder.send(record.payload(large.as_slice())).await;
                feeder.confirmed().await;
                scene.moves(500).await;
            }
        })
        .await;
    scene.kafka.wait_for_count(&dead, 3).await;
    scene.judge().await;
    for letter in kafka::read_all(&dead) {
        assert_eq!(letter.value.map(|value| value.len()), Some(200_000));
        assert_eq!(letter.key.as_deref(), Some(b"large".as_slice()), "no other record is dead");
    }
    max_message_size(usual_max_message_size()).await;
    kafka::delete_topic(&dead).await;
}
