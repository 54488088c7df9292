//! `gantry graph` takes bindings from a real RabbitMQ's management API.

#[path = "../support/check.rs"]
mod check;

use lapin::{
    Connection, ConnectionProperties, ExchangeKind,
    options::{
        ExchangeBindOptions, ExchangeDeclareOptions, ExchangeDeleteOptions, QueueBindOptions, QueueDeclareOptions,
        QueueDeleteOptions,
    },
    types::FieldTable,
};

use check::{Ended, Files};

use crate::support::{amqp_url, management_url, unique};

/// Runs `gantry graph` on this configuration.
fn graph(yaml: &str, more: &[&str]) -> Ended {
    let ended = Files::of(&[("gantry.yaml", yaml)]).gantry(&[&["graph", "gantry.yaml"], more].concat(), &[]);
    assert!(!ended.out.contains("hunter2") && !ended.err.contains("hunter2"), "a secret is shown: {ended:?}");
    ended
}

fn yaml(url: &str, queue: &str) -> String {
    format!(
        "connections: {{ rabbit: {{ rabbitmq: {{ urls: [\"{url}\"] }} }} }}\n\
         bridges: {{ b: {{ source: {{ rabbitmq: {{ connection: rabbit, queue: \"{queue}\" }} }}, sink: {{ console: {{}} }} }} }}\n"
    )
}

#[tokio::test]
async fn the_exchanges_before_a_queue_are_drawn() {
    let (outer, inner, queue, stranger) = (unique("outer"), unique("inner"), unique("queue"), unique("stranger"));
    let connection = Connection::connect(&amqp_url(), ConnectionProperties::default())
        .await
        .expect("RabbitMQ answers: start it with scripts/brokers up");
    let channel = connection.create_channel().await.expect("a channel");
    for exchange in [&outer, &inner, &stranger] {
        let declared = channel.exchange_declare(
            exchange.as_str().into(),
            ExchangeKind::Topic,
            ExchangeDeclareOptions::default(),
            FieldTable::default(),
        );
        declared.await.expect("an exchange");
    }
    let declared = channel.queue_declare(queue.as_str().into(), QueueDeclareOptions::default(), FieldTable::default());
    declared.await.expect("a queue");
    let (none, key) = (FieldTable::default, "#");
    channel
        .exchange_bind(inner.as_str().into(), outer.as_str().into(), key.into(), ExchangeBindOptions::default(), none())
        .await
        .expect("a binding");
    channel
        .queue_bind(queue.as_str().into(), inner.as_str().into(), key.into(), QueueBindOptions::default(), none())
        .await
        .expect("a binding");

    let ended = graph(&yaml(&amqp_url(), &queue), &["--management-url", &management_url()]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for there in [&outer, &inner, &queue] {
        assert_eq!(ended.out.matches(there.as_str()).count(), 1, "{there} in {}", ended.out);
    }
    assert!(!ended.out.contains(&stranger), "{}", ended.out);
    assert_eq!(ended.out.matches("==>").count(), 2, "{}", ended.out);

    channel.queue_delete(queue.as_str().into(), QueueDeleteOptions::default()).await.expect("deleting it");
    for exchange in [&outer, &inner, &stranger] {
        channel.exchange_delete(exchange.as_str().into(), ExchangeDeleteOptions::default()).await.expect("deleting it");
    }
}

#[test]
fn what_is_wrong_with_the_api_is_told_without_the_password() {
    let broker = "amqp://gantry:hunter2@127.0.0.1:1";
    let elsewhere = format!("{broker}/nowhere");
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port");
    let with_user = |user: &str| management_url().replace("://", &format!("://{user}@"));
    for (broker, url, expected) in [
        (broker, "management".to_owned(), "http://rabbit1:15672"),
        (broker, "ftp://127.0.0.1:1".to_owned(), "http://rabbit1:15672"),
        (broker, format!("http://nobody:hunter2@{free}"), "asking the management API at 127.0.0.1"),
        (broker, with_user("nobody:hunter2"), "it refuses this user"),
        (broker, management_url(), "it refuses this user"),
        (elsewhere.as_str(), with_user("guest:guest"), "there is no such virtual host"),
    ] {
        let ended = graph(&yaml(broker, "q"), &["--management-url", &url]);
        assert_eq!(ended.code, Some(2), "{url}: {ended:?}");
        assert!(ended.err.contains(expected), "{url}: {ended:?}");
    }
}
