//! Faults of real brokers, one after the other: they share the brokers that they break.
//!
//! Every test ends with the oracle: nothing lost, order kept, duplicates counted; and with the law of conservation.

#[path = "../support/mod.rs"]
mod support;

mod consumers;
mod restarts;

use std::path::Path;

use support::{gantry::Gantry, kafka, oracle, rabbit::Rabbit, unique};
use tokio::sync::{Mutex, MutexGuard};

/// Only one test may break the brokers at a time.
static BROKERS: Mutex<()> = Mutex::const_new(());

/// A bridge under load, and what it takes to judge it.
struct Scene {
    _brokers: MutexGuard<'static, ()>,
    rabbit: Rabbit,
    gantry: Gantry,
    queue: String,
    topic: String,
    messages: u64,
}

impl Scene {
    /// A full queue, a topic, and a gantry that has begun to move.
    async fn begin(messages: u64) -> Self {
        let brokers = BROKERS.lock().await;
        let (queue, topic) = (unique("fault"), unique("fault"));
        let rabbit = Rabbit::connect_when_up().await;
        rabbit.queue(&queue).await;
        kafka::create_topic(&topic, 1).await;
        rabbit.publish_sequence(&queue, 0, messages, 200).await;
        let yaml = format!(
            r#"shutdown_timeout: 3s
connections:
  rabbit: {{ rabbitmq: {{ urls: ["{}"] }} }}
  events: {{ kafka: {{ bootstrap_servers: "{}" }} }}
bridges:
  b:
    source: {{ rabbitmq: {{ connection: rabbit, queue: {queue} }} }}
    sink: {{ kafka: {{ connection: events, topic: {topic} }} }}
    errors: {{ backoff: {{ initial: 100ms, max: 1s }} }}
"#,
            support::amqp_url(),
            support::bootstrap_servers(),
        );
        let gantry = Gantry::start(&yaml);
        kafka::wait_for_count(&topic, 500).await;
        Self { _brokers: brokers, rabbit, gantry, queue, topic, messages }
    }

    /// Everything must have arrived, in order.
    async fn judge(self) -> oracle::Verdict {
        let rabbit = Rabbit::connect_when_up().await;
        rabbit.wait_until_empty(&self.queue).await;
        self.gantry.wait_until_ready().await;
        self.gantry.check_conservation("b");
        let verdict = oracle::assert_nothing_lost(&kafka::read_all(&self.topic), self.messages);
        eprintln!("{}: {} arrived, {} duplicates", self.queue, verdict.arrived, verdict.duplicates);
        rabbit.delete(&self.queue).await;
        kafka::delete_topic(&self.topic).await;
        verdict
    }
}

/// `scripts/brokers ACTION NAME`: really down, or really up, when it returns.
async fn brokers(action: &'static str, name: &'static str) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/brokers");
    let run = move || std::process::Command::new(&script).args([action, name]).output();
    let output = tokio::task::spawn_blocking(run).await.expect("not cancelled").expect("scripts/brokers runs");
    assert!(output.status.success(), "scripts/brokers {action} {name}: {}", String::from_utf8_lossy(&output.stderr));
}
