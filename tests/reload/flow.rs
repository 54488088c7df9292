//! Under flow, from RabbitMQ to Kafka: the oracle judges every queue.

use crate::{
    life, names, reload,
    support::{self, SOON, eventually, gantry::Gantry, kafka, oracle, rabbit::Rabbit, unique},
};

const MESSAGES: u64 = 20_000;

/// Queues and topics of the same names.
struct Scene {
    rabbit: Rabbit,
    names: Vec<String>,
}

impl Scene {
    async fn of(names: &[&str]) -> Self {
        let rabbit = Rabbit::connect().await;
        let names: Vec<_> = names.iter().map(|name| unique(name)).collect();
        for name in &names {
            rabbit.queue(name).await;
            kafka::create_topic(name, 1).await;
            rabbit.publish_sequence(name, 0, MESSAGES, 200).await;
        }
        Self { rabbit, names }
    }

    /// Everything arrived, in order and once.
    async fn judge(&self) {
        for name in &self.names {
            self.rabbit.wait_until_empty(name).await;
            let verdict = oracle::assert_nothing_lost(&kafka::read_all(name), MESSAGES);
            assert_eq!(verdict.duplicates, 0, "{name}: what drained has committed");
        }
    }

    async fn remove(self) {
        for name in &self.names {
            self.rabbit.delete(name).await;
            kafka::delete_topic(name).await;
        }
    }
}

fn connections(kafka: &str) -> String {
    format!(
        "shutdown_timeout: 30s\nconnections:\n  rabbit: {{ rabbitmq: {{ urls: [\"{}\"] }} }}\n  events: {{ kafka: {{ bootstrap_servers: \"{}\" }} }}\n  others: {{ kafka: {{ bootstrap_servers: \"{}\"{kafka} }} }}\nbridges:\n",
        support::amqp_url(),
        support::bootstrap_servers(),
        support::bootstrap_servers(),
    )
}

/// A bridge from a queue to the topic of the same name.
fn bridge(name: &str, queue: &str, connection: &str, rest: &str) -> String {
    format!(
        "  {name}:\n    source: {{ rabbitmq: {{ connection: rabbit, queue: {queue}{rest} }} }}\n    sink: {{ kafka: {{ connection: {connection}, topic: {queue} }} }}\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bridge_that_did_not_change_does_not_notice() {
    let scene = Scene::of(&["stays", "changes", "comes"]).await;
    let [stays, changes, comes] = scene.names.as_slice() else { unreachable!() };
    let staying = bridge("stays", stays, "events", "");
    let two = |prefetch: u32| {
        connections("") + &staying + &bridge("changes", changes, "events", &format!(", prefetch: {prefetch}"))
    };
    let gantry = Gantry::start(&two(500));
    kafka::wait_for_count(stays, 500).await;

    for (round, prefetch) in [(1, 600), (2, 700), (3, 800)] {
        kafka::wait_for_count(changes, round * 2_000).await;
        let (_, before) = life(&gantry, "stays");
        gantry.configure(&two(prefetch));
        let done = reload(&gantry);
        assert_eq!((names(&done, "restarted"), names(&done, "stayed")), (vec!["changes"], vec!["stays"]), "{done}");
        assert_eq!(names(&done, "undrained"), [""; 0]);
        let (epoch, after) = life(&gantry, "stays");
        assert!(epoch == 1 && after >= before, "epoch {epoch}, {before} then {after}");
        gantry.check_conservation("stays");
    }
    gantry.configure(&(two(800) + &bridge("comes", comes, "events", "")));
    assert_eq!(names(&reload(&gantry), "started"), ["comes"]);
    kafka::wait_for_count(comes, 2_000).await;
    gantry.check_conservation("comes");
    gantry.check_conservation("changes");
    scene.judge().await;

    gantry.configure(&(connections("") + &staying));
    let done = reload(&gantry);
    assert_eq!((names(&done, "stopped"), names(&done, "stayed")), (vec!["changes", "comes"], vec!["stays"]));
    let metrics = gantry.get("/metrics").expect("metrics").1;
    for gone in ["changes", "comes"] {
        assert!(!metrics.contains(&format!("bridge=\"{gone}\"")), "{metrics}");
        assert!(gantry.bridge(gone).is_none());
    }
    assert!(metrics.contains("gantry_settle_seconds_count{bridge=\"stays\""), "{metrics}");
    let (epoch, moved) = life(&gantry, "stays");
    assert_eq!((epoch, moved), (1, MESSAGES), "one incarnation took each message once");
    gantry.check_conservation("stays");
    scene.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_connection_restarts_who_uses_it() {
    let scene = Scene::of(&["one", "two"]).await;
    let [one, two] = scene.names.as_slice() else { unreachable!() };
    let bridges = bridge("one", one, "events", "") + &bridge("two", two, "others", "");
    let gantry = Gantry::start(&(connections("") + &bridges));
    for name in &scene.names {
        kafka::wait_for_count(name, 1_000).await;
    }
    gantry.configure(&(connections(", properties: { queue.buffering.max.messages: 50000 }") + &bridges));
    let done = reload(&gantry);
    assert_eq!((names(&done, "restarted"), names(&done, "stayed")), (vec!["two"], vec!["one"]), "{done}");
    assert_eq!(life(&gantry, "one").0, 1);
    scene.judge().await;
    gantry.check_conservation("one");
    gantry.check_conservation("two");
    scene.remove().await;
}

/// A bridge that gets another name is one that ends and one that starts: the new one takes up the queue when the old one
/// has let go of it, so that nothing is out of order.
#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_bridge_hands_over_its_queue() {
    let scene = Scene::of(&["renamed"]).await;
    let queue = &scene.names[0];
    let gantry = Gantry::start(&(connections("") + &bridge("first", queue, "events", "")));
    for (round, (old, new)) in [("first", "second"), ("second", "third")].into_iter().enumerate() {
        kafka::wait_for_count(queue, 3_000 * (round as i64 + 1)).await;
        gantry.configure(&(connections("") + &bridge(new, queue, "events", "")));
        let done = reload(&gantry);
        assert_eq!((names(&done, "stopped"), names(&done, "started")), (vec![old], vec![new]), "{done}");
        eventually("it runs", SOON, async || gantry.task(new).filter(|(state, _)| state == "running")).await;
    }
    scene.judge().await;
    gantry.check_conservation("third");
    scene.remove().await;
}
