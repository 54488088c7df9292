use std::{sync::Arc, time::Duration};

use gantry_runtime::{Branch, BridgeLimits, ErrorPolicy, Part, status::Progress};
use gantry_sdk::{
    Error, SinkCapabilities, SourceCapabilities,
    plugin::{RetryPolicy, SinkPlugin, SourcePlugin},
};
use serde_json::json;

use super::*;

const fn source(name: &'static str, is_kafka: bool) -> SourcePlugin {
    SourcePlugin {
        name,
        summary: "",
        schema: Default::default,
        check: |_| Vec::new(),
        create: |_, _| Err(Error::config("only for its name")),
        ordered_options: &[],
        capabilities: SourceCapabilities {
            keeps_order: true,
            can_reject: false,
            replayable: false,
            wants_answers: false,
        },
        is_kafka,
        check_batch: |_, _| None,
        check_reject: |_| None,
        probe: |_, _| gantry_sdk::probe::nothing_to_ask(),
        describe: |_, _| gantry_sdk::Description::default(),
        example: "",
    }
}

const fn sink(name: &'static str, is_kafka: bool) -> SinkPlugin {
    SinkPlugin {
        name,
        summary: "",
        schema: Default::default,
        check: |_| Vec::new(),
        create: |_, _| Err(Error::config("only for its name")),
        ordered_options: &[],
        capabilities: SinkCapabilities {
            keeps_order: true,
            transactional: false,
            gives_answers: false,
            deduplicates: false,
            counts_attempts: false,
        },
        can_refuse: true,
        prints: false,
        is_kafka,
        place_option: None,
        check_dead_letter: |_| Vec::new(),
        dead_letters: None,
        probe: |_, _| gantry_sdk::probe::nothing_to_ask(),
        describe: |_| gantry_sdk::Description::default(),
        example: "",
        dead_letter_example: "",
    }
}

static FROM_RABBITMQ: SourcePlugin = source("rabbitmq", false);
static FROM_KAFKA: SourcePlugin = source("kafka", true);
static TO_RABBITMQ: SinkPlugin = sink("rabbitmq", false);
static TO_KAFKA: SinkPlugin = sink("kafka", true);

fn definition(source: &'static SourcePlugin, sink: &'static SinkPlugin) -> Definition {
    Definition {
        name: "orders".into(),
        tasks: 2,
        source: Part { plugin: source, options: json!({}), resolver: Arc::new(()) },
        transforms: Vec::new(),
        sinks: vec![Branch { when: None, sink: Part { plugin: sink, options: json!({}), resolver: Arc::new(()) } }],
        errors: ErrorPolicy {
            tolerance: gantry_runtime::Tolerance::None,
            dead_letter: None,
            retry: RetryPolicy::default(),
            backoff: (Duration::from_secs(1), Duration::from_secs(60)),
            give_back_after: None,
        },
        delivery: gantry_runtime::Delivery::AtLeastOnce,
        stall_timeout: None,
        limits: BridgeLimits { in_flight_records: 1, in_flight_bytes: 1, batch_records: 1, batch_bytes: 1 },
        file: "bridges.yaml".into(),
        raw: json!({}),
    }
}

fn task(id: u32, state: TaskState, error: Option<&str>) -> TaskStatus {
    let error = error.map(Into::into);
    TaskStatus { state, error, epoch: 1, ..Progress::new(id).snapshot() }
}

fn status(target: Target, tasks: Vec<TaskStatus>) -> BridgeStatus {
    BridgeStatus { name: "orders".into(), target, tasks }
}

fn shown(entity: impl Serialize) -> serde_json::Value {
    serde_json::to_value(entity).expect("entities are plain")
}

#[test]
fn the_server_claims_a_version_that_clients_can_parse_and_tells_its_own_apart() {
    assert_eq!(
        shown(ServerInfo::new()),
        json!({
            "version": "4.1.0", "commit": "unknown", "kafka_cluster_id": "gantry",
            "gantry_version": env!("CARGO_PKG_VERSION"),
        })
    );
}

