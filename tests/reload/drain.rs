//! Reloads that have to wait: nothing is confirmed, so a drain lasts until its deadline.

use std::thread::JoinHandle;

use crate::{
    dam::Dam,
    http::{Answer, request},
    names, reload,
    support::{self, SOON, eventually, gantry::Gantry, kafka, oracle, rabbit::Rabbit, unique},
};

/// A bridge with messages in flight that nobody confirms: there is a dam between it and Kafka.
struct Stuck {
    rabbit: Rabbit,
    /// The queue and the topic.
    name: String,
    /// For as long as it stands, what is behind it stays there.
    _dam: Dam,
    gantry: Gantry,
}

const MESSAGES: u64 = 100;

fn yaml(shutdown_timeout: &str, name: &str, kafka: &str, more: &str) -> String {
    format!(
        r#"shutdown_timeout: {shutdown_timeout}
connections:
  rabbit: {{ rabbitmq: {{ urls: ["{}"] }} }}
  events: {{ kafka: {{ bootstrap_servers: "{kafka}" }} }}
bridges:
  near: {{ source: {{ generate: {{ rate: 100 }} }}, sink: {{ "null": {{}} }} }}
  stuck:
    source: {{ rabbitmq: {{ connection: rabbit, queue: {name} }} }}
    sink: {{ kafka: {{ connection: events, topic: {name} }} }}
{more}"#,
        support::amqp_url(),
    )
}

impl Stuck {
    async fn begin(shutdown_timeout: &str) -> Self {
        let (name, dam) = (unique("stuck"), Dam::new());
        let rabbit = Rabbit::connect().await;
        rabbit.queue(&name).await;
        kafka::create_topic(&name, 1).await;
        let gantry = Gantry::ready(&yaml(shutdown_timeout, &name, &dam.bootstrap_servers(), "")).await;
        dam.close();
        rabbit.publish_sequence(&name, 0, MESSAGES, 200).await;
        eventually("all is in flight", SOON, async || {
            gantry.metric("gantry_records_in_flight", "stuck").filter(|held| *held == MESSAGES as f64)
        })
        .await;
        Self { rabbit, name, _dam: dam, gantry }
    }

    /// A way around the dam.
    fn configure(&self, shutdown_timeout: &str, more: &str) {
        self.gantry.configure(&yaml(shutdown_timeout, &self.name, &support::bootstrap_servers(), more));
    }

    /// Asks for a reload; its answer comes later.
    fn begin_reload(&self) -> JoinHandle<Answer> {
        let port = self.gantry.port();
        std::thread::spawn(move || request(port, "PUT", "/v1/reload", &[], ""))
    }

    /// All of it arrived, in order and once.
    async fn judge(self) {
        self.rabbit.wait_until_empty(&self.name).await;
        assert_eq!(oracle::assert_nothing_lost(&kafka::read_all(&self.name), MESSAGES).duplicates, 0);
        self.gantry.check_conservation("stuck");
        self.gantry.check_conservation("near");
        self.rabbit.delete(&self.name).await;
        kafka::delete_topic(&self.name).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_waits_for_the_drain_and_the_next_one_for_it() {
    // Only the new time-out lets this test come to its end.
    let stuck = Stuck::begin("1d").await;
    stuck.configure("5s", "");
    let first = stuck.begin_reload();
    stuck.gantry.wait_for_state("stuck", "stopping").await;
    // The rest goes on, and who looks gets an answer.
    assert_eq!(stuck.gantry.task("near").map(|(state, _)| state).as_deref(), Some("running"));
    assert_eq!(stuck.gantry.get("/healthz").map(|(status, _)| status), Some(200));

    stuck.configure("5s", "  third: { source: { generate: { rate: 1 } }, sink: { \"null\": {} } }\n");
    let second = stuck.begin_reload();
    let first = first.join().expect("an answer").json();
    assert_eq!((names(&first, "restarted"), names(&first, "undrained")), (vec!["stuck"], vec!["stuck"]), "{first}");
    assert_eq!((names(&first, "started"), names(&first, "stayed")), (vec![], vec!["near"]), "{first}");
    let second = second.join().expect("an answer").json();
    assert_eq!(
        (names(&second, "started"), names(&second, "stayed")),
        (vec!["third"], vec!["near", "stuck"]),
        "{second}"
    );

    // What did not drain went back, and takes the new way.
    stuck.judge().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_does_not_wait_for_a_reload() {
    let mut stuck = Stuck::begin("3s").await;
    stuck.configure("3s", "");
    let waiting = stuck.begin_reload();
    stuck.gantry.wait_for_state("stuck", "stopping").await;
    let ended = stuck.gantry.terminate().await;
    assert_eq!(ended.code(), Some(3), "not all was drained");
    assert!(waiting.join().expect("an answer").refusal(503).contains("stopping"));
    assert!(!stuck.gantry.log().contains("reloaded"), "nothing new was started");

    // All of it is still in the queue, for the next one.
    stuck.gantry.start_again();
    stuck.gantry.wait_until_ready().await;
    assert_eq!(names(&reload(&stuck.gantry), "stayed"), ["near", "stuck"]);
    stuck.judge().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_during_the_drain_is_for_the_successor() {
    let stuck = Stuck::begin("5s").await;
    stuck.configure("5s", "");
    let waiting = stuck.begin_reload();
    stuck.gantry.wait_for_state("stuck", "stopping").await;
    assert_eq!(stuck.gantry.request("PUT", "/connectors/stuck/pause").map(|(status, _)| status), Some(202));
    assert_eq!(names(&waiting.join().expect("an answer").json(), "restarted"), ["stuck"]);
    stuck.gantry.wait_for_state("stuck", "paused").await;
    assert_eq!(kafka::count(&stuck.name), Some(0), "nothing moves while paused");
    assert_eq!(stuck.gantry.request("PUT", "/connectors/stuck/resume").map(|(status, _)| status), Some(202));
    stuck.judge().await;
}
