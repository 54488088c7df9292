//! The wall clock jumps, as after a long sleep, a wrong battery or the first answer of a time server. Only the wall clock: the
//! monotonic clock goes on, on a real machine too.
//!
//! libfaketime stands between the process and the C library, and reads from a file by how much the clock is wrong. It is
//! never ahead of the real one here, for two reasons. libfaketime does not know `cnd_timedwait`, by which librdkafka waits: ahead
//! of the real clock it would wait until that has caught up; behind it, it only looks more often. And Kafka refuses records
//! that are more than an hour ahead of its own clock (`message.timestamp.after.max.ms`).

use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use jiff::Timestamp;
use serde_json::Value as Json;
use tempfile::TempDir;

use crate::{
    BROKERS, Scene, Setup,
    support::{SOON, eventually},
};

/// A jump counts when the clock is this near to where it should be: less than any jump of this test.
const NEAR: Duration = Duration::from_secs(1_800);

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_back_and_far_ahead_costs_nothing() {
    let clock = Clock::new();
    let setup = Setup { environment: clock.environment(), ..Setup::direct() };
    let mut scene = Scene::with(BROKERS.lock().await, setup, 20_000).await;
    scene
        .fed(async |scene| {
            // An hour back, a day back, a day ahead.
            for hours in [-1, -25, -1] {
                clock.jump(hours);
                let what = format!("gantry's clock is wrong by {hours} h");
                eventually(&what, SOON, async || is_wrong_by(&now_of(scene), hours).then_some(())).await;
                scene.moves(5_000).await;
                check_sanity(scene).await;
            }
        })
        .await;
    let task = scene.gantry.bridge("b").expect("the bridge")["tasks"][0].clone();
    assert_eq!((&task["state"], &task["error"]), (&Json::from("running"), &Json::Null), "{task:#}");
    assert_eq!(task["epoch"], 1, "it went on as it was: {task:#}");
    for restarts in ["gantry_reconnects_total", "gantry_stalls_total"] {
        assert_eq!(scene.gantry.metric(restarts, "b"), Some(0.0), "{restarts}");
    }
    let verdict = scene.judge().await;
    assert_eq!(verdict.duplicates, 0, "nothing was given back, nothing was sent again");
}

/// What it says of itself while its clock is wrong: no number has wrapped around, and the last progress was not tomorrow.
async fn check_sanity(scene: &Scene) {
    let progress = async || {
        let progress = scene.gantry.metric("gantry_task_last_progress_timestamp_seconds", "b")?;
        let now = now_of(scene).as_second();
        (progress <= now as f64 + 1.0 && progress > now as f64 - NEAR.as_secs_f64()).then_some(())
    };
    eventually("the last progress was just now, by its own clock", SOON, progress).await;
    scene.gantry.check_conservation("b");
    let (_, metrics) = scene.gantry.get("/metrics").expect("metrics");
    for line in metrics.lines().filter(|line| line.starts_with("gantry_")) {
        let value: f64 = line.rsplit(' ').next().and_then(|text| text.parse().ok()).expect("a number");
        assert!((0.0..1e12).contains(&value), "{line}");
    }
}

/// Gantry's own clock.
fn now_of(scene: &Scene) -> Timestamp {
    let (_, overview) = scene.gantry.get("/v1/bridges").expect("the overview");
    let overview: Json = serde_json::from_str(&overview).expect("JSON");
    overview["at"].as_str().and_then(|text| text.parse().ok()).expect("a time")
}

fn is_wrong_by(now: &Timestamp, hours: i64) -> bool {
    let real = Timestamp::try_from(SystemTime::now()).expect("a year that has four digits");
    let wrong = now.duration_since(real) - jiff::SignedDuration::from_hours(hours);
    wrong.unsigned_abs() < NEAR
}

/// The wall clock of a process that is started in its environment.
struct Clock {
    directory: TempDir,
    library: PathBuf,
}

impl Clock {
    fn new() -> Self {
        let library = ["x86_64", "aarch64"]
            .map(|machine| format!("/usr/lib/{machine}-linux-gnu/faketime/libfaketime.so.1"))
            .into_iter()
            .chain(std::env::var("GANTRY_TEST_FAKETIME"))
            .map(PathBuf::from)
            .find(|path| path.exists())
            .expect(
                "libfaketime: install it (apt-get install libfaketime), or say in GANTRY_TEST_FAKETIME where its .so is",
            );
        let clock = Self { directory: tempfile::tempdir().expect("a temporary directory"), library };
        clock.jump(0);
        clock
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("clock")
    }

    /// So many hours from the right time, from now on.
    fn jump(&self, hours: i64) {
        // In one step: a file that is read half-written would be one more jump.
        let new = self.directory.path().join("new");
        std::fs::write(&new, format!("{hours:+}h")).expect("writing how wrong it is");
        std::fs::rename(new, self.file()).expect("putting it in place");
    }

    fn environment(&self) -> Vec<(&'static str, String)> {
        let text = |path: &Path| path.to_str().expect("UTF-8").to_owned();
        vec![
            ("LD_PRELOAD", text(&self.library)),
            ("FAKETIME_TIMESTAMP_FILE", text(&self.file())),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ]
    }
}
