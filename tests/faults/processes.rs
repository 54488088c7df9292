//! Gantry itself ends again and again.

use crate::Scene;

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_twenty_times_in_full_flow_loses_nothing() {
    let mut scene = Scene::begin(3_000).await;
    scene
        .fed(async |scene| {
            for _ in 0..20 {
                scene.moves(100).await;
                scene.gantry.kill();
                scene.gantry.start_again();
            }
        })
        .await;
    scene.judge().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_ten_times_in_full_flow_makes_no_duplicates() {
    let mut scene = Scene::begin(3_000).await;
    scene
        .fed(async |scene| {
            for _ in 0..10 {
                scene.moves(100).await;
                let status = scene.gantry.terminate().await;
                assert_eq!(status.code(), Some(0), "it drains in time");
                scene.gantry.start_again();
            }
        })
        .await;
    let verdict = scene.judge().await;
    assert_eq!(verdict.duplicates, 0, "a drain leaves nothing half done");
}
