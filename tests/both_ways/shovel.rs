//! RabbitMQ → RabbitMQ: what the Shovel plugin does.

use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable},
};

use crate::{
    bridges, from_queue, into_queue,
    support::{gantry::Gantry, oracle, rabbit::Rabbit, unique},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_is_shovelled_into_another_once_in_order() {
    const MESSAGES: u64 = 50_000;
    let (input, output) = (unique("shovel-in"), unique("shovel-out"));
    let rabbit = Rabbit::connect().await;
    rabbit.queue(&input).await;
    rabbit.queue(&output).await;
    rabbit.publish_sequence(&input, 0, MESSAGES, 200).await;
    let mut gantry = Gantry::start(&bridges(&[("b", &from_queue(&input), &into_queue(&output), "")]));
    rabbit.wait_until_empty(&input).await;
    gantry.check_conservation("b");
    assert!(gantry.terminate().await.success());
    let verdict = oracle::assert_nothing_lost(&rabbit.take_stored(&output).await, MESSAGES);
    assert_eq!(verdict.duplicates, 0, "an undisturbed run makes no duplicates");
    rabbit.delete(&input).await;
    rabbit.delete(&output).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shovelled_message_keeps_its_properties_and_headers() {
    let (input, output) = (unique("shovel-in"), unique("shovel-out"));
    let rabbit = Rabbit::connect().await;
    rabbit.queue(&input).await;
    rabbit.queue(&output).await;
    let mut headers = FieldTable::default();
    headers.insert("count".into(), AMQPValue::ShortInt(3));
    headers.insert("void".into(), AMQPValue::Void);
    let properties = BasicProperties::default()
        .with_content_type("text/plain".into())
        .with_correlation_id("c-1".into())
        .with_delivery_mode(2)
        .with_priority(4)
        .with_timestamp(1_700_000_000)
        .with_headers(headers);
    rabbit.publish(&input, b"body", properties.clone()).await;
    let gantry = Gantry::start(&bridges(&[("b", &from_queue(&input), &into_queue(&output), "")]));
    rabbit.wait_until_empty(&input).await;
    gantry.check_conservation("b");
    let taken = rabbit.take_deliveries(&output).await;
    assert_eq!(taken.len(), 1);
    assert_eq!((&taken[0].properties, taken[0].data.as_slice()), (&properties, b"body".as_slice()));
    rabbit.delete(&input).await;
    rabbit.delete(&output).await;
}
