//! Messages that no queue takes, while the connection is cut: exactly those are dead-lettered, and they hold up no other.

use rdkafka::{
    message::{Header, OwnedHeaders},
    producer::FutureRecord,
};

use crate::{
    BROKERS,
    support::{
        self, SOON, eventually,
        feed::Feeder,
        gantry::Gantry,
        kafka::{self, Cluster, Stored},
        oracle::{self, Tally},
        proxy::Proxy,
        rabbit::Rabbit,
        unique,
    },
};

const MESSAGES: u64 = 30_000;

/// One message in ten has nowhere to go.
const fn has_no_queue(sequence: u64) -> bool {
    sequence.is_multiple_of(10)
}

/// The oracle's messages, all in one partition; the key says which queue each is for.
async fn publish(topic: &str, queue: &str) {
    let mut feeder = Feeder::new(&Cluster::at(&support::bootstrap_servers(), 1));
    for sequence in 0..MESSAGES {
        let (body, number) = (oracle::body(sequence, 200), sequence.to_string());
        let key = if has_no_queue(sequence) { "gantry-there-is-no-such-queue" } else { queue };
        let headers = OwnedHeaders::new().insert(Header { key: "seq", value: Some(&number) });
        feeder.send(FutureRecord::to(topic).key(key.as_bytes()).payload(body.as_slice()).headers(headers)).await;
    }
    feeder.confirmed().await;
}

fn yaml(wire: &Proxy, topic: &str, dead: &str) -> String {
    format!(
        r#"connections:
  rabbit: {{ rabbitmq: {{ urls: ["{}"] }} }}
  events: {{ kafka: {{ bootstrap_servers: "{}" }} }}
bridges:
  b:
    source: {{ kafka: {{ connection: events, topic: {topic}, group: {topic}, commit_interval: 500ms }} }}
    sink: {{ rabbitmq: {{ connection: rabbit, routing_key: "{{key}}" }} }}
    errors:
      backoff: {{ initial: 100ms, max: 1s }}
      dead_letter: {{ kafka: {{ connection: events, topic: {dead} }} }}
"#,
        wire.instead_of(&support::amqp_url()),
        support::bootstrap_servers(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn reverse_unroutable_messages_while_the_connection_is_cut() {
    let _brokers = BROKERS.lock().await;
    let (queue, topic, dead) = (unique("routed"), unique("routed"), unique("routed-dead"));
    let rabbit = Rabbit::connect_when_up().await;
    rabbit.queue(&queue).await;
    kafka::create_topic(&topic, 1).await;
    kafka::create_topic(&dead, 1).await;
    publish(&topic, &queue).await;
    let wire = Proxy::start(&support::amqp_address()).await;
    let gantry = Gantry::start(&yaml(&wire, &topic, &dead));
    for round in 1..=5 {
        kafka::wait_for_count(&dead, 100 * round).await;
        wire.cut();
    }
    let kafka = Cluster::at(&support::bootstrap_servers(), 1);
    kafka.wait_until_committed(&topic, &topic).await;
    gantry.wait_until_ready().await;
    gantry.check_conservation("b");
    let mut routed = Vec::new();
    eventually("everything routable is in the queue", SOON, async || {
        routed.extend(rabbit.take_stored(&queue).await);
        missing(&routed, has_no_queue).is_empty().then_some(())
    })
    .await;
    let refused = kafka.read_all(&dead);
    assert!(routed.iter().all(|record| !has_no_queue(oracle::sequence_of(record))), "only what was for the queue");
    assert!(refused.iter().all(|record| has_no_queue(oracle::sequence_of(record))), "only what had no queue is dead");
    assert_eq!(missing(&refused, |sequence| !has_no_queue(sequence)), Vec::<u64>::new());
    assert_eq!(tally(&routed).reordered, 0, "order is lost");
    eprintln!("{} duplicates in the queue, {} dead", tally(&routed).duplicates, tally(&refused).duplicates);
    rabbit.delete(&queue).await;
    kafka::delete_topic(&topic).await;
    kafka::delete_topic(&dead).await;
}

fn tally(stored: &[Stored]) -> Tally {
    let mut tally = Tally::default();
    for record in stored {
        tally.arrives(record.partition, oracle::sequence_of(record));
    }
    tally
}

/// What is not there, but for those that belong elsewhere.
fn missing(stored: &[Stored], belongs_elsewhere: fn(u64) -> bool) -> Vec<u64> {
    tally(stored).missing(MESSAGES).filter(|sequence| !belongs_elsewhere(*sequence)).collect()
}
