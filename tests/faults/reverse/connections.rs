//! Connections that RabbitMQ closes, and a queue that goes away, while the brokers stay up.

use crate::{
    Scene,
    consumers::{close_connection, connections_of_gantry},
    scene::rounds,
    support::{SOON, eventually},
};

#[tokio::test(flavor = "multi_thread")]
async fn reverse_connection_closed_by_the_broker_again_and_again() {
    let mut scene = Scene::reverse(3_000).await;
    scene
        .fed(async |scene| {
            for _ in 0..rounds(3) {
                let epoch = async || scene.gantry.bridge("b")?["tasks"][0]["epoch"].as_u64();
                let before = epoch().await;
                let names = eventually("gantry's connection is listed", SOON, async || {
                    Some(connections_of_gantry()).filter(|names| !names.is_empty())
                })
                .await;
                names.iter().for_each(|name| close_connection(name));
                eventually("a new epoch", SOON, async || (epoch().await > before).then_some(())).await;
                scene.moves(500).await;
            }
        })
        .await;
    scene.judge().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reverse_queue_deleted_halts_the_bridge_until_it_is_there_again() {
    let mut scene = Scene::reverse(3_000).await;
    scene.wait_for_count(3_000).await;
    let before = scene.rabbit.take_by_partition(&scene.queue, 3).await;
    scene.rabbit.delete(&scene.queue).await;
    scene.publish(1_000).await;
    // A record without a place is refused for good, and there is no dead letter.
    let error = scene.gantry.wait_for_state("b", "failed").await;
    assert!(error.contains(&scene.queue), "{error}");
    scene.rabbit.queue(&scene.queue).await;
    scene.gantry.request("POST", "/connectors/b/restart?includeTasks=true");
    scene.judge_with(before).await;
}
