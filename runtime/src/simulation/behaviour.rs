//! What the runtime does when one thing happens in a world that is otherwise calm.

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::time::{Instant, sleep, timeout};

use gantry_sdk::{ErrorKind, Result, plugin::Plugin};
use serde_json::Value as Json;

use super::{
    change_tolerance, conserved, definition,
    misfortune::{Call, Misfortune},
    start, try_now,
    world::{Nature, World, is_filtered, is_refused},
};
use crate::{
    Bridge, BridgeLimits, Bridges, DeadLetterTarget, Definition, Delivery, Resolver, Target, TaskState, TaskStatus,
    Tolerance, supervisor::Restart,
};

/// Worlds are known by a number; these are beyond any seed.
const NUMBERS: u64 = u64::MAX / 2;
const LIMITS: BridgeLimits =
    BridgeLimits { in_flight_records: 40, in_flight_bytes: 100_000, batch_records: 5, batch_bytes: 10_000 };
/// The first message that the transform refuses.
const REFUSED: u64 = 5;
pub(super) const MINUTE: Duration = Duration::from_secs(60);

pub(super) struct Scene {
    pub(super) world: Arc<World>,
    pub(super) bridges: Bridges,
    pub(super) bridge: Arc<Bridge>,
    messages: u64,
}

impl Scene {
    /// A calm world with so many messages, and a bridge in it.
    pub(super) fn set(number: u64, messages: u64, change: impl FnOnce(&mut Definition)) -> Self {
        let mut definition = definition(NUMBERS + number, LIMITS);
        change(&mut definition);
        let nature = Nature {
            messages,
            in_flight: LIMITS.in_flight_records,
            prefetch: 60,
            sinks: 1,
            splits: false,
            exactly_once: definition.delivery == Delivery::ExactlyOnce,
            asks: false,
            misfortune: Misfortune::default(),
        };
        let world = World::register(NUMBERS + number, nature);
        let bridges = start(definition);
        let bridge = bridges.get("simulated").expect("it is there");
        Self { world, bridges, bridge, messages }
    }

    pub(super) fn status(&self) -> TaskStatus {
        self.bridge.task_statuses().remove(0)
    }

    pub(super) fn error(&self) -> String {
        self.status().error.as_deref().unwrap_or_default().to_owned()
    }

    fn delivered(&self) -> usize {
        self.world.state().delivered.len()
    }

    /// What the broker waits for an acknowledgement of, and what went back to it.
    pub(super) fn unacked_and_returned(&self) -> (usize, u64) {
        let state = self.world.state();
        (state.unacked.len(), state.returned)
    }

    /// Times that sinks, dead letters' ones included, and sources were opened.
    pub(super) fn opened(&self) -> (u64, u64) {
        self.world.state().opened
    }

    pub(super) async fn until(&self, what: &str, holds: impl Fn(&TaskStatus) -> bool) {
        let reached = async {
            let begun = Instant::now();
            while !holds(&self.status()) {
                // What comes soon may be gone soon.
                sleep((begun.elapsed() / 100).max(Duration::from_millis(1))).await;
            }
        };
        assert!(timeout(60 * MINUTE, reached).await.is_ok(), "{what}: {:?}", self.status());
    }

    pub(super) async fn until_state(&self, state: TaskState) {
        self.until(state.as_str(), |status| status.state == state).await;
    }

    pub(super) async fn until_taken(&self) {
        self.until("something is in flight", |status| status.counts.in_flight > 0).await;
    }

    /// Everything arrives, and everything is where it belongs.
    pub(super) async fn end(self) {
        self.world.mend();
        let done = async {
            while !self.world.is_done() {
                sleep(Duration::from_millis(10)).await;
            }
        };
        assert!(
            timeout(60 * MINUTE, done).await.is_ok(),
            "{} of {}: {}",
            self.error(),
            self.messages,
            self.world.describe()
        );
        self.bridges.shutdown().await;
        conserved(&self.bridges);
        self.world.judge();
    }
}

