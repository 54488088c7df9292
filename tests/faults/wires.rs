//! Networks that cut, fall silent, delay and reset, on either side of a bridge.

use std::time::Duration;

use tokio::sync::MutexGuard;

use crate::{
    BROKERS, Scene, Setup,
    support::{
        self, SOON, eventually,
        gantry::Gantry,
        kafka, oracle,
        proxy::{Faults, Proxy},
        rabbit::{Rabbit, single_active_consumer},
        unique,
    },
};

/// The wires between a bridge and its brokers.
pub(crate) struct Wires {
    pub(crate) rabbit: Proxy,
    pub(crate) kafka: Proxy,
}

impl Wires {
    pub(crate) async fn start() -> Self {
        let rabbit = Proxy::start(&support::amqp_address()).await;
        let kafka = Proxy::start_on(support::kafka_proxy_port(), &support::kafka_behind_proxy(), 1).await;
        Self { rabbit, kafka }
    }

    /// Time-outs are short, because tests wait for them.
    pub(crate) fn setup(&self) -> Setup {
        let url = self.rabbit.instead_of(&support::amqp_url());
        let timeouts = "socket.timeout.ms: 5000, reconnect.backoff.max.ms: 1000";
        Setup {
            rabbit: format!("urls: [\"{url}\"], heartbeat: 3s"),
            events: format!("bootstrap_servers: \"127.0.0.1:{}\", properties: {{ {timeouts} }}", self.kafka.port()),
            queue: single_active_consumer(),
            ..Setup::direct()
        }
    }
}

async fn begin(messages: u64) -> (Scene, Wires) {
    let brokers: MutexGuard<'static, ()> = BROKERS.lock().await;
    let wires = Wires::start().await;
    (Scene::with(brokers, wires.setup(), messages).await, wires)
}

#[tokio::test(flavor = "multi_thread")]
async fn connection_to_rabbitmq_cut_twenty_times() {
    let (mut scene, wires) = begin(2_000).await;
    scene.again_and_again(20, async |_| wires.rabbit.cut()).await;
    scene.judge().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connection_to_kafka_cut_twenty_times() {
    let (mut scene, wires) = begin(2_000).await;
    scene.again_and_again(20, async |_| wires.kafka.cut()).await;
    let verdict = scene.judge().await;
    assert_eq!(verdict.duplicates, 0, "the idempotent producer goes on where it was");
}

#[tokio::test(flavor = "multi_thread")]
async fn half_open_connection_to_rabbitmq() {
    let (mut scene, wires) = begin(2_000).await;
    wires.rabbit.set(Faults { silent: true, ..Faults::default() });
    let error = scene.gantry.wait_for_state("b", "backing_off").await;
    assert!(error.contains("heartbeat"), "{error}");
    scene.publish(2_000).await;
    wires.rabbit.heal();
    scene.judge().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn half_open_connection_to_kafka() {
    let (mut scene, wires) = begin(2_000).await;
    wires.kafka.set(Faults { silent: true, ..Faults::default() });
    scene.publish(5_000).await;
    scene.gantry.wait_until_not_ready("").await;
    wires.kafka.heal();
    let verdict = scene.judge().await;
    assert_eq!(verdict.duplicates, 0, "what was not confirmed is sent again, and Kafka knows it");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_seconds_of_latency_then_one_percent_of_resets() {
    let (mut scene, wires) = begin(1_000).await;
    let slow = Faults { latency: Duration::from_secs(2), ..Faults::default() };
    wires.rabbit.set(slow);
    wires.kafka.set(slow);
    let unreliable = Faults { resets: 100, ..Faults::default() };
    scene
        .fed(async |scene| {
            scene.moves(1_000).await;
            wires.rabbit.set(unreliable);
            wires.kafka.set(unreliable);
            scene.moves(20_000).await;
        })
        .await;
    wires.rabbit.heal();
    wires.kafka.heal();
    scene.judge().await;
}

/// One process, two bridges: one behind bad wires, one straight to the brokers. The second must not notice.
#[tokio::test(flavor = "multi_thread")]
async fn a_neighbour_in_the_same_process_notices_nothing() {
    let _brokers = BROKERS.lock().await;
    let wires = Wires::start().await;
    let (bad, good, queues) = (wires.setup(), Setup::direct(), [unique("bad"), unique("good")]);
    let rabbit = Rabbit::connect_when_up().await;
    let mut yaml = format!(
        "connections:\n  bad-rabbit: {{ rabbitmq: {{ {} }} }}\n  bad-kafka: {{ kafka: {{ {} }} }}\n  \
         good-rabbit: {{ rabbitmq: {{ {} }} }}\n  good-kafka: {{ kafka: {{ {} }} }}\nbridges:\n",
        bad.rabbit, bad.events, good.rabbit, good.events
    );
    for (name, queue) in ["bad", "good"].into_iter().zip(&queues) {
        rabbit.queue_with(queue, single_active_consumer()).await;
        kafka::create_topic(queue, 1).await;
        yaml += &format!(
            "  {name}:\n    source: {{ rabbitmq: {{ connection: {name}-rabbit, queue: {queue} }} }}\n    \
             sink: {{ kafka: {{ connection: {name}-kafka, topic: {queue} }} }}\n    \
             errors: {{ backoff: {{ initial: 100ms, max: 1s }} }}\n"
        );
    }
    let gantry = Gantry::ready(&yaml).await;
    let refused = Faults { refuse: true, ..Faults::default() };
    let silent = Faults { silent: true, ..Faults::default() };
    let slow = Faults { latency: Duration::from_millis(500), bytes_per_second: 50_000, ..Faults::default() };
    let unreliable = Faults { resets: 1_000, ..Faults::default() };
    let mut published = 0;
    for faults in [refused, silent, slow, unreliable] {
        for (wire, other) in [(&wires.rabbit, &wires.kafka), (&wires.kafka, &wires.rabbit)] {
            other.heal();
            wire.set(faults);
            if faults.refuse {
                wire.cut();
            }
            for queue in &queues {
                rabbit.publish_sequence(queue, published, published + 500, 200).await;
            }
            published += 500;
            // While its neighbour is in trouble.
            kafka::wait_for_count(&queues[1], i64::try_from(published).expect("few")).await;
            assert_eq!(gantry.task("good"), Some(("running".into(), String::new())));
        }
    }
    wires.rabbit.heal();
    wires.kafka.heal();
    for (name, queue) in ["bad", "good"].into_iter().zip(&queues) {
        eventually("nothing is missing", SOON, async || {
            oracle::judge(&kafka::read_all(queue), published).missing.is_empty().then_some(())
        })
        .await;
        rabbit.wait_until_empty(queue).await;
        gantry.wait_until_ready().await;
        gantry.check_conservation(name);
        let verdict = oracle::assert_nothing_lost(&kafka::read_all(queue), published);
        eprintln!("{name}: {} arrived, {} duplicates", verdict.arrived, verdict.duplicates);
        assert!(name == "bad" || verdict.duplicates == 0, "{verdict:?}");
    }
    assert_eq!(gantry.bridge("good").map(|bridge| bridge["tasks"][0]["epoch"].clone()), Some(1.into()));
    drop(gantry);
    for queue in &queues {
        rabbit.delete(queue).await;
        kafka::delete_topic(queue).await;
    }
}
