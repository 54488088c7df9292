//! Gantry itself ends again and again.

use crate::{BROKERS, Scene, Setup, support::rabbit::single_active_consumer};

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_twenty_times_in_full_flow_loses_nothing() {
    let setup = Setup { queue: single_active_consumer(), ..Setup::direct() };
    let mut scene = Scene::with(BROKERS.lock().await, setup, 3_000).await;
    scene.killed(20).await;
    scene.judge().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_ten_times_in_full_flow_makes_no_duplicates() {
    let mut scene = Scene::that_drains(Setup::direct(), 3_000).await;
    scene.terminated(10).await;
    let verdict = scene.judge().await;
    assert_eq!(verdict.duplicates, 0, "a drain leaves nothing half done");
}