#[test]
fn the_type_is_seen_from_kafka() {
    let types = [
        (&FROM_RABBITMQ, &TO_KAFKA, ConnectorType::Source, "gantry.RabbitmqSourceConnector"),
        (&FROM_KAFKA, &TO_RABBITMQ, ConnectorType::Sink, "gantry.RabbitmqSinkConnector"),
        (&FROM_RABBITMQ, &TO_RABBITMQ, ConnectorType::Source, "gantry.RabbitmqSourceConnector"),
        (&FROM_KAFKA, &TO_KAFKA, ConnectorType::Source, "gantry.KafkaSourceConnector"),
    ];
    for (source, sink, kind, class) in types {
        let definition = definition(source, sink);
        assert_eq!(ConnectorType::of(&definition), kind, "{} to {}", source.name, sink.name);
        assert_eq!(class_of(&definition), class);
    }
    // Of several sinks the first that is not Kafka counts.
    let mut several = definition(&FROM_KAFKA, &TO_KAFKA);
    several.sinks.extend(definition(&FROM_KAFKA, &TO_RABBITMQ).sinks);
    assert_eq!(ConnectorType::of(&several), ConnectorType::Sink);
    assert_eq!(class_of(&several), "gantry.RabbitmqSinkConnector");
}

#[test]
fn states_use_only_words_that_clients_know() {
    let definition = definition(&FROM_RABBITMQ, &TO_KAFKA);
    let tasks = vec![
        task(0, TaskState::Running, None),
        task(1, TaskState::Failed, Some("queue orders is missing")),
        task(2, TaskState::BackingOff, Some("")),
    ];
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        shown(ConnectorStateInfo::of(&definition, &status(Target::Running, tasks), "127.0.0.1:8083")),
        json!({
            "name": "orders",
            "connector": { "state": "RUNNING", "worker_id": "127.0.0.1:8083", "version": version },
            "tasks": [
                { "id": 0, "state": "RUNNING", "worker_id": "127.0.0.1:8083", "version": version },
                { "id": 1, "state": "FAILED", "worker_id": "127.0.0.1:8083", "version": version,
                  "trace": "queue orders is missing" },
                { "id": 2, "state": "RESTARTING", "worker_id": "127.0.0.1:8083", "version": version },
            ],
            "type": "source",
        })
    );
    let known = ["RUNNING", "PAUSED", "FAILED", "UNASSIGNED", "RESTARTING"];
    for state in TaskState::ALL {
        assert!(known.contains(&state.as_connect()), "{state:?}");
    }
}

#[test]
fn a_stopped_bridge_has_no_tasks() {
    let definition = definition(&FROM_RABBITMQ, &TO_KAFKA);
    let status = status(Target::Stopped, vec![task(0, TaskState::Stopped, None), task(1, TaskState::Stopping, None)]);
    let state = shown(ConnectorStateInfo::of(&definition, &status, "w"));
    assert_eq!(state["connector"]["state"], "STOPPED");
    assert_eq!(state["tasks"].as_array().map(Vec::len), Some(1), "one is still giving back: {state}");
    assert_eq!(shown(ConnectorInfo::of(&definition, &status))["tasks"], json!([{ "connector": "orders", "task": 1 }]));
}

#[test]
fn a_restart_shows_what_it_restarts_with_the_old_trace() {
    let definition = definition(&FROM_RABBITMQ, &TO_KAFKA);
    let tasks = || vec![task(0, TaskState::Running, None), task(1, TaskState::Failed, Some("refused"))];
    let state = |target| ConnectorStateInfo::of(&definition, &status(target, tasks()), "w");

    let failed_only = shown(state(Target::Running).restarting(false, &[1]));
    assert_eq!(failed_only["connector"]["state"], "RUNNING");
    assert_eq!([&failed_only["tasks"][0]["state"], &failed_only["tasks"][1]["state"]], ["RUNNING", "RESTARTING"]);
    assert_eq!(failed_only["tasks"][1]["trace"], "refused");

    let all = shown(state(Target::Running).restarting(true, &[0, 1]));
    assert_eq!([&all["connector"]["state"], &all["tasks"][0]["state"]], ["RESTARTING", "RESTARTING"]);

    let stopped = shown(state(Target::Stopped).restarting(true, &[]));
    assert_eq!(stopped["connector"]["state"], "STOPPED", "a restart does not start what is stopped");
}

#[test]
fn a_task_carries_the_config_and_its_class() {
    let definition = definition(&FROM_RABBITMQ, &TO_KAFKA);
    let tasks = shown(TaskInfo::all(&definition, &status(Target::Running, vec![task(0, TaskState::Running, None)])));
    assert_eq!(
        tasks,
        json!([{ "id": { "connector": "orders", "task": 0 }, "config": {
            "name": "orders", "connector.class": "gantry.RabbitmqSourceConnector", "tasks.max": "2",
            "task.class": "gantry.RabbitmqSourceTask",
        } }])
    );
}
