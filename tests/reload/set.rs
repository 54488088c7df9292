//! The set of bridges as it comes and goes. Needs no broker.

use serde_json::json;

use crate::{
    http::{get, request},
    life, logged, names, reload,
    support::{SOON, eventually, gantry::Gantry},
};

/// An endless bridge of that name.
fn endless(name: &str) -> String {
    format!("  {name}: {{ source: {{ generate: {{ rate: 100 }} }}, sink: {{ \"null\": {{}} }} }}\n")
}

fn finite(name: &str, count: u32, rate: u32) -> String {
    format!("  {name}: {{ source: {{ generate: {{ count: {count}, rate: {rate} }} }}, sink: {{ \"null\": {{}} }} }}\n")
}

fn bridges(all: &[String]) -> String {
    format!("bridges:\n{}", all.concat())
}

#[tokio::test]
async fn without_bridges_it_waits_for_some_and_ends_when_all_have_finished() {
    let mut gantry = Gantry::ready("bridges: {}").await;
    gantry.configure(&bridges(&[endless("goes-on"), finite("few", 3, 1000)]));
    assert_eq!(names(&reload(&gantry), "started"), ["goes-on", "few"]);
    gantry.wait_for_state("few", "finished").await;
    gantry.check_conservation("few");

    gantry.configure("bridges: {}\n");
    assert_eq!(names(&reload(&gantry), "stopped"), ["few", "goes-on"]);
    assert_eq!(get(gantry.port(), "/connectors").json(), json!([]));
    gantry.wait_until_ready().await;

    // It lives on, and ends only with what it was given last.
    gantry.configure(&bridges(&[finite("last", 50, 100)]));
    assert_eq!(names(&reload(&gantry), "started"), ["last"]);
    assert!(gantry.wait().await.success());
    assert!(gantry.log().contains("every bridge has finished"), "{}", gantry.log());
}

#[tokio::test]
async fn sighup_does_the_same_and_two_of_them_do_no_harm() {
    let gantry = Gantry::ready(&bridges(&[endless("one"), endless("two")])).await;
    gantry.configure(&bridges(&[endless("one"), endless("three")]));
    gantry.signal("HUP");
    gantry.signal("HUP");
    eventually("the new bridge runs", SOON, async || gantry.task("three").filter(|(state, _)| state == "running"))
        .await;
    assert!(gantry.bridge("two").is_none());
    // Both by then, or one for both: signals that wait are one.
    let done = reload(&gantry);
    assert_eq!(names(&done, "stayed"), ["one", "three"]);
    assert_eq!((life(&gantry, "one").0, life(&gantry, "three").0), (1, 1));
    logged(&gantry, "SIGHUP", 1).await;
    gantry.check_conservation("one");
    gantry.check_conservation("three");
}

#[tokio::test]
async fn what_a_person_set_survives() {
    let gantry = Gantry::ready(&bridges(&[endless("paused"), endless("stopped"), endless("changed")])).await;
    let put = |path: &str| request(gantry.port(), "PUT", path, &[], "").status;
    assert_eq!(put("/connectors/paused/pause"), 202);
    assert_eq!(put("/connectors/changed/pause"), 202);
    assert_eq!(put("/connectors/stopped/stop"), 204);
    gantry.wait_for_state("paused", "paused").await;
    gantry.wait_for_state("changed", "paused").await;
    let before = life(&gantry, "paused");

    gantry.configure(&bridges(&[endless("paused"), endless("stopped"), endless("changed").replace("100", "200")]));
    let done = reload(&gantry);
    assert_eq!((names(&done, "restarted"), names(&done, "stayed")), (vec!["changed"], vec!["paused", "stopped"]));
    gantry.wait_for_state("changed", "paused").await;
    assert_eq!(life(&gantry, "paused"), before);
    assert_eq!(life(&gantry, "changed").1, 0, "its counts begin anew, and it moves nothing");
    let target = |name: &str| gantry.bridge(name).expect("the bridge")["target"].clone();
    assert_eq!((target("stopped"), target("changed")), (json!("stopped"), json!("paused")));
    assert_eq!(put("/connectors/changed/resume"), 202);
    gantry.wait_for_state("changed", "running").await;
    gantry.check_conservation("changed");
}

#[tokio::test]
async fn what_a_process_takes_up_only_once_is_named() {
    let gantry = Gantry::ready(&bridges(&[endless("one")])).await;
    let port = gantry.port();
    gantry.configure(&format!("log: {{ level: debug }}\n{}", bridges(&[endless("one")])));
    let file = gantry.directory().join("gantry.yaml");
    let text = std::fs::read_to_string(&file).expect("reading it").replace(&format!(":{port}"), ":1");
    std::fs::write(&file, text).expect("writing it");
    let done = reload(&gantry);
    assert_eq!(names(&done, "needs_restart"), ["control.listen", "log.level"]);
    assert_eq!(names(&done, "stayed"), ["one"]);
    logged(&gantry, "log.level changed: it needs a restart of the process", 1).await;
    // Said until it is done.
    assert_eq!(names(&reload(&gantry), "needs_restart"), ["control.listen", "log.level"]);
}

#[tokio::test]
async fn rest_shows_the_new_wording_of_a_bridge_that_stayed() {
    let gantry = Gantry::ready(&bridges(&[endless("one")])).await;
    let config = || get(gantry.port(), "/connectors/one/config").json();
    assert!(config().get("limits.batch").is_none());
    gantry.configure(&bridges(&[endless("one").replace("one: {", "one: { limits: { batch: 500 },")]));
    assert_eq!(names(&reload(&gantry), "stayed"), ["one"], "500 is the default");
    assert_eq!(config()["limits.batch"], "500");
    assert_eq!(life(&gantry, "one").0, 1);
}

#[tokio::test]
async fn a_bridge_that_has_failed_is_tried_again_and_one_that_runs_is_left_alone() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("out.jsonl");
    std::fs::create_dir(&path).expect("a directory in the file's place");
    let gantry = Gantry::start(&format!(
        r#"bridges:
  failing:
    source: {{ generate: {{ rate: 100 }} }}
    sink: {{ file: {{ path: {} }} }}
    errors: {{ backoff: {{ initial: 1h, max: 1h }} }}
  well: {{ source: {{ generate: {{ rate: 100 }} }}, sink: {{ "null": {{}} }} }}
"#,
        path.display()
    ));
    gantry.wait_for_state("failing", "failed").await;
    gantry.wait_for_state("well", "running").await;
    std::fs::remove_dir(&path).expect("mending it");
    let done = reload(&gantry);
    assert_eq!(names(&done, "tried_again"), ["failing"], "{done}");
    assert_eq!(names(&done, "stayed"), ["failing", "well"], "{done}");
    gantry.wait_until_ready().await;
    assert_eq!(life(&gantry, "well").0, 1);
    gantry.check_conservation("failing");
}
