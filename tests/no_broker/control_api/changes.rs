//! What can be changed by REST, and what cannot.

use serde_json::json;

use super::{
    http::{get, request, send},
    states,
    support::{SOON, eventually, gantry::Gantry},
    two, wait_for,
};

#[tokio::test]
async fn pause_stop_and_resume_take_any_body_and_can_be_repeated() {
    let (_gantry, port) = two().await;
    let json_type = "Content-Type: application/json";
    let bodies: [(&[&str], &str); 5] = [
        (&[], ""),
        (&[json_type, "Content-Length: 4"], "null"),
        (&[json_type, "Content-Length: 2"], "\"\""),
        (&[json_type, "Transfer-Encoding: chunked"], "0\r\n\r\n"),
        (&["Content-Type: application/x-www-form-urlencoded", "Content-Length: 0"], ""),
    ];
    let change = |verb: &str, status: u16| {
        for (headers, body) in bodies {
            let answer = request(port, "PUT", &format!("/connectors/numbers/{verb}"), headers, body);
            assert_eq!((answer.status, answer.body.as_str()), (status, ""), "{verb} with {headers:?} {body:?}");
        }
    };
    change("pause", 202);
    wait_for(port, "numbers", "PAUSED", &["PAUSED", "PAUSED"]).await;
    change("resume", 202);
    wait_for(port, "numbers", "RUNNING", &["RUNNING", "RUNNING"]).await;
    change("stop", 204);
    wait_for(port, "numbers", "STOPPED", &[]).await;
    assert_eq!(get(port, "/connectors/numbers").json()["tasks"], json!([]));
    assert_eq!(get(port, "/connectors/numbers/tasks").json(), json!([]));
    change("resume", 202);
    wait_for(port, "numbers", "RUNNING", &["RUNNING", "RUNNING"]).await;
    wait_for(port, "letters", "RUNNING", &["RUNNING"]).await;
}

#[tokio::test]
async fn a_restart_answers_as_kip_745_says() {
    let (_gantry, port) = two().await;
    let post = |path: &str| send(port, "POST", path, "application/json", "\"\"");

    let bare = post("/connectors/numbers/restart");
    assert_eq!((bare.status, bare.body.as_str()), (204, ""));
    assert_eq!(post("/connectors/numbers/restart?includeTasks=false&onlyFailed=false").status, 204);

    let failed_only = post("/connectors/numbers/restart?includeTasks=true&onlyFailed=true");
    assert_eq!((failed_only.status, states(&failed_only.json())), (202, vec!["RUNNING", "RUNNING", "RUNNING"]));

    let epoch = || get(port, "/v1/bridges/numbers").json()["tasks"][1]["epoch"].as_u64().expect("a number");
    let before = epoch();
    let all = post("/connectors/numbers/restart?includeTasks=True");
    assert_eq!((all.status, states(&all.json())), (202, vec!["RESTARTING", "RESTARTING", "RESTARTING"]));
    eventually("a new epoch", SOON, async || (epoch() > before).then_some(())).await;
    wait_for(port, "numbers", "RUNNING", &["RUNNING", "RUNNING"]).await;

    let before = epoch();
    assert_eq!(post("/connectors/numbers/tasks/1/restart").status, 204);
    eventually("a new epoch of task 1", SOON, async || (epoch() > before).then_some(())).await;
    assert_eq!(post("/connectors/numbers/tasks/7/restart").refusal(404), "Unknown task: numbers-7");
    assert_eq!(post("/connectors/numbers/tasks/abc/restart").refusal(404), "HTTP 404 Not Found");
    assert_eq!(post("/connectors/nobody/tasks/0/restart").refusal(404), "Unknown connector: nobody");
    assert_eq!(post("/connectors/nobody/restart?includeTasks=true").refusal(404), "Unknown connector: nobody");
}

#[tokio::test]
async fn what_is_stopped_stays_stopped_through_a_restart() {
    let (_gantry, port) = two().await;
    assert_eq!(request(port, "PUT", "/connectors/letters/stop", &[], "").status, 204);
    wait_for(port, "letters", "STOPPED", &[]).await;
    assert_eq!(request(port, "POST", "/connectors/letters/restart", &[], "").status, 204);
    let answer = request(port, "POST", "/connectors/letters/restart?includeTasks=true", &[], "");
    assert_eq!((answer.status, states(&answer.json())), (202, vec!["STOPPED"]));
    assert!(request(port, "POST", "/connectors/letters/tasks/0/restart", &[], "").refusal(409).contains("stopped"));
    wait_for(port, "letters", "STOPPED", &[]).await;
}

