//! A Kafka of three nodes: leaders that move, replicas that are missing, rights that are withdrawn.

use crate::{
    BROKERS, Scene, Setup,
    scene::rounds,
    support::{
        self, SOON,
        brokers::{cluster_up, run},
        eventually,
        kafka::Cluster,
    },
};

pub(crate) const STRICT: &[(&str, &str)] = &[("min.insync.replicas", "2")];

async fn begin(topic: &'static [(&'static str, &'static str)], messages: u64) -> Scene {
    begin_with(Setup { topic, ..Setup::direct() }, messages).await
}

/// The same with the cluster in the place of the single Kafka.
pub(crate) async fn begin_with(setup: Setup, messages: u64) -> Scene {
    let brokers = BROKERS.lock().await;
    cluster_up().await;
    let (servers, _) = support::cluster_servers();
    let kafka = Cluster::at(&servers, 3);
    let events = format!("bootstrap_servers: \"{servers}\"");
    Scene::with(brokers, Setup { events, kafka, ..setup }, messages).await
}

/// Who leads the topic once all of its replicas, or all but one, are in sync.
pub(crate) async fn leader(scene: &Scene, in_sync: usize) -> i32 {
    let what = format!("{in_sync} replicas are in sync");
    let leader = async || scene.kafka.leader(&scene.topic).filter(|(_, replicas)| *replicas == in_sync);
    eventually(&what, SOON, leader).await.0
}

#[tokio::test(flavor = "multi_thread")]
async fn the_leader_of_the_partition_killed_and_back_three_times() {
    let mut scene = begin(STRICT, 5_000).await;
    scene
        .fed(async |scene| {
            for _ in 0..rounds(3) {
                let old = leader(scene, 3).await;
                let node = old.to_string();
                run(&["cluster", "kill", &node]).await;
                let moved = async || scene.kafka.leader(&scene.topic).filter(|(new, _)| *new != old);
                eventually("another node leads", SOON, moved).await;
                scene.moves(1_000).await;
                run(&["cluster", "start", &node]).await;
            }
        })
        .await;
    let verdict = scene.judge().await;
    assert_eq!(verdict.duplicates, 0, "the new leader knows what the old one confirmed");
}

#[tokio::test(flavor = "multi_thread")]
async fn too_few_replicas_in_sync_for_a_while() {
    let mut scene = begin(&[("min.insync.replicas", "3")], 2_000).await;
    scene.rabbit.wait_until_empty(&scene.queue).await;
    let follower = (leader(&scene, 3).await % 3 + 1).to_string();
    run(&["cluster", "kill", &follower]).await;
    leader(&scene, 2).await;
    scene.publish(2_000).await;
    let held = async || scene.gantry.metric("gantry_records_in_flight", "b").filter(|held| *held > 0.0);
    eventually("records are held", SOON, held).await;
    assert_eq!(scene.count().await, 2_000, "Kafka takes nothing");
    run(&["cluster", "start", &follower]).await;
    let verdict = scene.judge().await;
    assert_eq!(verdict.duplicates, 0, "nothing was given back");
}

/// `cluster acls` for the user that logs in; on every topic, because that is what the tool can be told before one is made.
async fn acls(action: &str) {
    let user = ["--allow-principal", "User:bridge", "--operation", "Write", "--operation", "Describe"];
    run(&[&["cluster", "acls", action, "--force", "--topic", "*"], &user[..]].concat()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_right_to_write_withdrawn_and_granted_again() {
    let brokers = BROKERS.lock().await;
    cluster_up().await;
    let (servers, log_in) = support::cluster_servers();
    acls("--add").await;
    let sasl = "sasl: { mechanism: PLAIN, username: bridge, password: bridge-secret }";
    let events = format!("bootstrap_servers: \"{log_in}\", {sasl}");
    let setup = Setup { events, kafka: Cluster::at(&servers, 3), ..Setup::direct() };
    let mut scene = Scene::with(brokers, setup, 2_000).await;
    acls("--remove").await;
    scene.publish(2_000).await;
    let error = scene.gantry.wait_for_state("b", "failed").await;
    assert!(error.contains("not authorised") && error.contains("grant"), "{error}");
    let asked = scene.gantry.check(&["--connect"]).await;
    assert!(asked.contains("may not write topic") && asked.contains("kafka-acls.sh"), "{asked}");
    acls("--add").await;
    let asked = scene.gantry.check(&["--connect"]).await;
    assert!(!asked.contains("may not"), "{asked}");
    scene.judge().await;
    acls("--remove").await;
}
