//! A quorum queue drops what came back too often. Planned stops and a long outage of Kafka must not bring a message there.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use lapin::types::{AMQPValue, FieldTable};

use crate::{
    BROKERS, brokers,
    support::{
        self, SOON, eventually,
        gantry::Gantry,
        kafka, oracle,
        rabbit::{self, Rabbit},
        unique,
    },
};

/// A message may come back so often; the next time it is dead-lettered.
const LIMIT: i64 = 5;

/// A quorum queue with a small limit, the queue that its dead letters go to, and a topic.
struct Queues {
    queue: String,
    dead: String,
    topic: String,
}

impl Queues {
    async fn make(rabbit: &Rabbit) -> Self {
        let queues = Self { queue: unique("limit"), dead: unique("limit-dead"), topic: unique("limit") };
        rabbit.queue(&queues.dead).await;
        let mut arguments = FieldTable::default();
        for (name, value) in [
            ("x-queue-type", "quorum"),
            ("x-dead-letter-exchange", ""),
            ("x-dead-letter-routing-key", queues.dead.as_str()),
        ] {
            arguments.insert(name.into(), AMQPValue::LongString(value.into()));
        }
        arguments.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(LIMIT));
        rabbit.queue_with(&queues.queue, arguments).await;
        kafka::create_topic(&queues.topic, 1).await;
        queues
    }

    fn yaml(&self, errors: &str) -> String {
        format!(
            r#"shutdown_timeout: 20s
connections:
  rabbit: {{ rabbitmq: {{ urls: ["{}"] }} }}
  events: {{ kafka: {{ bootstrap_servers: "{}", connect_timeout: 2s }} }}
bridges:
  b:
    source: {{ rabbitmq: {{ connection: rabbit, queue: {} }} }}
    sink: {{ kafka: {{ connection: events, topic: {} }} }}
    errors: {errors}
"#,
            support::amqp_url(),
            support::bootstrap_servers(),
            self.queue,
            self.topic,
        )
    }

    /// Everything has arrived, in order, and nothing was dead-lettered or dropped on the way.
    async fn judge(self, rabbit: &Rabbit, gantry: &Gantry, messages: u64) -> oracle::Judgement {
        rabbit.wait_until_empty(&self.queue).await;
        assert_eq!(rabbit::all_messages(&self.dead), Some(0), "RabbitMQ dead-lettered messages");
        let verdict = oracle::assert_nothing_lost(&kafka::read_all(&self.topic), messages);
        gantry.check_conservation("b");
        rabbit.delete(&self.queue).await;
        rabbit.delete(&self.dead).await;
        kafka::delete_topic(&self.topic).await;
        verdict
    }
}

/// Publishes until it is told to stop; how many in all.
async fn publish_on_and_on(queue: String, from: u64, stop: Arc<AtomicBool>) -> u64 {
    let rabbit = Rabbit::connect().await;
    let mut next = from;
    while !stop.load(Ordering::Relaxed) {
        rabbit.publish_sequence(&queue, next, next + 500, 200).await;
        next += 500;
    }
    next
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_planned_restarts_in_full_flow_drop_nothing() {
    const BACKLOG: u64 = 50_000;
    let _brokers = BROKERS.lock().await;
    let rabbit = Rabbit::connect_when_up().await;
    let queues = Queues::make(&rabbit).await;
    rabbit.publish_sequence(&queues.queue, 0, BACKLOG, 200).await;
    // First there is a backlog, later messages trickle in.
    let stop = Arc::new(AtomicBool::new(false));
    let publishing = tokio::spawn(publish_on_and_on(queues.queue.clone(), BACKLOG, Arc::clone(&stop)));
    let mut gantry = Gantry::start(&queues.yaml("{}"));
    for _ in 0..50 {
        let before = kafka::count(&queues.topic).unwrap_or(0);
        kafka::wait_for_count(&queues.topic, before + 1).await;
        let status = gantry.terminate().await;
        assert!(status.success(), "not everything was drained in time: {status}");
        gantry.start_again();
    }
    stop.store(true, Ordering::Relaxed);
    let messages = publishing.await.expect("it publishes");
    let verdict = queues.judge(&rabbit, &gantry, messages).await;
    assert_eq!(verdict.duplicates, 0, "a planned stop makes no duplicates");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_outage_of_kafka_drops_nothing() {
    const MESSAGES: u64 = 40_000;
    let _brokers = BROKERS.lock().await;
    let rabbit = Rabbit::connect_when_up().await;
    let queues = Queues::make(&rabbit).await;
    rabbit.publish_sequence(&queues.queue, 0, MESSAGES, 200).await;
    let gantry = Gantry::start(&queues.yaml("{ give_back_after: 3s, backoff: { initial: 100ms, max: 1s } }"));
    kafka::wait_for_count(&queues.topic, 500).await;
    brokers("stop", "kafka").await;
    // Everything is back, and it stays there while the bridge tries to reach Kafka.
    eventually("what was held is given back", SOON, async || {
        let numbers = rabbit::management(&format!("/api/queues/%2f/{}", queues.queue))?;
        (numbers["messages_unacknowledged"].as_u64()? == 0 && numbers["messages_ready"].as_u64()? > 0).then_some(())
    })
    .await;
    let mut tries = 0;
    let mut last = None;
    eventually("more tries than a delivery limit bears", SOON, async || {
        let epoch = gantry.bridge("b")?["tasks"][0]["epoch"].as_u64()?;
        if last.replace(epoch).is_some_and(|last| last != epoch) {
            tries += 1;
        }
        (tries > LIMIT + 1).then_some(())
    })
    .await;
    brokers("start", "kafka").await;
    queues.judge(&rabbit, &gantry, MESSAGES).await;
}