#[tokio::test(start_paused = true)]
async fn a_planned_stop_or_restart_gives_nothing_back() {
    let scene = Scene::set(1, 3000, |_| {});
    for _ in 0..10 {
        scene.until_taken().await;
        assert!(scene.unacked_and_returned().0 > 0);
        scene.bridge.restart(Restart::All);
        let epoch = scene.status().epoch;
        scene.until("it starts again", |status| status.epoch > epoch).await;
    }
    scene.until_taken().await;
    scene.bridge.set_target(Target::Stopped);
    scene.until_state(TaskState::Stopped).await;
    assert_eq!((scene.unacked_and_returned(), scene.status().counts.returned), ((0, 0), 0));
    scene.bridge.set_target(Target::Running);
    scene.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_pause_lets_through_what_is_here_and_holds_nothing() {
    let scene = Scene::set(2, 3000, |_| {});
    for _ in 0..10 {
        scene.until_taken().await;
        scene.bridge.set_target(Target::Paused);
        scene.until_state(TaskState::Paused).await;
        let before = scene.delivered();
        assert_eq!((scene.status().counts.in_flight, scene.unacked_and_returned()), (0, (0, 0)));
        sleep(10 * MINUTE).await;
        assert_eq!(scene.delivered(), before, "nothing moves");
        scene.bridge.set_target(Target::Running);
        scene.until("it goes on", |status| status.counts.in_flight > 0).await;
    }
    assert_eq!((scene.status().epoch, scene.unacked_and_returned().1), (1, 0), "all the time on one connection");
    scene.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_resume_while_it_still_suspends_and_a_stop_while_it_pauses_work() {
    let scene = Scene::set(3, 3000, |_| {});
    scene.until_taken().await;
    scene.world.take_the_sink_away(Duration::from_secs(1));
    for _ in 0..20 {
        scene.bridge.set_target(Target::Paused);
        sleep(Duration::from_millis(7)).await;
        scene.bridge.set_target(Target::Running);
        sleep(Duration::from_millis(7)).await;
    }
    scene.bridge.set_target(Target::Paused);
    sleep(Duration::from_millis(5)).await;
    scene.bridge.set_target(Target::Stopped);
    scene.until_state(TaskState::Stopped).await;
    assert_eq!(scene.unacked_and_returned(), (0, 0), "the sink was back in time");
    // A pause while it drains: it ends, and comes back paused.
    scene.bridge.set_target(Target::Running);
    scene.until_taken().await;
    scene.bridge.set_target(Target::Stopped);
    scene.until_state(TaskState::Stopping).await;
    scene.bridge.set_target(Target::Paused);
    scene.until_state(TaskState::Paused).await;
    assert_eq!(scene.unacked_and_returned().0, 0);
    scene.bridge.set_target(Target::Running);
    scene.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_the_sink_cannot_follow_keeps_what_is_in_flight() {
    let scene = Scene::set(4, 500, |_| {});
    scene.until_taken().await;
    scene.world.take_the_sink_away(10 * MINUTE);
    scene.bridge.set_target(Target::Paused);
    scene.until_state(TaskState::Paused).await;
    let held = scene.status().counts.in_flight;
    assert!(held > 0 && scene.error().contains("sink unreachable"), "{held}: {}", scene.error());
    sleep(11 * MINUTE).await;
    assert_eq!(
        (scene.status().state, scene.status().counts.in_flight),
        (TaskState::Paused, 0),
        "it went through since"
    );
    scene.bridge.set_target(Target::Running);
    scene.until_state(TaskState::Running).await;
    assert_eq!((scene.status().epoch, scene.unacked_and_returned().1), (1, 0));
    scene.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_task_that_starts_while_it_is_paused_takes_nothing() {
    let scene = Scene::set(5, 500, |_| {});
    scene.until_taken().await;
    scene.bridge.set_target(Target::Paused);
    scene.until_state(TaskState::Paused).await;
    scene.world.cut_the_connection();
    // The end of the connection is noticed although nobody polls.
    scene.until("it is noticed", |status| status.state != TaskState::Paused).await;
    assert!(scene.error().contains("cut the connection"), "{}", scene.error());
    scene.until_state(TaskState::Paused).await;
    let before = (scene.delivered(), scene.opened().1);
    sleep(MINUTE).await;
    assert_eq!((scene.delivered(), scene.opened().1), before);
    scene.bridge.set_target(Target::Running);
    scene.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_connection_is_noticed_without_credit_and_in_put() {
    let scene = Scene::set(6, 500, |_| {});
    scene.until_taken().await;
    scene.world.take_the_sink_away(60 * MINUTE);
    sleep(MINUTE).await;
    assert!(scene.status().counts.in_flight > 0, "put waits");
    let cut = Instant::now();
    scene.world.cut_the_connection();
    scene.until_state(TaskState::BackingOff).await;
    assert!(cut.elapsed() < Duration::from_secs(1));
    assert!(scene.error().contains("cut the connection"), "{}", scene.error());
    scene.world.take_the_sink_away(Duration::ZERO);
    scene.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_long_outage_of_the_sink_gives_everything_back_and_takes_nothing_until_it_is_over() {
    for (number, paused) in [(7, false), (8, true)] {
        let scene = Scene::set(number, 500, |definition| definition.errors.give_back_after = Some(10 * MINUTE));
        scene.until_taken().await;
        scene.world.take_the_sink_away(45 * MINUTE);
        if paused {
            scene.bridge.set_target(Target::Paused);
        }
        sleep(9 * MINUTE).await;
        assert!(scene.status().counts.in_flight > 0, "it keeps what it holds for a while");
        let expected = if paused { TaskState::Paused } else { TaskState::Running };
        assert_eq!(scene.status().state, expected);
        sleep(2 * MINUTE).await;
        assert_eq!((scene.status().counts.in_flight, scene.unacked_and_returned().0), (0, 0));
        assert_eq!((scene.status().state, scene.status().epoch > 2), (TaskState::BackingOff, true));
        assert_eq!(scene.opened().1, 1, "the source is not opened meanwhile");
        scene.bridge.set_target(Target::Running);
        scene.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_source_stays_open_while_only_the_sink_is_lost_but_not_for_long() {
    for (number, away, sources) in [(11, 10 * MINUTE + MINUTE / 3, 1), (12, 11 * MINUTE, 2)] {
        let scene = Scene::set(number, 500, |definition| definition.errors.give_back_after = Some(10 * MINUTE));
        scene.until_taken().await;
        scene.world.take_the_sink_away(away);
        scene.until_state(TaskState::BackingOff).await;
        assert_eq!((scene.unacked_and_returned().0, scene.opened().1), (0, 1), "it holds nothing");
        scene.until_state(TaskState::Running).await;
        assert_eq!(scene.opened().1, sources);
        scene.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_closes_a_source_that_was_kept() {
    let scene = Scene::set(13, 500, |definition| definition.errors.give_back_after = Some(10 * MINUTE));
    scene.until_taken().await;
    scene.world.take_the_sink_away(10 * MINUTE + MINUTE / 3);
    scene.until_state(TaskState::BackingOff).await;
    scene.bridge.set_target(Target::Stopped);
    scene.until_state(TaskState::Stopped).await;
    assert!(scene.world.state().cut, "it is disconnected");
    scene.world.take_the_sink_away(Duration::ZERO);
    scene.bridge.set_target(Target::Running);
    scene.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_an_outage_gives_back_is_told() {
    let scene = Scene::set(9, 500, |definition| {
        definition.errors.give_back_after = Some(10 * MINUTE);
        definition.errors.backoff = (MINUTE, MINUTE);
    });
    scene.until_taken().await;
    scene.world.take_the_sink_away(11 * MINUTE);
    scene.until_state(TaskState::BackingOff).await;
    let error = scene.error();
    assert!(error.starts_with("the sink has been out of reach for 10 min: ") && error.contains("go back"), "{error}");
    scene.end().await;
}

/// A record that transforms refuse has no part at the sink: alone in its batch, nothing else keeps it from being committed.
fn every_record_is_a_batch(definition: &mut Definition) {
    definition.limits.batch_records = 1;
}

#[tokio::test(start_paused = true)]
async fn what_halts_a_bridge_stays_at_its_source() {
    let scene = Scene::set(70, 100, |definition| {
        every_record_is_a_batch(definition);
        definition.errors.tolerance = Tolerance::None;
    });
    scene.until_state(TaskState::Failed).await;
    let waiting = || scene.world.state().ready.clone();
    assert_eq!(waiting().front(), Some(&REFUSED), "what came before it is delivered, and nothing else");
    assert!(!try_now(&scene.bridges), "a reload leaves it alone: each try costs the record a delivery");
    sleep(MINUTE).await;
    assert_eq!(scene.status().epoch, 1);
    for epoch in 2..10 {
        scene.bridge.restart(Restart::All);
        scene.until("it halts again", |status| status.epoch == epoch && status.state == TaskState::Failed).await;
        assert_eq!(waiting().front(), Some(&REFUSED));
    }
    conserved(&scene.bridges);
    change_tolerance(&scene.bridges, Tolerance::All).await;
    scene.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_while_a_record_is_rejected_leaves_it_at_its_source() {
    let scene = Scene::set(71, 100, |definition| {
        every_record_is_a_batch(definition);
        definition.errors.dead_letter = Some(DeadLetterTarget::Reject);
    });
    scene.world.hang(Call::Reject);
    scene.until("it is rejected", |_| scene.world.state().hung.contains(&Call::Reject)).await;
    scene.bridge.set_target(Target::Stopped);
    scene.until_state(TaskState::Stopped).await;
    assert_eq!(scene.world.state().ready.front(), Some(&REFUSED));
    scene.world.mend();
    scene.bridge.set_target(Target::Running);
    scene.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_is_made_just_now_is_served_soon_and_one_that_is_made_later_within_a_minute() {
    for (number, later) in [(80, Duration::from_secs(3)), (81, 60 * MINUTE)] {
        let scene = Scene::set(number, 100, |definition| {
            definition.errors.backoff = (Duration::from_secs(1), 60 * MINUTE);
        });
        scene.world.refuse(Some(ErrorKind::Missing));
        scene.world.cut_the_connection();
        scene.bridge.restart(Restart::All);
        scene.until_state(TaskState::Failed).await;
        let next = scene.status().next_try.expect("it says when it tries again");
        assert!(next <= std::time::SystemTime::now() + Duration::from_secs(1), "{next:?}");
        sleep(later).await;
        scene.world.refuse(None);
        let made = Instant::now();
        scene.until_state(TaskState::Running).await;
        // It has waited for half of it at least, and waits for no longer again.
        assert!(made.elapsed() <= later.min(MINUTE) + Duration::from_secs(5), "{:?}", made.elapsed());
        assert_eq!(scene.status().next_try, None);
        scene.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_reload_makes_a_failed_bridge_try_now() {
    let scene = Scene::set(82, 100, |definition| definition.errors.backoff = (60 * MINUTE, 60 * MINUTE));
    scene.world.refuse(Some(ErrorKind::Refused));
    scene.bridge.restart(Restart::All);
    scene.until_state(TaskState::Failed).await;
    scene.world.refuse(None);
    let mended = Instant::now();
    assert!(try_now(&scene.bridges));
    scene.until_state(TaskState::Running).await;
    assert!(mended.elapsed() < MINUTE, "{:?}", mended.elapsed());
    assert!(!try_now(&scene.bridges), "a bridge that runs is left alone");
    scene.end().await;
}

/// Options that refer to one file.
#[derive(Debug)]
struct SecretFile(PathBuf);

impl Resolver for SecretFile {
    fn make(&self, _: &dyn Plugin, options: &Json, make: &mut dyn FnMut(&Json) -> Result<()>) -> Result<()> {
        make(options)
    }

    fn checked(&self, _: &dyn Plugin, options: &Json) -> Result<Json> {
        Ok(options.clone())
    }

    fn files(&self, _: &Json) -> Vec<PathBuf> {
        vec![self.0.clone()]
    }
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_was_replaced_is_tried_at_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let secret = directory.path().join("token");
    for (number, kind) in [(83, ErrorKind::Refused), (84, ErrorKind::Disconnected)] {
        std::fs::write(&secret, "old").expect("writing");
        let scene = Scene::set(number, 100, |definition| {
            definition.errors.backoff = (60 * MINUTE, 60 * MINUTE);
            definition.source.resolver = Arc::new(SecretFile(secret.clone()));
        });
        scene.world.refuse(Some(kind));
        scene.bridge.restart(Restart::All);
        scene.until("it waits", |status| status.next_try.is_some()).await;
        let epoch = scene.status().epoch;
        sleep(10 * MINUTE).await;
        assert_eq!(scene.status().epoch, epoch, "nothing has changed, so it waits");
        scene.world.refuse(None);
        let replaced = Instant::now();
        let next = directory.path().join("next");
        std::fs::write(&next, "new").and_then(|()| std::fs::rename(&next, &secret)).expect("replacing");
        scene.until_state(TaskState::Running).await;
        assert!(replaced.elapsed() < MINUTE, "{:?}", replaced.elapsed());
        scene.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn another_time_for_the_drain_wakes_nobody() {
    // A task that waits to be mended must not take it for a wish to try again.
    let scene = Scene::set(90, 10, |_| {});
    let mut wanted = scene.bridge.listen();
    scene.bridges.set_drain(Duration::from_millis(1));
    assert!(!wanted.has_changed().expect("the task lives"));
    assert_eq!(wanted.borrow_and_update().drain, Duration::from_millis(1));
    scene.bridges.set_target("simulated", Target::Paused);
    assert!(wanted.has_changed().expect("the task lives"));
    // Who listens counts as a task that lives.
    drop(wanted);
    assert!(scene.bridges.shutdown().await);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_is_just_opening_is_closed_and_not_dropped() {
    // What it has taken already would else come back after the next one has taken what follows it.
    let scene = Scene::set(91, 2000, |_| {});
    scene.until_taken().await;
    scene.world.state().opening = MINUTE / 60;
    for wish in [Target::Stopped, Target::Paused, Target::Running] {
        let opened = scene.opened().1;
        scene.bridge.restart(Restart::All);
        let connects = async {
            while scene.opened().1 == opened {
                sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(MINUTE, connects).await.expect("it connects again");
        scene.bridge.restart(Restart::All);
        scene.bridges.set_target("simulated", wish);
        scene.bridges.set_target("simulated", Target::Running);
        scene.until_state(TaskState::Running).await;
    }
    assert_eq!(scene.world.state().dropped, 0);
    scene.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_that_takes_nothing_holds_up_only_what_is_behind_it() {
    let scene = Scene::set(92, 300, |_| {});
    scene.world.hang(Call::PutDeadLetter);
    let held = LIMITS.in_flight_records as u64;
    scene.until("all credit is used", |status| status.counts.records_in >= held).await;
    sleep(MINUTE).await;
    let seen = |id: &u64| scene.world.state().delivered.iter().any(|delivery| delivery.id == *id);
    let behind = (REFUSED + 1..REFUSED + held - 10).filter(|id| !is_filtered(*id) && !is_refused(*id));
    assert!(behind.clone().count() > 20 && behind.clone().all(|id| seen(&id)), "the sink goes on");
    scene.world.mend();
    scene.bridge.restart(Restart::All);
    scene.end().await;
}
