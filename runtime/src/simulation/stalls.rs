//! What stands still is noticed, told, and ends; one call that hangs at a time in a world that is otherwise calm.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{
    behaviour::{MINUTE, Scene},
    misfortune::Call,
};
use crate::{Definition, Target, TaskState, TaskStatus, supervisor::Restart};

fn detects_stalls(definition: &mut Definition) {
    definition.stall_timeout = Some(MINUTE);
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_noticed_while_a_call_into_the_source_is_under_way() {
    let scene = Scene::set(14, 500, |definition| {
        definition.errors.give_back_after = Some(2 * MINUTE);
        definition.errors.backoff = (MINUTE, MINUTE);
    });
    scene.until_taken().await;
    scene.world.hang(Call::Commit);
    scene.until("it commits", |_| scene.world.state().hung.contains(&Call::Commit)).await;
    scene.world.take_the_sink_away(3 * MINUTE);
    scene.until_state(TaskState::BackingOff).await;
    let error = scene.error();
    assert!(error.starts_with("the sink has been out of reach for 2 min: "), "{error}");
    scene.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_sink_stays_open_while_only_the_source_cannot_be_opened() {
    let scene = Scene::set(10, 100, detects_stalls);
    scene.until_taken().await;
    scene.world.hang(Call::OpenSource);
    scene.world.cut_the_connection();
    // Each try ends by the guard; the sink and the dead letter of the second epoch are there for all of them.
    scene.until("it has tried a few times", |status| status.epoch == 6).await;
    assert_eq!(scene.opened(), (4, 1));
    assert_eq!(scene.status().counts.stalls, 4);
    scene.bridge.set_target(Target::Stopped);
    scene.until_state(TaskState::Stopped).await;
    scene.bridge.set_target(Target::Running);
    scene.until("it opens again", |status| status.epoch == 7).await;
    sleep(MINUTE / 2).await;
    assert_eq!(scene.opened().0, 6, "a stop lets go of it");
    scene.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_call_that_never_returns_is_a_stall_that_says_which() {
    let calls = [
        (Call::OpenSink, "opening the sink"),
        (Call::OpenSource, "opening the source"),
        (Call::Commit, "settling records"),
        (Call::Put, "none was settled for 60 s"),
        (Call::Poll, "records wait at the source, there is room for them, and none came for 60 s"),
    ];
    for (number, (call, expected)) in (20..).zip(calls) {
        let scene = Scene::set(number, 3000, |definition| {
            detects_stalls(definition);
            definition.errors.backoff = (MINUTE, MINUTE);
        });
        scene.until_taken().await;
        scene.world.hang(call);
        if matches!(call, Call::OpenSink | Call::OpenSource) {
            scene.world.cut_the_connection();
        }
        scene.until("the stall is noticed", |status| status.counts.stalls == 1).await;
        let error = scene.error();
        assert!(error.starts_with("stalled: ") && error.contains(expected), "{call:?}: {error}");
        scene.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_never_returns_holds_up_no_stop() {
    let calls = [Call::Put, Call::Poll, Call::Commit, Call::Suspend, Call::CloseSource, Call::CloseSink];
    for (number, call) in (40..).zip(calls) {
        let scene = Scene::set(number, 3000, |_| {});
        scene.until_taken().await;
        scene.world.hang(call);
        sleep(Duration::from_secs(1)).await;
        let asked = Instant::now();
        scene.bridge.set_target(Target::Stopped);
        scene.until_state(TaskState::Stopped).await;
        // The drain, and ten seconds for each part that does not close.
        assert!(asked.elapsed() <= super::DRAIN + Duration::from_secs(21), "{call:?}: {:?}", asked.elapsed());
        assert_eq!(scene.unacked_and_returned().0, 0, "{call:?}");
        scene.world.mend();
        scene.bridge.set_target(Target::Running);
        scene.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_source_that_rightly_gives_nothing_is_asked_less_and_less_often() {
    let scene = Scene::set(60, 0, detects_stalls);
    scene.until_state(TaskState::Running).await;
    // Somebody else is the active consumer: messages wait, and none comes here.
    scene.world.hang(Call::Poll);
    scene.bridge.restart(Restart::All);
    scene.until("it starts again", |status| status.epoch == 2).await;
    scene.world.publish(0..100);
    sleep(24 * 60 * MINUTE).await;
    let stalls = scene.status().counts.stalls;
    // 1, 2, 4, 8, 16, 32 minutes, then an hour each.
    assert!((28..=29).contains(&stalls), "{stalls}");
    scene.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_is_never_settled_is_a_stall_although_others_are() {
    let scene = Scene::set(62, 30, detects_stalls);
    // One at a time, so that something is settled all the while and credit lasts.
    scene.world.state().ready.clear();
    scene.world.state().loses_one = true;
    for id in 0..20 {
        scene.world.publish(id..id + 1);
        sleep(Duration::from_secs(10)).await;
    }
    assert_eq!((scene.status().counts.stalls, scene.status().epoch, scene.unacked_and_returned().0), (1, 2, 0));
    scene.world.publish(20..30);
    scene.end().await;
}

#[tokio::test(start_paused = true)]
async fn an_idle_queue_is_no_stall() {
    let scene = Scene::set(61, 100, detects_stalls);
    sleep(24 * 60 * MINUTE).await;
    assert_eq!((scene.status().counts.stalls, scene.status().epoch), (0, 1));
    scene.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_step_that_takes_long_is_told_while_it_goes_on() {
    let scene = Scene::set(65, 100, detects_stalls);
    scene.until_taken().await;
    scene.world.slow_down(Call::OpenSource, MINUTE / 2);
    scene.world.cut_the_connection();
    scene.until("it is told", |status| says(status, "goes on")).await;
    let error = scene.error();
    assert!(error.starts_with("opening the source has taken 10 s and goes on; before that: "), "{error}");
    scene.until_state(TaskState::Running).await;
    scene.until("nothing is told any more", |status| status.error.is_none()).await;
    sleep(MINUTE).await;
    assert_eq!((scene.error(), scene.status().epoch), (String::new(), 2));
    scene.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_step_that_takes_long_is_not_told_of_after_it_was_given_up() {
    let scene = Scene::set(66, 100, detects_stalls);
    scene.until_taken().await;
    scene.world.hang(Call::OpenSource);
    scene.world.cut_the_connection();
    for _ in 0..3 {
        scene.until("it is told", |status| says(status, "goes on")).await;
        let error = scene.error();
        assert_eq!(error.matches("goes on").count(), 1, "{error}");
        let epoch = scene.status().epoch;
        scene.bridge.restart(Restart::All);
        scene.until("it starts again", |status| status.epoch > epoch).await;
        assert!(!says(&scene.status(), "goes on"), "{}", scene.error());
    }
    scene.end().await;
}

fn says(status: &TaskStatus, text: &str) -> bool {
    status.error.as_deref().is_some_and(|error| error.contains(text))
}
