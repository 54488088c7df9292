//! The port itself, and `gantry status`, which asks it.

use std::{
    fs::File,
    process::{Command, Output},
};

use serde_json::Value as Json;

use super::{
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

/// What `HTTP_PROXY` names knows nothing of this machine's ports.
#[tokio::test]
async fn no_proxy_is_asked() {
    let gantry = Gantry::ready(TWO).await;
    let url = format!("http://127.0.0.1:{}", gantry.port());
    for command in [&["status"][..], &["health"], &["health", "--ready"], &["pause", "letters"], &["reload"]] {
        let mut gantry = command_of(command);
        for variable in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
            // Nothing listens there.
            gantry.env(variable, "http://127.0.0.1:1");
        }
        let output = gantry.env("GANTRY_URL", &url).output().expect("starting gantry");
        assert!(output.status.success(), "{command:?}: {output:?}");
    }
}

#[tokio::test]
async fn health_is_liveness_unless_readiness_is_asked_for() {
    let gantry = Gantry::start(ONE_AWAY);
    let url = format!("http://127.0.0.1:{}", gantry.port());
    eventually("the port answers", SOON, async || gantry.get("/healthz")).await;
    wait_for(gantry.port(), "away", "RUNNING", &["RESTARTING"]).await;
    let alive = run(&["health", "--url", &url]);
    assert_eq!((alive.status.code(), alive.stdout.len(), alive.stderr.len()), (Some(0), 0, 0), "{alive:?}");
    let ready = run(&["health", "--ready", "--url", &url]);
    let told = String::from_utf8_lossy(&ready.stderr);
    assert!(ready.status.code() == Some(1) && told.starts_with("not ready: away;"), "{ready:?}");
    drop(gantry);
    assert_eq!(run(&["health", "--url", &url]).status.code(), Some(1));
}

#[tokio::test]
async fn commands_steer_bridges() {
    let (gantry, port) = two().await;
    let url = format!("http://127.0.0.1:{port}");
    let steer = |arguments: &[&str]| {
        let output = run(&[arguments, &["--url", &url]].concat());
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(text).expect("text"))
    };
    assert_eq!(steer(&["pause", "numbers", "letters"]), (Some(0), "numbers will pause\nletters will pause\n".into()));
    wait_for(port, "numbers", "PAUSED", &["PAUSED", "PAUSED"]).await;
    wait_for(port, "letters", "PAUSED", &["PAUSED"]).await;
    assert_eq!(steer(&["stop", "letters"]).0, Some(0));
    wait_for(port, "letters", "STOPPED", &[]).await;
    assert_eq!(steer(&["resume", "numbers", "letters"]).0, Some(0));
    wait_for(port, "numbers", "RUNNING", &["RUNNING", "RUNNING"]).await;

    let epochs = || {
        let tasks = gantry.bridge("numbers").expect("it is there")["tasks"].clone();
        [0, 1].map(|task| tasks[task]["epoch"].as_u64().expect("a number"))
    };
    let before = epochs();
    assert_eq!(steer(&["restart", "numbers", "--task", "1"]).0, Some(0));
    eventually("task 1 restarted", SOON, async || (epochs()[1] > before[1]).then_some(())).await;
    assert_eq!(epochs()[0], before[0]);
    assert_eq!(steer(&["restart", "numbers"]).0, Some(0));
    eventually("all restarted", SOON, async || (epochs()[0] > before[0]).then_some(())).await;
    assert_eq!(steer(&["restart", "numbers", "--failed"]).0, Some(0));

    let unknown = steer(&["pause", "leters"]);
    assert_eq!(unknown, (Some(1), "there is no bridge \"leters\"; did you mean \"letters\"?\n".into()));
    assert_eq!(steer(&["restart", "numbers", "--task", "7"]).0, Some(1));
    drop(gantry);
    assert_eq!(steer(&["stop", "letters"]).0, Some(2));
}

/// Whoever reads may go, and devices may be full.
#[tokio::test]
async fn nothing_panics_when_output_ends() {
    let (gantry, port) = two().await;
    let url = format!("http://127.0.0.1:{port}");
    let full = || File::options().write(true).open("/dev/full").expect("Linux has it");
    let text = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();
    for command in
        [&["status"][..], &["status", "--json"], &["list"], &["schema"], &["man"], &["--help"], &["--version"]]
    {
        let output = command_of(command).env("GANTRY_URL", &url).stdout(full()).output().expect("starting gantry");
        assert_eq!(output.status.code(), Some(2), "{command:?}: {output:?}");
        assert!(text(&output).contains("No space left"), "{command:?}: {output:?}");

        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let output = command_of(command).env("GANTRY_URL", &url).stdout(writer).output().expect("starting gantry");
        assert_eq!((output.status.code(), text(&output)), (Some(0), String::new()), "{command:?}");
    }
    drop(gantry);
    let directory = tempfile::tempdir().expect("a directory");
    let bad = directory.path().join("bad.yaml");
    std::fs::write(&bad, "nothing: here\n").expect("writing it");
    let bad = bad.to_str().expect("a path");
    for (command, code) in
        [(&["run", bad][..], 1), (&["status", "--url", &url], 2), (&["graph", bad], 1), (&["nothing"], 2)]
    {
        let status = command_of(command).stdout(full()).stderr(full()).status().expect("starting gantry");
        assert_eq!(status.code(), Some(code), "{command:?}");
    }
}

#[test]
fn shells_and_man_know_every_command() {
    for (command, text) in [
        (&["completions", "bash"][..], "complete -F _gantry"),
        (&["completions", "zsh"], "#compdef gantry"),
        (&["completions", "fish"], "complete -c gantry"),
        (&["man"], ".TH gantry 1"),
    ] {
        let output = run(command);
        let out = String::from_utf8(output.stdout).expect("text");
        assert!(output.status.success() && out.contains(text) && out.contains("restart"), "{command:?}: {out}");
    }
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().to_str().expect("a path");
    assert!(run(&["man", "--directory", path]).status.success());
    let page = std::fs::read_to_string(directory.path().join("gantry-dlq-replay.1")).expect("a page for each command");
    assert!(page.contains("Exit codes"), "{page}");
}

fn run(arguments: &[&str]) -> Output {
    command_of(arguments).output().expect("starting gantry")
}

fn command_of(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gantry"));
    command.args(arguments);
    command
}
