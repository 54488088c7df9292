//! A message that the client library cannot read by itself: AMQP's short strings are any bytes, the library's are UTF-8.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use lapin::{options::QueueBindOptions, types::FieldTable};

use crate::{
    Scene,
    support::{brokers::rabbitmqctl, oracle, rabbit::major_version},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_message_whose_names_are_not_utf8_passes_like_any_other() {
    let mut scene = Scene::begin(2_000).await;
    let (queue, everything) = (scene.queue.as_str().into(), "amq.fanout".into());
    let options = QueueBindOptions::default();
    let bound = scene.rabbit.channel.queue_bind(queue, everything, "".into(), options, FieldTable::default());
    bound.await.expect("binding the queue");
    let number = scene.messages;
    // RabbitMQ 4 has no `rabbit_basic:publish`: a message is made and routed in two steps.
    let send = if major_version() < 4 {
        "rabbit_basic:publish(Exchange, Key, Properties, Body)."
    } else {
        "{ok, Message} = mc_amqpl:message(Exchange, Key, rabbit_basic:build_content(Properties, Body)),
        rabbit_queue_type:publish_at_most_once(Exchange, Message)."
    };
    let publish = format!(
        r#"Exchange = rabbit_misc:r(<<"/">>, exchange, <<"amq.fanout">>), Key = <<255, 254>>,
        Properties = rabbit_basic:properties([{{delivery_mode, 2}}, {{message_id, <<233>>}},
        {{headers, [{{<<"seq">>, long, {number}}}, {{<<"t", 255>>, longstr, <<"x">>}}]}}]),
        Body = base64:decode(<<"{}">>), {send}"#,
        STANDARD.encode(oracle::body(number, 200)),
    );
    rabbitmqctl(&["eval", &publish]).await;
    scene.messages += 1;
    scene.wait_for_count(scene.messages).await;
    let stored = scene.kafka.read_all(&scene.topic);
    let odd = stored.iter().find(|record| oracle::sequence_of(record) == number).expect("it has arrived");
    assert_eq!(odd.header("t%FF").as_deref(), Some("x"), "its other parts are as they were");
    scene.publish(1_000).await;
    scene.judge().await;
}
