//! What can be read in Kafka Connect's shapes, and in our own.

use serde_json::{Value as Json, json};

use super::{
    VERSION,
    http::{get, request},
    support::{SOON, eventually, gantry::Gantry},
    two,
};

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
  fan:
    source: { generate: {} }
    sinks:
      - kafka: { connection: { bootstrap_servers: "127.0.0.1:1" }, topic: one }
      - kafka: { connection: { bootstrap_servers: "127.0.0.1:1" }, topic: two }
        when: { keep: { field: key, exists: true } }
  template:
    source: { generate: {} }
    sink: { kafka: { connection: { bootstrap_servers: "127.0.0.1:1" }, topic: "orders-{header.tenant}" } }
  reads:
    source: { kafka: { connection: { bootstrap_servers: "127.0.0.1:1" }, topics: [b, a] } }
    sink: { "null": {} }
"#,
    );
    eventually("the port answers", SOON, async || gantry.get("/healthz")).await;
    let topics = |name: &str| get(gantry.port(), &format!("/connectors/{name}/topics")).json();
    assert_eq!(topics("plain"), json!({ "plain": { "topics": ["dead", "orders"] } }));
    assert_eq!(topics("fan"), json!({ "fan": { "topics": ["one", "two"] } }), "of every sink");
    let config = get(gantry.port(), "/connectors/fan/config").json();
    assert_eq!((&config["sinks.1.kafka.topic"], &config["sinks.1.when.keep.field"]), (&json!("two"), &json!("key")));
    assert_eq!(topics("template"), json!({ "template": { "topics": [] } }));
    assert_eq!(topics("reads"), json!({ "reads": { "topics": ["a", "b"] } }), "what a source reads belongs to it");
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

fn names(object: &Json) -> Vec<&str> {
    object.as_object().map(|fields| fields.keys().map(String::as_str).collect()).unwrap_or_default()
}
