//! What a bridge needs is taken away by a person, and given back: rights, a topic.

use crate::{
    BROKERS, Scene, Setup,
    support::{self, SOON, brokers::rabbitmqctl, eventually, kafka, unique},
};

#[tokio::test(flavor = "multi_thread")]
async fn the_right_to_read_the_queue_withdrawn_and_granted_again() {
    let brokers = BROKERS.lock().await;
    let user = unique("reader");
    rabbitmqctl(&["add_user", &user, "s3cret"]).await;
    rabbitmqctl(&["set_permissions", &user, "", "", ".*"]).await;
    let url = support::amqp_url().replace("guest:guest", &format!("{user}:s3cret"));
    let setup = Setup { rabbit: format!("urls: [\"{url}\"]"), ..Setup::direct() };
    let mut scene = Scene::with(brokers, setup, 2_000).await;

    rabbitmqctl(&["clear_permissions", &user]).await;
    // RabbitMQ asks for rights when a consumer begins, not for each message.
    rabbitmqctl(&["close_all_user_connections", &user, "rights were withdrawn"]).await;
    let error = scene.gantry.wait_for_state("b", "failed").await;
    assert!(error.contains("refused") && !error.contains("s3cret"), "{error}");
    scene.publish(2_000).await;
    rabbitmqctl(&["set_permissions", &user, "", "", ".*"]).await;
    scene.judge().await;
    rabbitmqctl(&["delete_user", &user]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn topic_deleted_and_made_again_while_running() {
    let brokers = BROKERS.lock().await;
    // How long librdkafka believes that a topic it does not find is only new. 30 s by default.
    let patience = "properties: { topic.metadata.propagation.max.ms: 1000 }";
    let events = format!("bootstrap_servers: \"{}\", {patience}", support::bootstrap_servers());
    let mut scene = Scene::with(brokers, Setup { events, ..Setup::direct() }, 5_000).await;
    scene.rabbit.wait_until_empty(&scene.queue).await;
    let mut before = scene.kafka.read_all(&scene.topic);
    kafka::delete_topic(&scene.topic).await;
    scene.publish(5_000).await;
    let error = scene.gantry.wait_for_state("b", "failed").await;
    assert!(error.contains(&scene.topic), "{error}");
    eventually("the topic can be made again", SOON, async || kafka::try_create_topic(&scene.topic, 1).await.ok()).await;
    // What was there before is not there any more, and not lost: it had arrived.
    for record in &mut before {
        record.partition -= 1;
    }
    scene.judge_with(before).await;
}
