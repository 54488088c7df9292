//! Kafka → RabbitMQ → Kafka.

use proptest::prelude::*;
use rdkafka::{
    message::{Header, OwnedHeaders},
    producer::FutureRecord,
};

use crate::{
    assert_same, cases,
    support::{
        self, SOON, eventually,
        feed::Feeder,
        gantry::Gantry,
        kafka::{self, Cluster, Stored},
        rabbit::Rabbit,
        unique,
    },
};

/// A record as a Kafka client sees it. What AMQP has no place for is not part of it: its key, its time, and the order of
/// headers of different names.
#[derive(Debug)]
struct Message {
    headers: Vec<(String, Option<Vec<u8>>)>,
    value: Option<Vec<u8>>,
}

impl Message {
    fn new(mut headers: Vec<(String, Option<Vec<u8>>)>, value: Option<Vec<u8>>) -> Self {
        headers.sort_by(|(one, _), (other, _)| one.cmp(other));
        Self { headers, value }
    }
}

fn message() -> impl Strategy<Value = Message> {
    // Few names, so that many occur twice; AMQP takes 255 bytes.
    let name = prop_oneof![4 => "[a-d]", 2 => "[a-zA-Z0-9_.\\-а-я ]{0,24}", 1 => "[n-o]{255}"]
        .prop_filter("no routing key", |name: &String| !crate::amqp::routes(name));
    let value = prop_oneof![
        1 => Just(None),
        3 => "\\PC{0,24}".prop_map(|text| Some(text.into_bytes())),
        3 => prop::collection::vec(any::<u8>(), 0..32).prop_map(Some),
    ];
    let headers = prop::collection::vec((name, value), 0..8);
    let body = prop::option::weighted(0.9, prop::collection::vec(any::<u8>(), 0..200));
    (headers, body).prop_map(|(headers, body)| Message::new(headers, body))
}

async fn publish(topic: &str, messages: &[Message]) {
    let mut feeder = Feeder::new(&Cluster::at(&support::bootstrap_servers(), 1));
    for message in messages {
        let mut headers = OwnedHeaders::new_with_capacity(message.headers.len());
        for (key, value) in &message.headers {
            headers = headers.insert(Header { key, value: value.as_deref() });
        }
        let mut record: FutureRecord<'_, [u8], [u8]> = FutureRecord::to(topic).partition(0).headers(headers);
        record.payload = message.value.as_deref();
        feeder.send(record).await;
    }
    feeder.confirmed().await;
}

/// Without what the sink adds: one header that remembers the types.
fn message_of(stored: Stored) -> Message {
    let headers = stored.headers.into_iter().filter(|(name, _)| name != "gantry.types").collect();
    Message::new(headers, stored.value)
}

fn yaml(input: &str, queue: &str, output: &str) -> String {
    format!(
        r#"connections:
  rabbit: {{ rabbitmq: {{ urls: ["{}"] }} }}
  events: {{ kafka: {{ bootstrap_servers: "{}" }} }}
bridges:
  there:
    source: {{ kafka: {{ connection: events, topic: {input}, group: {input}, commit_interval: 500ms }} }}
    sink: {{ rabbitmq: {{ connection: rabbit, queue: {queue} }} }}
  back:
    source: {{ rabbitmq: {{ connection: rabbit, queue: {queue} }} }}
    sink:
      kafka:
        connection: events
        topic: {output}
        header_mapping: {{ encoding: typed, include: [headers] }}
"#,
        support::amqp_url(),
        support::bootstrap_servers(),
    )
}

/// Null values, headers without a value, headers of one name, bytes that are no text.
#[tokio::test(flavor = "multi_thread")]
async fn records_come_back_from_rabbitmq_as_they_were() {
    let sent = cases(&message());
    let (input, queue, output) = (unique("round-in"), unique("round"), unique("round-out"));
    let rabbit = Rabbit::connect().await;
    rabbit.queue(&queue).await;
    kafka::create_topic(&input, 1).await;
    kafka::create_topic(&output, 1).await;
    publish(&input, &sent).await;

    let gantry = Gantry::ready(&yaml(&input, &queue, &output)).await;
    let count = i64::try_from(sent.len()).expect("few");
    eventually("as many come out as went in", SOON, async || {
        let has_halted =
            ["there", "back"].iter().any(|bridge| gantry.task(bridge).is_some_and(|task| task.0 == "failed"));
        (has_halted || kafka::count(&output)? >= count).then_some(())
    })
    .await;
    let back: Vec<Message> = kafka::read_all(&output).into_iter().map(message_of).collect();
    assert_same(&sent, &back);
    rabbit.wait_until_empty(&queue).await;
    for bridge in ["there", "back"] {
        gantry.check_conservation(bridge);
    }
    drop(gantry);
    rabbit.delete(&queue).await;
    kafka::delete_topic(&input).await;
    kafka::delete_topic(&output).await;
}
