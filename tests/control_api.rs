//! The control port, as a black box: Kafka Connect's paths, codes and shapes, health, metrics, and `gantry status`.
//!
//! Needs no broker: bridges go from `generate` to `null`, and one has a broker that is not there.

#[path = "support/http.rs"]
mod http;
mod support;

use std::process::{Command, Output};

use serde_json::{Value as Json, json};

use http::{Answer, get, request, send};
use support::{SOON, eventually, gantry::Gantry};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Two bridges that work without a broker.
const TWO: &str = r#"
bridges:
  letters: { source: { generate: { rate: 200, size: 100B } }, sink: { "null": {} } }
  numbers: { tasks: 2, source: { generate: { rate: 200, size: 64B } }, sink: { "null": {} } }
"#;

/// One that works, and one whose broker is not there: nothing listens on port 1.
const ONE_AWAY: &str = r#"
bridges:
  near: { source: { generate: { rate: 10 } }, sink: { "null": {} } }
  away: { source: { rabbitmq: { connection: { urls: ["amqp://127.0.0.1:1"] }, queue: orders } }, sink: { "null": {} } }
"#;

async fn two() -> (Gantry, u16) {
    let gantry = Gantry::ready(TWO).await;
    let port = gantry.port();
    (gantry, port)
}

/// Asks for the status until the connector and all its tasks are in these states.
async fn wait_for(port: u16, name: &str, connector: &str, tasks: &[&str]) {
    let what = format!("connector {name} is {connector} and its tasks {tasks:?}");
    let is_so = || {
        let status = get(port, &format!("/connectors/{name}/status")).json();
        let own: Vec<_> = status["tasks"].as_array()?.iter().map(|task| task["state"].as_str().unwrap_or("")).collect();
        (status["connector"]["state"] == connector && own == tasks).then_some(())
    };
    eventually(&what, SOON, async || is_so()).await;
}

fn names(object: &Json) -> Vec<&str> {
    object.as_object().map(|fields| fields.keys().map(String::as_str).collect()).unwrap_or_default()
}

// === reads ===

#[tokio::test]
async fn the_server_says_a_version_that_clients_parse() {
    let (_gantry, port) = two().await;
    let info = get(port, "/").json();
    let numbers: Vec<_> = info["version"].as_str().expect("text").split('.').map(str::parse::<u32>).collect();
    assert!(numbers.len() == 3 && numbers.iter().all(Result::is_ok), "{info}");
    assert!(info["commit"].is_string() && info["kafka_cluster_id"].is_string(), "{info}");
    assert_eq!(info["gantry_version"], VERSION);
}

