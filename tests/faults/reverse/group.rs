//! The consumer group changes in full flow: a second gantry with the same group joins and leaves.

use crate::{Scene, scene::rounds, support::gantry::Gantry};

#[tokio::test(flavor = "multi_thread")]
async fn reverse_a_second_gantry_joins_and_leaves_three_times() {
    let mut scene = Scene::reverse(3_000).await;
    scene
        .fed(async |scene| {
            for _ in 0..rounds(3) {
                let mut second = Gantry::ready(&scene.yaml).await;
                takes_part(&second).await;
                scene.moves(500).await;
                assert!(second.terminate().await.success(), "it drains what it has");
                scene.moves(500).await;
            }
        })
        .await;
    scene.judge().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reverse_a_second_gantry_is_killed_and_its_partitions_go_on() {
    let mut scene = Scene::reverse(3_000).await;
    scene
        .fed(async |scene| {
            let mut second = Gantry::ready(&scene.yaml).await;
            takes_part(&second).await;
            second.kill();
            scene.moves(1_000).await;
        })
        .await;
    scene.judge().await;
}

/// Waits until it has been given partitions and moved records of theirs.
async fn takes_part(gantry: &Gantry) {
    use crate::support::{SOON, eventually};
    eventually("the second has moved records", SOON, async || {
        gantry.metric("gantry_records_out_total", "b").filter(|out| *out >= 100.0)
    })
    .await;
}
