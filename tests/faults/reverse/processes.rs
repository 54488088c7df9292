//! Gantry itself ends again and again.

use crate::{BROKERS, Scene, Setup};

#[tokio::test(flavor = "multi_thread")]
async fn reverse_kill_9_twenty_times_in_full_flow_loses_nothing() {
    // A static member has its partitions again at once; another one would wait for its predecessor's session to end.
    let setup = Setup { source: ", group_instance_id: only", ..Setup::reverse() };
    let mut scene = Scene::with(BROKERS.lock().await, setup, 3_000).await;
    scene.killed(20).await;
    scene.judge().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reverse_kill_9_without_static_membership_waits_for_the_session() {
    let mut scene = Scene::reverse(3_000).await;
    scene.killed(2).await;
    scene.judge().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reverse_sigterm_ten_times_in_full_flow_makes_no_duplicates() {
    let mut scene = Scene::that_drains(Setup::reverse(), 3_000).await;
    scene.terminated(10).await;
    let verdict = scene.judge().await;
    assert_eq!(verdict.duplicates, 0, "a drain leaves nothing half done");
}
