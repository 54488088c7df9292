//! The port itself, and `gantry status`, which asks it.

use std::process::{Command, Output};

use serde_json::Value as Json;

use crate::{
    ONE_AWAY, TWO,
    http::request,
    support::{SOON, eventually, gantry::Gantry},
    two, wait_for,
};

#[tokio::test]
async fn a_port_that_is_taken_is_told_with_its_address() {
    let (gantry, port) = two().await;
    let directory = tempfile::tempdir().expect("a directory");
    let config = directory.path().join("second.yaml");
    std::fs::write(&config, format!("control: {{ listen: \"127.0.0.1:{port}\" }}\n{TWO}")).expect("writing it");
    let output = run(&["run", config.to_str().expect("a path")]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(error.contains(&format!("127.0.0.1:{port}")) && error.contains("control.listen"), "{error}");
    drop(gantry);
}

#[tokio::test]
async fn status_shows_every_task_and_its_exit_code_says_how_it_is() {
    let gantry = Gantry::start(ONE_AWAY);
    let port = gantry.port();
    let url = format!("http://127.0.0.1:{port}");
    eventually("the port answers", SOON, async || gantry.get("/healthz")).await;
    wait_for(port, "near", "RUNNING", &["RUNNING"]).await;
    wait_for(port, "away", "RUNNING", &["RESTARTING"]).await;

    let output = run(&["status", "--url", &url]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "one bridge is not ready: {text}");
    let row = |bridge: &str| text.lines().find(|line| line.starts_with(bridge)).unwrap_or_default().to_owned();
    assert!(row("near").contains(" running ") && row("away").contains(" backing off "), "{text}");
    assert!(text.contains("127.0.0.1:1"), "the error is there: {text}");

    let json = run(&["status", "--json", "--url", &url]);
    let answer: Json = serde_json::from_slice(&json.stdout).expect("JSON");
    assert_eq!(json.status.code(), Some(1));
    assert_eq!(answer["bridges"][0]["name"], "away");

    assert_eq!(request(port, "PUT", "/connectors/away/stop", &[], "").status, 204);
    wait_for(port, "away", "STOPPED", &[]).await;
    assert_eq!(run(&["status", "--url", &url]).status.code(), Some(0));

    drop(gantry);
    let gone = run(&["status", "--url", &url]);
    assert_eq!(gone.status.code(), Some(2));
    let error = String::from_utf8_lossy(&gone.stderr);
    assert!(error.contains(&url) && error.contains("is gantry running there?"), "{error}");
}

/// `gantry run` of these bridges to its end: exit code and log.
fn run_to_the_end(bridges: &str, more: &[&str]) -> (Option<i32>, String) {
    let directory = tempfile::tempdir().expect("a directory");
    let config = directory.path().join("gantry.yaml");
    let yaml = format!("control: {{ listen: \"127.0.0.1:0\" }}\nbridges:\n{bridges}");
    std::fs::write(&config, yaml).expect("writing it");
    let output = run(&[&["run", config.to_str().expect("a path")], more].concat());
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_run_that_has_finished_says_what_became_of_the_records() {
    let bridges = "  b: { source: { generate: { count: 30 } }, sink: { \"null\": {} } }\n";
    let (code, log) = run_to_the_end(bridges, &[]);
    assert!(code == Some(0) && log.contains("drained: 30 delivered"), "{code:?}: {log}");
}

#[test]
fn a_bridge_that_fails_ends_the_run_if_that_was_asked_for() {
    let bridges = "  fails: { source: { generate: { count: 30 } }, sink: { file: { path: /dev } } }\n  \
                   goes-on: { source: { generate: { rate: 10 } }, sink: { \"null\": {} } }\n";
    let (code, log) = run_to_the_end(bridges, &["--exit-on-failure"]);
    assert!(code == Some(4) && log.contains("--exit-on-failure") && log.contains("drained: "), "{code:?}: {log}");
    assert!(log.contains("name a file in it"), "{log}");
}

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gantry")).args(arguments).output().expect("starting gantry")
}
