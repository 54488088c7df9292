//! A Kafka of three nodes whose leaders move.

use crate::{
    Setup,
    cluster::{self, STRICT},
    scene::rounds,
    support::{SOON, brokers::run, eventually},
};

#[tokio::test(flavor = "multi_thread")]
async fn reverse_the_leader_of_the_partition_killed_and_back_three_times() {
    let mut scene = cluster::begin_with(Setup { topic: STRICT, ..Setup::reverse() }, 5_000).await;
    scene
        .fed(async |scene| {
            for _ in 0..rounds(3) {
                let old = cluster::leader(scene, 3).await;
                let node = old.to_string();
                run(&["cluster", "kill", &node]).await;
                let moved = async || scene.kafka.leader(&scene.topic).filter(|(new, _)| *new != old);
                eventually("another node leads", SOON, moved).await;
                scene.moves(1_000).await;
                run(&["cluster", "start", &node]).await;
            }
        })
        .await;
    scene.judge().await;
}