#[tokio::test]
async fn connectors_are_listed_with_and_without_expansion() {
    let (_gantry, port) = two().await;
    assert_eq!(get(port, "/connectors").json(), json!(["letters", "numbers"]));
    assert_eq!(get(port, "/connectors/").json(), json!(["letters", "numbers"]));
    assert_eq!(get(port, "/connectors?expand=bogus").json(), json!({ "letters": {}, "numbers": {} }));
    assert_eq!(get(port, "/connectors?expand=info,status").json(), json!({ "letters": {}, "numbers": {} }));

    let both = get(port, "/connectors/?expand=info&expand=status").json();
    assert_eq!(names(&both["numbers"]), ["info", "status"]);
    assert_eq!(names(&get(port, "/connectors?expand=status").json()["numbers"]), ["status"]);
    assert_eq!(both["numbers"]["info"], get(port, "/connectors/numbers").json());
    assert_eq!(both["numbers"]["status"], get(port, "/connectors/numbers/status").json());

    let head = request(port, "HEAD", "/connectors", &[], "");
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert_eq!(head.header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn a_connector_is_shown_as_kafka_connect_would() {
    let (_gantry, port) = two().await;
    let config = json!({
        "connector.class": "gantry.GenerateSourceConnector", "name": "numbers", "tasks.max": "2",
        "source.generate.rate": "200", "source.generate.size": "64B",
    });
    assert_eq!(get(port, "/connectors/numbers/config").json(), config);
    assert_eq!(
        get(port, "/connectors/numbers").json(),
        json!({
            "name": "numbers", "config": config, "type": "source",
            "tasks": [{ "connector": "numbers", "task": 0 }, { "connector": "numbers", "task": 1 }],
        })
    );

    let worker = format!("127.0.0.1:{port}");
    let task = |id: u32| json!({ "id": id, "state": "RUNNING", "worker_id": worker, "version": VERSION });
    let connector = json!({ "state": "RUNNING", "worker_id": worker, "version": VERSION });
    assert_eq!(
        get(port, "/connectors/numbers/status").json(),
        json!({ "name": "numbers", "connector": connector, "tasks": [task(0), task(1)], "type": "source" })
    );
    assert_eq!(get(port, "/connectors/numbers/tasks/1/status").json(), task(1));

    let tasks = get(port, "/connectors/numbers/tasks").json();
    assert_eq!(tasks[1]["id"], json!({ "connector": "numbers", "task": 1 }));
    assert_eq!(tasks[1]["config"]["task.class"], "gantry.GenerateSourceTask");
}

#[tokio::test]
async fn topics_are_those_that_a_bridge_names_outright() {
    let gantry = Gantry::start(
        r#"
bridges:
  plain:
    source: { generate: {} }
    sink: { kafka: { connection: { bootstrap_servers: "127.0.0.1:1" }, topic: orders } }
    errors: { dead_letter: { kafka: { connection: { bootstrap_servers: "127.0.0.1:1" }, topic: dead } } }
  template:
    source: { generate: {} }
    sink: { kafka: { connection: { bootstrap_servers: "127.0.0.1:1" }, topic: "orders-{header.tenant}" } }
"#,
    );
    eventually("the port answers", SOON, async || gantry.get("/healthz")).await;
    let topics = |name: &str| get(gantry.port(), &format!("/connectors/{name}/topics")).json();
    assert_eq!(topics("plain"), json!({ "plain": { "topics": ["dead", "orders"] } }));
    assert_eq!(topics("template"), json!({ "template": { "topics": [] } }));
    assert_eq!(topics("unknown"), json!({ "unknown": { "topics": [] } }), "as Kafka Connect answers");
}

#[tokio::test]
async fn plugins_are_all_sources_and_sinks_and_on_demand_transforms() {
    let (_gantry, port) = two().await;
    let plugins = get(port, "/connector-plugins").json();
    for plugin in [
        json!({ "class": "gantry.RabbitmqSourceConnector", "type": "source", "version": VERSION }),
        json!({ "class": "gantry.KafkaSinkConnector", "type": "sink", "version": VERSION }),
    ] {
        assert!(plugins.as_array().expect("a list").contains(&plugin), "{plugin} in {plugins}");
    }
    let types = |path: &str| -> Vec<String> {
        let plugins = get(port, path).json();
        let mut types: Vec<_> =
            plugins.as_array().expect("a list").iter().map(|plugin| plugin["type"].to_string()).collect();
        types.dedup();
        types
    };
    assert_eq!(types("/connector-plugins/?connectorsOnly=True"), [r#""sink""#, r#""source""#]);
    assert_eq!(types("/connector-plugins?connectorsOnly=false"), [r#""sink""#, r#""source""#, r#""transformation""#]);
}

#[tokio::test]
async fn our_own_api_says_what_connect_cannot() {
    let (gantry, port) = two().await;
    eventually("records have passed", SOON, async || {
        gantry.metric("gantry_records_out_total", "numbers").filter(|n| *n > 0.0)
    })
    .await;
    let all = get(port, "/v1/bridges").json();
    assert_eq!(all["version"], VERSION);
    assert_eq!(all["bridges"].as_array().map(Vec::len), Some(2));

    let one = get(port, "/v1/bridges/numbers").json();
    for (field, expected) in [("name", "numbers"), ("target", "running"), ("source", "generate"), ("sink", "null")] {
        assert_eq!(one[field], expected, "{field} in {one}");
    }
    assert_eq!((&one["ready"], &one["transforms"], &one["dead_letter"]), (&json!(true), &json!([]), &Json::Null));
    let task = &one["tasks"][0];
    assert_eq!((&task["task"], &task["state"], &task["epoch"]), (&json!(0), &json!("running"), &json!(1)), "{one}");
    assert!(task["since"].as_str().expect("a time").ends_with('Z'), "{one}");
    assert!(task["last_progress"].is_string() && task["error"].is_null(), "{one}");
    let count = |name: &str| task["counts"][name].as_u64().unwrap_or_else(|| panic!("{name} in {one}"));
    assert_eq!(
        count("records_in") - count("returned"),
        count("records_out") + count("filtered") + count("dead_lettered") + count("in_flight"),
        "{one}"
    );
    assert!(get(port, "/v1/bridges/nobody").refusal(404).contains("nobody"));
}

// === changes ===

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

fn states(status: &Json) -> Vec<&str> {
    let tasks = status["tasks"].as_array().map(Vec::as_slice).unwrap_or_default();
    std::iter::once(&status["connector"]).chain(tasks).map(|own| own["state"].as_str().unwrap_or_default()).collect()
}

// === errors ===

#[tokio::test]
async fn every_error_is_json_with_its_code_and_a_message() {
    let (_gantry, port) = two().await;
    let kind = "application/json";
    let too_long = "x".repeat((1 << 20) + 1);
    let refusals: Vec<(u16, &str, Answer)> = vec![
        (404, "HTTP 404 Not Found", get(port, "/nothing/here")),
        (404, "HTTP 404 Not Found", get(port, "/connectors/numbers/tasks-config")),
        (404, "HTTP 404 Not Found", get(port, "/connectors/numbers/tasks/abc/status")),
        (404, "Connector nobody not found", get(port, "/connectors/nobody")),
        (404, "Connector nobody not found", get(port, "/connectors/nobody/config")),
        (404, "Connector nobody not found", get(port, "/connectors/nobody/tasks")),
        (404, "Connector a b→c not found", get(port, "/connectors/a%20b%E2%86%92c")),
        (404, "No status found for connector nobody", get(port, "/connectors/nobody/status")),
        (404, "No status found for task nobody-0", get(port, "/connectors/nobody/tasks/0/status")),
        (404, "No status found for task numbers-7", get(port, "/connectors/numbers/tasks/7/status")),
        (404, "Unknown connector nobody", request(port, "PUT", "/connectors/nobody/pause", &[], "")),
        (404, "Unknown connector nobody", request(port, "PUT", "/connectors/nobody/resume", &[], "")),
        (404, "Unknown connector nobody", request(port, "PUT", "/connectors/nobody/stop", &[], "")),
        (405, "HTTP 405 Method Not Allowed", request(port, "DELETE", "/connectors", &[], "")),
        (405, "HTTP 405 Method Not Allowed", request(port, "BREW", "/metrics", &[], "")),
        (415, "HTTP 415 Unsupported Media Type", send(port, "POST", "/connectors", "text/plain", "{}")),
        (415, "HTTP 415 Unsupported Media Type", send(port, "PUT", "/connectors/numbers/pause", "text/plain", "x")),
        (400, "HTTP 400 Bad Request", get(port, "/connectors/%FF")),
        (413, "HTTP 413 Payload Too Large", send(port, "POST", "/connectors", kind, &too_long)),
    ];
    for (status, message, answer) in refusals {
        assert_eq!(answer.refusal(status), message);
    }
    for body in ["", "null", "[]", "{", r#"{"config":{}}"#, r#"{"name":"  "}"#] {
        send(port, "POST", "/connectors", kind, body).refusal(400);
    }
    for name in ["a%2Fb", "a%5cb", "a%25b"] {
        get(port, &format!("/connectors/{name}")).refusal(400);
    }
    let paused = get(port, "/connectors/numbers/status").json();
    assert_eq!(paused["connector"]["state"], "RUNNING", "a refused request changes nothing");
}

#[tokio::test]
async fn methods_are_told() {
    let (_gantry, port) = two().await;
    let refused = request(port, "DELETE", "/connectors", &[], "");
    assert!(
        refused.header("allow").is_some_and(|allow| allow.contains("GET") && allow.contains("POST")),
        "{refused:?}"
    );
    let options = request(port, "OPTIONS", "/connectors/numbers/pause", &[], "");
    assert_eq!((options.status, options.header("allow")), (200, Some("PUT,OPTIONS")));
}

// === health and metrics ===

#[tokio::test]
async fn readiness_follows_the_bridges_and_liveness_does_not() {
    let gantry = Gantry::start(ONE_AWAY);
    let port = gantry.port();
    eventually("the port answers", SOON, async || gantry.get("/healthz")).await;
    wait_for(port, "near", "RUNNING", &["RUNNING"]).await;
    wait_for(port, "away", "RUNNING", &["RESTARTING"]).await;

    let not_ready = get(port, "/readyz");
    let body = not_ready.json();
    assert_eq!((not_ready.status, &body["ready"]), (503, &json!(false)), "{body}");
    assert_eq!(body["not_ready"].as_array().map(Vec::len), Some(1), "{body}");
    let away = &body["not_ready"][0];
    assert_eq!((&away["bridge"], &away["tasks"][0]["task"]), (&json!("away"), &json!(0)), "{body}");
    assert!(away["tasks"][0]["reason"].as_str().is_some_and(|reason| reason.contains("127.0.0.1:1")), "{body}");
    assert_eq!(get(port, "/healthz").json(), json!({ "status": "ok" }));
    assert_eq!(get(port, "/health").json()["status"], "healthy");
    assert_eq!(metric(port, "gantry_bridge_ready{bridge=\"away\"}"), 0.0);

    assert_eq!(request(port, "PUT", "/connectors/away/stop", &[], "").status, 204);
    let ready = get(port, "/readyz");
    assert_eq!((ready.status, ready.json()), (200, json!({ "ready": true, "not_ready": [] })));
    assert_eq!(metric(port, "gantry_bridge_ready{bridge=\"away\"}"), 1.0);

    wait_for(port, "away", "STOPPED", &[]).await;
    assert_eq!(request(port, "PUT", "/connectors/away/resume", &[], "").status, 202);
    eventually("not ready again", SOON, async || (get(port, "/readyz").status == 503).then_some(())).await;
}

/// I6, as anyone can see it: in each of 200 scrapes under full load, every record is in exactly one place.
#[tokio::test]
async fn records_are_conserved_in_every_scrape() {
    let gantry = Gantry::ready(
        r#"
bridges:
  flood: { tasks: 2, source: { generate: { size: 64B } }, sink: { "null": {} } }
"#,
    )
    .await;
    let port = gantry.port();
    let mut last_in = 0.0;
    for scrape in 0..200 {
        let text = get(port, "/metrics").body;
        for task in 0..2 {
            let value = |name: &str| value(&text, &format!("gantry_{name}{{bridge=\"flood\",task=\"{task}\"}}"));
            let came = value("records_in_total") - value("records_returned_total");
            let aside = value("records_filtered_total") + value("records_dead_lettered_total");
            let out = value("records_out_total");
            let in_flight = value("records_in_flight");
            assert!(came == out + aside + in_flight, "scrape {scrape}: {came} != {out} + {aside} + {in_flight}");
        }
        if scrape == 100 {
            // Some of what is in flight goes back, or is drained: the balance holds through that, too.
            assert_eq!(request(port, "POST", "/connectors/flood/restart?includeTasks=true", &[], "").status, 202);
        }
        last_in = value(&text, "gantry_records_in_total{bridge=\"flood\",task=\"0\"}");
    }
    assert!(last_in > 1000.0, "there was no load: {last_in} records");
}

#[tokio::test]
async fn metrics_go_on_while_a_bridge_is_stopped() {
    let (gantry, port) = two().await;
    eventually("records have passed", SOON, async || {
        gantry.metric("gantry_records_out_total", "letters").filter(|n| *n > 0.0)
    })
    .await;
    assert_eq!(request(port, "PUT", "/connectors/letters/stop", &[], "").status, 204);
    wait_for(port, "letters", "STOPPED", &[]).await;
    let scrape = get(port, "/metrics");
    assert_eq!(scrape.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let of_letters = |name: &str| value(&scrape.body, &format!("gantry_{name}{{bridge=\"letters\",task=\"0\"}}"));
    assert!(of_letters("records_out_total") > 0.0);
    assert_eq!(of_letters("records_in_flight"), 0.0);
    assert_eq!(value(&scrape.body, "gantry_task_state{bridge=\"letters\",task=\"0\",state=\"stopped\"}"), 1.0);
    assert_eq!(value(&scrape.body, &format!("gantry_build_info{{version=\"{VERSION}\"}}")), 1.0);
}

fn metric(port: u16, series: &str) -> f64 {
    value(&get(port, "/metrics").body, series)
}

fn value(scrape: &str, series: &str) -> f64 {
    let line = scrape.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("no {series} in:\n{scrape}"))
}

// === the port itself, and who asks it ===

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

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gantry")).args(arguments).output().expect("starting gantry")
}
