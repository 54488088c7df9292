//! `gantry check --connect`: everything that is missing at the brokers, at once, with the commands that create it; and
//! nothing is moved or made by asking.

use serde_json::Value as Json;

use crate::{
    bridge,
    support::{self, brokers::rabbitmqctl, kafka, rabbit::Rabbit, unique},
};

/// What `gantry check --connect --json` says.
fn ask(configuration: &str) -> Json {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("gantry.yaml");
    std::fs::write(&file, configuration).expect("writing the configuration");
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_gantry"));
    let output = command.args(["check", "--connect", "--json"]).arg(&file).output().expect("running gantry");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// One field of each error.
fn errors(report: &Json, field: &str) -> Vec<String> {
    let all = report["diagnostics"].as_array().unwrap_or_else(|| panic!("there are diagnostics: {report}"));
    let errors = all.iter().filter(|one| one["severity"] == "error");
    errors.map(|one| one[field].as_str().unwrap_or_default().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_is_missing_is_told_at_once_with_the_commands_that_create_it() {
    let (queue, topic, dead) = (unique("queue"), unique("topic"), unique("dead"));
    let configuration = bridge(
        &format!("queue: {queue}"),
        &format!("topic: {topic}"),
        &format!("errors: {{ dead_letter: {{ rabbitmq: {{ connection: rabbit, queue: {dead} }} }} }}"),
    );
    let report = ask(&configuration);
    assert_eq!(report["ok"], false, "{report}");
    let paths = errors(&report, "path");
    assert_eq!(paths, ["bridges.b.source", "bridges.b.sink", "bridges.b.errors.dead_letter"], "{report}");
    let expected = [
        format!("rabbitmqadmin --vhost=/ declare queue name={queue} durable=true"),
        format!("kafka-topics.sh --bootstrap-server {} --create --topic {topic}", support::bootstrap_servers()),
        format!("rabbitmqadmin --vhost=/ declare queue name={dead} durable=true"),
    ];
    assert_eq!(report["commands"], serde_json::json!(expected));

    let rabbit = Rabbit::connect().await;
    rabbit.queue(&queue).await;
    rabbit.queue(&dead).await;
    kafka::create_topic(&topic, 1).await;
    let report = ask(&configuration);
    assert_eq!((&report["ok"], &report["errors"]), (&Json::Bool(true), &Json::from(0)), "{report}");
    for queue in [&queue, &dead] {
        rabbit.delete(queue).await;
    }
    kafka::delete_topic(&topic).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_is_missing_is_told_and_asking_leaves_no_trace() {
    let (queue, exchange, topic, user) = (unique("queue"), unique("exchange"), unique("topic"), unique("user"));
    let rabbit = Rabbit::connect().await;
    rabbit.queue(&queue).await;
    rabbit.exchange(&exchange, &queue, "key").await;
    kafka::create_topic(&topic, 1).await;
    rabbitmqctl(&["add_user", &user, "s3cret"]).await;
    rabbitmqctl(&["set_permissions", &user, "", "", ""]).await;
    let url = support::amqp_url().replace("guest:guest", &format!("{user}:s3cret"));
    let connection = format!("{{ urls: [\"{url}\"] }}");
    let configuration = format!(
        "bridges:\n  there:\n    source: {{ rabbitmq: {{ connection: {connection}, queue: {queue} }} }}\n    \
         sink: {{ kafka: {{ connection: {{ bootstrap_servers: \"{}\" }}, topic: {topic} }} }}\n  back:\n    \
         source: {{ kafka: {{ connection: {{ bootstrap_servers: \"{}\" }}, topic: {topic} }} }}\n    \
         sink: {{ rabbitmq: {{ connection: {connection}, exchange: {exchange}, routing_key: key }} }}\n",
        support::bootstrap_servers(),
        support::bootstrap_servers(),
    );
    let messages = errors(&ask(&configuration), "message");
    let about = |word: &str| messages.iter().filter(|message| message.contains(word)).count();
    assert_eq!((about("may not consume"), about("may not publish")), (1, 1), "{messages:#?}");
    assert!(messages.iter().all(|message| !message.contains("s3cret")), "{messages:#?}");

    rabbitmqctl(&["set_permissions", &user, "", ".*", ".*"]).await;
    let messages = errors(&ask(&configuration), "message");
    assert!(messages.iter().all(|message| !message.contains("may not")), "{messages:#?}");
    assert_eq!(rabbit.ready(&queue).await, 0, "asking published something");
    assert_eq!(kafka::read_all(&topic).len(), 0, "asking produced something");
    rabbitmqctl(&["delete_user", &user]).await;
    rabbit.delete(&queue).await;
    rabbit.delete_exchange(&exchange).await;
    kafka::delete_topic(&topic).await;
}

#[test]
fn every_sink_of_several_is_asked() {
    let (queue, one, other) = (unique("queue"), unique("one"), unique("other"));
    let configuration = bridge(&format!("queue: {queue}"), &format!("topic: {one}"), "");
    let sinks = format!(
        "sinks: [ {{ kafka: {{ connection: events, topic: {one} }} }}, {{ console: {{}} }}, \
         {{ kafka: {{ connection: events, topic: {other} }}, when: {{ keep: {{ field: key, exists: true }} }} }} ]"
    );
    let start = configuration.find("sink: ").expect("it has a sink");
    let end = start + configuration[start..].find('\n').expect("it ends");
    let report = ask(&format!("{}{sinks}{}", &configuration[..start], &configuration[end..]));
    assert_eq!(errors(&report, "path"), ["bridges.b.source", "bridges.b.sinks[0]", "bridges.b.sinks[2]"], "{report}");
    let messages = errors(&report, "message");
    assert!(messages[1].contains(&one) && messages[2].contains(&other), "{report}");
}

#[test]
fn a_broker_that_is_not_there_is_told_and_the_others_are_asked_all_the_same() {
    let queue = unique("queue");
    let configuration = bridge(&format!("queue: {queue}"), "topic: t", "");
    let nowhere = "bootstrap_servers: \"127.0.0.1:1\", connect_timeout: 1s";
    let kafka = format!("bootstrap_servers: \"{}\"", support::bootstrap_servers());
    let report = ask(&configuration.replace(&kafka, nowhere));
    let messages = errors(&report, "message");
    assert_eq!(messages.len(), 2, "{report}");
    assert!(messages[0].contains(&queue) && messages[1].contains("127.0.0.1:1"), "{report}");
}
