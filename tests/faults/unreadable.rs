//! A message that the client library cannot read: AMQP's short strings are any bytes, the library's are UTF-8.

use lapin::{options::QueueBindOptions, types::FieldTable};

use crate::{
    Scene,
    support::{SOON, brokers::rabbitmqctl, eventually},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_routing_key_that_is_not_utf8_holds_its_queue_and_says_so() {
    let mut scene = Scene::begin(2_000).await;
    scene.wait_for_count(2_000).await;
    let (queue, everything) = (scene.queue.as_str().into(), "amq.fanout".into());
    let options = QueueBindOptions::default();
    let bound = scene.rabbit.channel.queue_bind(queue, everything, "".into(), options, FieldTable::default());
    bound.await.expect("binding the queue");
    let publish = r#"rabbit_basic:publish(rabbit_misc:r(<<"/">>, exchange, <<"amq.fanout">>), <<255, 254>>,
        rabbit_basic:properties([]), <<"unreadable">>)."#;
    rabbitmqctl(&["eval", publish]).await;
    eventually("the bridge says what it cannot read", SOON, async || {
        scene.gantry.task("b").filter(|(_, error)| error.contains("not UTF-8"))
    })
    .await;
    // What a person does: stops the bridge, takes the message out of the queue, goes on.
    scene.gantry.request("PUT", "/connectors/b/stop");
    scene.gantry.wait_for_state("b", "stopped").await;
    eventually("it stayed at its source", SOON, async || (scene.rabbit.ready(&scene.queue).await == 1).then_some(()))
        .await;
    scene.rabbit.purge(&scene.queue).await;
    scene.gantry.request("PUT", "/connectors/b/resume");
    scene.publish(1_000).await;
    scene.judge().await;
}
