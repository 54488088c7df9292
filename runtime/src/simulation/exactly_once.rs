//! Transactions, one thing at a time in a world that is otherwise calm. The world asserts that nothing is delivered twice.

use std::time::Duration;

use tokio::time::sleep;

use super::{
    behaviour::{MINUTE, Scene},
    change_tolerance,
    misfortune::Call,
    world::{is_filtered, is_refused},
};
use crate::{Definition, Delivery, Target, TaskState, Tolerance, supervisor::Restart};

fn exactly_once(definition: &mut Definition) {
    definition.delivery = Delivery::ExactlyOnce;
}

/// Committed transactions.
fn committed(scene: &Scene) -> u64 {
    scene.world.state().transactions.0
}

#[tokio::test(start_paused = true)]
async fn a_pause_commits_what_is_here_and_opens_no_other() {
    let scene = Scene::set(200, 3000, exactly_once);
    for _ in 0..10 {
        scene.until_taken().await;
        scene.bridge.set_target(Target::Paused);
        scene.until_state(TaskState::Paused).await;
        let (done, stored) = (committed(&scene), scene.world.state().stored);
        assert_eq!(scene.status().counts.in_flight, 0);
        assert!(scene.world.state().pending.is_empty() && stored > 0);
        sleep(10 * MINUTE).await;
        assert_eq!((committed(&scene), scene.world.state().stored), (done, stored), "nothing moves");
        scene.bridge.set_target(Target::Running);
        scene.until("it goes on", |status| status.counts.in_flight > 0).await;
    }
    scene.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_planned_restart_commits_and_returns_nothing() {
    let scene = Scene::set(201, 3000, exactly_once);
    for _ in 0..10 {
        scene.until_taken().await;
        let epoch = scene.status().epoch;
        scene.bridge.restart(Restart::All);
        scene.until("it starts again", |status| status.epoch > epoch).await;
    }
    assert_eq!((scene.status().counts.returned, scene.world.state().transactions.1), (0, 0));
    scene.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_at_its_deadline_leaves_what_is_not_committed() {
    let scene = Scene::set(202, 3000, exactly_once);
    scene.until_taken().await;
    scene.world.hang(Call::CommitTransaction);
    scene.until("a commit hangs", |_| scene.world.state().hung.contains(&Call::CommitTransaction)).await;
    let stored = scene.world.state().stored;
    scene.bridge.set_target(Target::Stopped);
    scene.until_state(TaskState::Stopped).await;
    assert_eq!(scene.world.state().stored, stored);
    assert!(scene.status().counts.returned > 0 && scene.status().counts.in_flight == 0);
    scene.world.mend();
    scene.bridge.set_target(Target::Running);
    scene.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_record_that_is_not_tolerated_gives_up_its_transaction() {
    let scene = Scene::set(203, 300, |definition| {
        exactly_once(definition);
        definition.errors.tolerance = Tolerance::None;
    });
    scene.until_state(TaskState::Failed).await;
    // The first that is refused is the fifth message: what came before it was in the same transaction.
    assert!(scene.world.state().delivered.iter().all(|delivery| delivery.id < 5));
    change_tolerance(&scene.bridges, Tolerance::All).await;
    scene.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_dead_letter_holds_up_the_commit_and_nothing_is_stored_before_it() {
    let scene = Scene::set(204, 300, exactly_once);
    scene.world.hang(Call::PutDeadLetter);
    scene.until("a dead letter is written", |_| scene.world.state().hung.contains(&Call::PutDeadLetter)).await;
    sleep(MINUTE).await;
    assert!(scene.world.state().stored <= 5, "the refused one is not dealt with");
    scene.world.mend();
    scene.bridge.restart(Restart::All);
    scene.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_bridge_with_little_to_do_commits_soon_and_then_does_nothing() {
    let scene = Scene::set(205, 0, exactly_once);
    scene.until_state(TaskState::Running).await;
    let wanted = (0..20).filter(|id| !is_filtered(*id) && !is_refused(*id)).count();
    scene.world.publish(0..20);
    sleep(Duration::from_secs(2)).await;
    assert_eq!(scene.world.state().delivered.len(), wanted);
    let done = committed(&scene);
    sleep(60 * MINUTE).await;
    assert_eq!(committed(&scene), done, "no transaction without records");
    scene.end().await;
}