/// A bridge whose secret goes missing fails, says so, and a restart of what failed mends it at once.
#[tokio::test]
async fn a_failed_task_shows_its_error_and_restarts_when_asked() {
    let secrets = tempfile::tempdir().expect("a directory");
    let url = secrets.path().join("url");
    std::fs::write(&url, "amqp://127.0.0.1:1").expect("writing the secret");
    let yaml = format!(
        r#"bridges: {{ away: {{ source: {{ rabbitmq: {{ connection: {{ urls: ["${{file:{}}}"] }}, queue: q }} }}, sink: {{ "null": {{}} }} }} }}"#,
        url.display()
    );
    let gantry = Gantry::start(&yaml);
    let port = gantry.port();
    eventually("the port answers", SOON, async || gantry.get("/healthz")).await;
    wait_for(port, "away", "RUNNING", &["RESTARTING"]).await;

    std::fs::remove_file(&url).expect("removing the secret");
    wait_for(port, "away", "RUNNING", &["FAILED"]).await;
    let task = get(port, "/connectors/away/tasks/0/status").json();
    assert!(task["trace"].as_str().is_some_and(|trace| trace.contains("url")), "the trace names the file: {task}");
    let reason = get(port, "/readyz").body;
    assert!(reason.contains(r#""state":"failed""#), "{reason}");

    std::fs::write(&url, "amqp://127.0.0.1:1").expect("writing the secret");
    let answer = request(port, "POST", "/connectors/away/restart?includeTasks=true&onlyFailed=true", &[], "");
    assert_eq!((answer.status, states(&answer.json())), (202, vec!["RUNNING", "RESTARTING"]));
    assert_eq!(answer.json()["tasks"][0]["trace"], task["trace"], "with the old trace");
    wait_for(port, "away", "RUNNING", &["RESTARTING"]).await;
}

#[tokio::test]
async fn bridges_from_files_belong_to_their_files() {
    let (_gantry, port) = two().await;
    let kind = "application/json";
    for (method, path, body) in [
        ("PUT", "/connectors/numbers/config", "{}"),
        ("PATCH", "/connectors/numbers/config", "{}"),
        ("DELETE", "/connectors/numbers", ""),
        ("POST", "/connectors", r#"{"name":" numbers ","config":{"name":"numbers"},"initial_state":"STOPPED"}"#),
    ] {
        let message = send(port, method, path, kind, body).refusal(409);
        assert!(message.contains("numbers") && message.contains("gantry.yaml"), "{method} {path}: {message}");
    }
    let create = r#"{"name":"fresh","config":{"connector.class":"x"}}"#;
    assert!(send(port, "POST", "/connectors/", kind, create).refusal(501).contains("fresh"));
    assert!(send(port, "PUT", "/connectors/fresh/config", kind, "{}").refusal(501).contains("fresh"));
    assert_eq!(send(port, "PATCH", "/connectors/fresh/config", kind, "{}").refusal(404), "Connector fresh not found");
    assert_eq!(request(port, "DELETE", "/connectors/fresh", &[], "").refusal(404), "Connector fresh not found");
    let other = r#"{"name":"a","config":{"name":"b"}}"#;
    assert!(send(port, "POST", "/connectors", kind, other).refusal(400).contains("doesn't match"));
    assert_eq!(get(port, "/connectors").json(), json!(["letters", "numbers"]), "nothing has changed");
}

/// Neither a secret that stands in the file nor one that a placeholder brings.
#[tokio::test]
async fn no_secret_is_served_or_logged() {
    let secrets = tempfile::tempdir().expect("a directory");
    let password = secrets.path().join("password");
    std::fs::write(&password, "hunter3").expect("writing the secret");
    let gantry = Gantry::start(&format!(
        r#"
bridges:
  plain: {{ source: {{ rabbitmq: {{ connection: {{ urls: ["amqp://me:hunter2@127.0.0.1:1"] }}, queue: q }} }}, sink: {{ "null": {{}} }} }}
  placed: {{ source: {{ rabbitmq: {{ connection: {{ urls: ["amqp://me:${{file:{}}}@127.0.0.1:1"] }}, queue: q }} }}, sink: {{ "null": {{}} }} }}
"#,
        password.display()
    ));
    let port = gantry.port();
    eventually("the port answers", SOON, async || gantry.get("/healthz")).await;
    wait_for(port, "plain", "RUNNING", &["RESTARTING"]).await;
    wait_for(port, "placed", "RUNNING", &["RESTARTING"]).await;
    for path in [
        "/connectors?expand=info&expand=status",
        "/connectors/plain/config",
        "/connectors/plain/tasks",
        "/connectors/placed/config",
        "/connectors/placed/tasks",
        "/v1/bridges",
        "/readyz",
        "/metrics",
    ] {
        let body = get(port, path).body;
        assert!(body.contains("plain") || body.contains("placed"), "{path}: {body}");
        assert!(!body.contains("hunter"), "{path}: {body}");
    }
    let hidden = get(port, "/connectors/plain/config").json();
    let url = hidden["source.rabbitmq.connection.urls"].as_str().expect("text");
    assert!(url.contains("[hidden]"), "{hidden}");
    let placeholder = get(port, "/connectors/placed/config").json();
    let url = placeholder["source.rabbitmq.connection.urls"].as_str().expect("text");
    assert!(url.contains("${file:"), "what is no secret is shown as written: {placeholder}");
    assert!(!gantry.log().contains("hunter"), "{}", gantry.log());
}
