//! What a part remembers outlives its instances, and the bridge that is changed. Each instance asserts that it finds what all
//! before it have left ([`super::made`]).

use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::{
    behaviour::{MINUTE, Scene},
    change_tolerance,
    world::INLET,
};
use crate::{Bridges, Difference, Target, TaskState, Tolerance, supervisor::Restart};

/// Until so many sources were made.
async fn until_made(scene: &Scene, sources: u64) {
    let reached = async {
        while scene.world.state().made[INLET] < sources {
            sleep(Duration::from_millis(1)).await;
        }
    };
    assert!(timeout(MINUTE, reached).await.is_ok(), "{:?} instead of {sources}", scene.world.state().made);
}

async fn remove_and_add_later(bridges: &Bridges, between: impl FnOnce()) {
    let definition = bridges.get("simulated").expect("it is there").definition().clone();
    bridges.apply(Difference { removed: vec![definition.name.clone()], ..Difference::default() }).await;
    between();
    bridges.apply(Difference { added: vec![definition], ..Difference::default() }).await;
}

#[tokio::test(start_paused = true)]
async fn what_parts_remember_is_there_until_their_bridge_is_removed() {
    let mut scene = Scene::set(300, 2000, |_| {});
    until_made(&scene, 1).await;
    scene.until_taken().await;
    scene.world.cut_the_connection();
    until_made(&scene, 2).await;
    scene.until_state(TaskState::Running).await;
    scene.bridge.restart(Restart::All);
    until_made(&scene, 3).await;
    scene.bridge.set_target(Target::Stopped);
    scene.until_state(TaskState::Stopped).await;
    scene.bridge.set_target(Target::Running);
    until_made(&scene, 4).await;
    // A successor has it, and the successor's.
    let before = scene.world.state().made;
    for (tolerance, sources) in [(Tolerance::None, 5), (Tolerance::All, 6)] {
        change_tolerance(&scene.bridges, tolerance).await;
        until_made(&scene, sources).await;
    }
    let made = scene.world.state().made;
    let used: Vec<_> = made.into_iter().zip(before).filter(|(_, before)| *before > 0).collect();
    assert_eq!(used.len(), 3, "a sink, a dead letter and a source: {before:?}");
    assert!(used.iter().all(|(made, before)| made > before), "{before:?}, then {made:?}");
    // One of the same name that is added later is another.
    remove_and_add_later(&scene.bridges, || scene.world.state().made = Default::default()).await;
    until_made(&scene, 1).await;
    scene.bridge = scene.bridges.get("simulated").expect("it is there");
    scene.end().await;
}
