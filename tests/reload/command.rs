//! `gantry reload`: what it prints, and its exit codes.

use std::process::{Command, Output};

use serde_json::{Value as Json, json};

use crate::support::gantry::Gantry;

const ONE: &str = r#"
bridges:
  one: { source: { generate: { rate: 100 } }, sink: { "null": {} } }
"#;

fn run(port: u16, more: &[&str]) -> (Option<i32>, String, String) {
    let url = format!("http://127.0.0.1:{port}");
    let mut command = Command::new(env!("CARGO_BIN_EXE_gantry"));
    let Output { status, stdout, stderr } =
        command.args(["reload", "--url", &url]).args(more).output().expect("it runs");
    let text = |bytes| String::from_utf8(bytes).expect("gantry prints UTF-8");
    (status.code(), text(stdout), text(stderr))
}

#[tokio::test]
async fn it_says_what_became_of_each_bridge() {
    let gantry = Gantry::ready(ONE).await;
    let port = gantry.port();
    gantry.configure(&format!(
        "log: {{ format: json }}{ONE}{}",
        ONE.trim_start().replace("bridges:\n", "").replace("one", "two")
    ));
    let (code, out, _) = run(port, &[]);
    assert_eq!(code, Some(0), "{out}");
    assert_eq!(out, "started: two\nstayed: one\nlog.format changed: it needs a restart of the process\n");

    gantry.configure(&ONE.replace("100", "50"));
    let (code, out, _) = run(port, &["--json"]);
    let answer: Json = serde_json::from_str(&out).expect("JSON");
    assert_eq!((code, &answer["restarted"], &answer["stopped"]), (Some(0), &json!(["one"]), &json!(["two"])), "{out}");
    gantry.check_conservation("one");
}

#[tokio::test]
async fn a_refusal_is_told_as_check_tells_it() {
    let gantry = Gantry::ready(ONE).await;
    let port = gantry.port();
    gantry.configure(&ONE.replace("rate", "rat"));
    let (code, out, _) = run(port, &[]);
    assert_eq!(code, Some(1), "{out}");
    let file = gantry.directory().join("gantry.yaml");
    let check = Command::new(env!("CARGO_BIN_EXE_gantry")).arg("check").arg(file).output().expect("it runs");
    let check = String::from_utf8(check.stdout).expect("UTF-8");
    let error = check.lines().find(|line| line.contains(": error: ")).expect("an error");
    assert!(out.lines().any(|line| line == error), "{out}\n{check}");
    assert!(out.ends_with("not reloaded: the new configuration is wrong: nothing was changed\n"), "{out}");

    drop(gantry);
    let (code, _, error) = run(port, &[]);
    assert_eq!(code, Some(2));
    assert!(error.contains("is gantry running there?"), "{error}");
}

#[test]
fn the_help_tells_the_exit_codes() {
    for (command, codes) in [("run", &["0", "1", "2", "3", "4", "130"][..]), ("reload", &["0", "1", "2"])] {
        let help = Command::new(env!("CARGO_BIN_EXE_gantry")).args([command, "--help"]).output().expect("it runs");
        let help = String::from_utf8(help.stdout).expect("UTF-8");
        let (_, table) = help.split_once("Exit codes:\n").unwrap_or_else(|| panic!("{help}"));
        let told: Vec<_> = table.lines().map_while(|line| line.split_whitespace().next()).collect();
        assert_eq!(told, codes, "{help}");
    }
}
