//! Many topics into few queues, by regular expressions, also of topics that come later.

use lapin::types::AMQPValue;

use crate::{
    bridges,
    support::{
        SOON, bootstrap_servers, eventually,
        feed::Feeder,
        gantry::Gantry,
        kafka::{self, Cluster, Stored},
        oracle,
        rabbit::Rabbit,
        unique,
    },
};

const EACH: u64 = 5_000;

/// What came from one topic, by the header that says so.
fn of_topic(stored: &[Stored], topic: &str) -> Vec<Stored> {
    stored.iter().filter(|record| record.header("from").as_deref() == Some(topic)).cloned().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_by_regex_reach_the_queues_of_a_map_each_in_order() {
    let (prefix, orders, rest) = (unique("fan"), unique("fan-orders"), unique("fan-rest"));
    let rabbit = Rabbit::connect().await;
    rabbit.queue(&orders).await;
    rabbit.queue(&rest).await;
    let topics = ["orders-eu", "orders-us", "stock", "audit"].map(|name| format!("{prefix}-{name}"));
    let cluster = Cluster::at(&bootstrap_servers(), 1);
    let mut feeder = Feeder::new(&cluster);
    for topic in &topics[..3] {
        kafka::create_topic(topic, 1).await;
        feeder.sequence(topic, 1, 0, EACH, 100).await;
    }
    let source = format!(
        "kafka: {{ connection: events, topics_regex: \"^{prefix}-.*\", group: {prefix}, \
         properties: {{ topic.metadata.refresh.interval.ms: 1000 }} }}"
    );
    let sink =
        format!("rabbitmq: {{ connection: rabbit, map: {{ \"/^{prefix}-orders-/\": {orders} }}, queue: {rest} }}");
    let transforms = "transforms: [{ headers: { set: { from: \"{topic}\" } } }]";
    let gantry = Gantry::start(&bridges(&[("b", &source, &sink, transforms)]));
    // The last topic comes while it runs.
    eventually("it moves", SOON, async || gantry.metric("gantry_records_out_total", "b").filter(|out| *out > 0.0))
        .await;
    kafka::create_topic(&topics[3], 1).await;
    feeder.sequence(&topics[3], 1, 0, EACH, 100).await;

    for (queue, topics) in [(&orders, &topics[..2]), (&rest, &topics[2..])] {
        let mut taken = Vec::new();
        eventually("all of its topics are in the queue", SOON, async || {
            taken.extend(rabbit.take_stored(queue).await);
            (taken.len() as u64 >= EACH * topics.len() as u64).then_some(())
        })
        .await;
        for topic in topics {
            assert_eq!(oracle::assert_nothing_lost(&of_topic(&taken, topic), EACH).duplicates, 0, "{topic}");
        }
        assert_eq!(taken.len() as u64, EACH * topics.len() as u64, "nothing else is in the queue");
    }
    for topic in &topics {
        cluster.wait_until_committed(&prefix, topic).await;
    }
    gantry.check_conservation("b");
    drop(gantry);
    rabbit.delete(&orders).await;
    rabbit.delete(&rest).await;
    for topic in &topics {
        kafka::delete_topic(topic).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_queues_reach_one_queue_each_in_order() {
    let (inputs, output) = ([unique("fan-in"), unique("fan-in"), unique("fan-in")], unique("fan-out"));
    let rabbit = Rabbit::connect().await;
    rabbit.queue(&output).await;
    for input in &inputs {
        rabbit.queue(input).await;
        rabbit.publish_sequence(input, 0, EACH, 100).await;
    }
    let source = format!("rabbitmq: {{ connection: rabbit, queues: [{}] }}", inputs.join(", "));
    let sink = format!("rabbitmq: {{ connection: rabbit, queue: {output} }}");
    let transforms = "transforms: [{ headers: { set: { from: \"{queue}\" } } }]";
    let gantry = Gantry::start(&bridges(&[("b", &source, &sink, transforms)]));
    for input in &inputs {
        rabbit.wait_until_empty(input).await;
    }
    gantry.check_conservation("b");
    let taken = rabbit.take_deliveries(&output).await;
    assert_eq!(taken.len() as u64, EACH * 3);
    for input in &inputs {
        let is_from =
            |value: &AMQPValue| matches!(value, AMQPValue::LongString(text) if text.as_bytes() == input.as_bytes());
        let numbers = taken.iter().filter_map(|delivery| {
            let headers = delivery.properties.headers().as_ref()?.inner();
            let is_ours = headers.get("from").is_some_and(is_from);
            is_ours.then(|| delivery.properties.message_id().as_ref()?.as_str().parse::<u64>().ok()).flatten()
        });
        assert!(numbers.eq(0..EACH), "{input} lost its order");
        rabbit.delete(input).await;
    }
    rabbit.delete(&output).await;
}
