//! How it starts, and what it says when it cannot.

use futures_util::FutureExt;
use gantry_sdk::{Error, ErrorKind};
use lapin::{
    BasicProperties,
    options::{ExchangeDeleteOptions, QueueDeleteOptions},
    types::AMQPValue,
};
use serde_json::{Value as Json, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use crate::support::{
    ALL, Management, Proxy, Queue, Rabbit, amqp_url, assert_numbers, batch, closed, end_of, numbers, open, records,
    source, unique, unopened, until, within,
};

/// The error that opening comes to. Its text holds no password.
async fn refused(options: Json) -> Error {
    let error = unopened(source(options)).await;
    assert!(!error.chain().contains("hunter2"), "{}", error.chain());
    error
}

/// A port that nobody listens on.
async fn closed_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    listener.local_addr().expect("it is bound").port()
}

#[tokio::test]
async fn a_missing_queue_says_what_to_create() {
    let name = unique("missing");
    let error = refused(json!({ "queue": name })).await;
    assert_eq!(error.kind(), ErrorKind::Missing);
    let text = error.chain();
    for part in [
        &format!("consuming queue \"{name}\" on 127.0.0.1:"),
        "virtual host \"/\"",
        "there is no such queue",
        &format!("rabbitmqadmin --vhost=/ declare queue name={name} durable=true"),
        "declare: { queue: {} }",
    ] {
        assert!(text.contains(part), "{part} is not in: {text}");
    }
}

#[tokio::test]
async fn bad_credentials_are_refused() {
    let url = amqp_url().replace("guest:guest", "guest:hunter2");
    let error = refused(json!({ "connection": { "urls": [url] }, "queue": "q" })).await;
    assert_eq!(error.kind(), ErrorKind::Refused);
    let text = error.chain();
    assert!(text.contains("connecting to 127.0.0.1:") && text.contains("ACCESS_REFUSED"), "{text}");
}

#[tokio::test]
async fn an_unknown_virtual_host_is_refused() {
    let error = refused(json!({ "connection": { "urls": [amqp_url()], "vhost": "no/such" }, "queue": "q" })).await;
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(error.chain().contains("virtual host \"no/such\""), "{}", error.chain());
}

#[tokio::test]
async fn nobody_there_is_disconnected() {
    let port = closed_port().await;
    let url = format!("amqp://guest:hunter2@127.0.0.1:{port}");
    let error = refused(json!({ "connection": { "urls": [url] }, "queue": "q" })).await;
    assert_eq!(error.kind(), ErrorKind::Disconnected);
    assert!(error.chain().contains(&format!("connecting to 127.0.0.1:{port}")), "{}", error.chain());
}

#[tokio::test]
async fn somebody_who_says_nothing_is_given_up_and_hung_up_on() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("amqp://{}", listener.local_addr().expect("it is bound"));
    let options = json!({ "connection": { "urls": [url], "connection_timeout": "300ms" }, "queue": "q" });
    let error = refused(options).await;
    assert_eq!(error.kind(), ErrorKind::Disconnected);
    assert!(error.chain().contains("no answer in 300ms"), "{}", error.chain());
    let (mut peer, _) = listener.accept().await.expect("it was connected to");
    let mut said = Vec::new();
    within("the end of the connection", peer.read_to_end(&mut said)).await.expect("an orderly end");
    assert_eq!(&said[..4], b"AMQP");
}

#[tokio::test]
async fn another_protocol_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("amqp://{}", listener.local_addr().expect("it is bound"));
    let answering = tokio::spawn(async move {
        let (mut peer, _) = listener.accept().await.expect("it was connected to");
        peer.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.expect("it listens");
        // Held open: what was said must be enough.
        let _ = peer.read_to_end(&mut Vec::new()).await;
    });
    let error = refused(json!({ "connection": { "urls": [url] }, "queue": "q" })).await;
    assert!(error.chain().contains("does not speak AMQP 0-9-1"), "{}", error.chain());
    assert_eq!(error.kind(), ErrorKind::Refused);
    within("the end of the connection", answering).await.expect("it ends");
}

#[tokio::test]
async fn urls_are_tried_in_turn_and_the_error_tells_of_each() {
    let rabbit = Rabbit::connect().await;
    let queue = rabbit.queue("turn").await;
    rabbit.publish_numbers(&queue, 0..1).await;
    let (one, two) = (closed_port().await, closed_port().await);
    let dead = [format!("amqp://127.0.0.1:{one}"), format!("amqp://127.0.0.1:{two}")];
    let error = refused(json!({ "connection": { "urls": dead }, "queue": queue.name })).await;
    for port in [one, two] {
        assert!(error.chain().contains(&port.to_string()), "{}", error.chain());
    }
    let urls = [dead[0].clone(), dead[1].clone(), amqp_url()];
    let mut source = open(json!({ "connection": { "urls": urls }, "queue": queue.name })).await;
    assert_eq!(numbers(&records(&mut *source, 1).await.0), [0]);
    closed(source.close()).await;
}

#[tokio::test]
async fn after_a_connection_is_lost_the_next_url_comes_first() {
    let rabbit = Rabbit::connect().await;
    let queue = rabbit.queue("next").await;
    let (first, second) = (Proxy::start().await, Proxy::start().await);
    let options = json!({ "connection": { "urls": [first.url(), second.url()] }, "queue": queue.name });
    let mut source = open(options.clone()).await;
    assert!(first.is_used().await && !second.is_used().await);
    // It may be reached again at once; all the same the other one comes first.
    first.drop_connection().await;
    end_of(&mut *source).await;
    closed(source.close()).await;

    let source = open(options).await;
    assert!(!first.is_used().await && second.is_used().await);
    closed(source.close()).await;
}

#[tokio::test]
async fn a_password_of_any_characters_works_apart_from_the_url() {
    let rabbit = Rabbit::connect().await;
    let queue = rabbit.queue("password").await;
    rabbit.publish_numbers(&queue, 0..1).await;
    let (user, password) = (unique("user"), "p@ss/w:rd%#?[]");
    let management = Management::new();
    management.user(&user, password);
    let url = amqp_url().replace("guest:guest@", "");
    let mut source = open(json!({
        "connection": { "urls": [url], "username": user, "password": password }, "queue": queue.name,
    }))
    .await;
    management.delete(&format!("users/{user}"));
    assert_eq!(numbers(&records(&mut *source, 1).await.0), [0]);
    closed(source.close()).await;
}

#[tokio::test]
async fn it_has_a_name_in_the_management_pages() {
    let rabbit = Rabbit::connect().await;
    let queue = rabbit.queue("name").await;
    let name = unique("name");
    let source = open(json!({
        "connection": { "urls": [amqp_url()], "connection_name": name },
        "queue": queue.name, "consumer_tag": "my-tag",
    }))
    .await;
    until(true, || async { Management::new().connection(&name).is_some() }).await;
    let consumers =
        || async { Management::new().get(&format!("queues/%2F/{}", queue.name))["consumer_details"].clone() };
    until(json!("my-tag"), || async { consumers().await[0]["consumer_tag"].clone() }).await;
    closed(source.close()).await;

    let source = open(json!({ "queue": queue.name })).await;
    until(json!("gantry test/0"), || async { consumers().await[0]["consumer_tag"].clone() }).await;
    closed(source.close()).await;
}

/// Names of a topology that goes with its test.
struct Topology {
    queue: Queue,
    exchange: String,
    rabbit: Rabbit,
}

impl Topology {
    async fn new(what: &str) -> Self {
        Self { queue: Queue { name: unique(what) }, exchange: unique(what), rabbit: Rabbit::connect().await }
    }

    fn options(&self, arguments: &Json) -> Json {
        json!({
            "queue": self.queue.name,
            "declare": {
                "queue": { "arguments": arguments },
                "exchange": { "name": self.exchange, "type": "topic" },
                "bindings": [{ "routing_key": "order.*" }],
            },
        })
    }

    async fn remove(self) {
        let deleted = self.rabbit.channel.exchange_delete(self.exchange.into(), ExchangeDeleteOptions::default());
        deleted.await.expect("the exchange is there");
    }
}

#[tokio::test]
async fn what_is_declared_is_there_with_its_arguments() {
    let topology = Topology::new("declare").await;
    let dead = topology.rabbit.queue("declare-dead").await;
    let arguments = json!({
        "x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead.name, "x-max-length": { "type": "int", "value": 1 },
    });
    // A second time it is there already, which is as good.
    for _ in 0..2 {
        let source = open(topology.options(&arguments)).await;
        closed(source.close()).await;
    }
    for body in [b"one", b"two"] {
        topology.rabbit.publish_to(&topology.exchange, "order.new", body, BasicProperties::default()).await;
    }
    // The queue holds one message by its arguments, and gives the older to the dead-letter exchange.
    let mut source = open(json!({ "queues": [topology.queue.name, dead.name] })).await;
    let mut seen = Vec::new();
    while seen.len() < 2 {
        let (lane, records, _) = batch(&mut *source, ALL).await;
        seen.extend(records.into_iter().map(|record| (lane, record.value.expect("it has a body"))));
    }
    seen.sort();
    assert_eq!(seen, [(0, "two".into()), (1, "one".into())]);
    closed(source.close()).await;
    topology.remove().await;
}

#[tokio::test]
async fn a_queue_that_is_there_with_other_arguments_is_refused() {
    let topology = Topology::new("unequal").await;
    let source = open(topology.options(&json!({ "x-max-length": 1 }))).await;
    closed(source.close()).await;
    let error = refused(topology.options(&json!({ "x-max-length": 2 }))).await;
    assert_eq!(error.kind(), ErrorKind::Refused);
    let text = error.chain();
    assert!(text.contains("declaring queue") && text.contains("inequivalent arg 'x-max-length'"), "{text}");
    topology.remove().await;
}

#[tokio::test]
async fn a_binding_to_a_missing_exchange_is_missing() {
    let queue = Queue { name: unique("unbound") };
    let exchange = unique("no-exchange");
    let error = refused(json!({
        "queue": queue.name, "declare": { "queue": {}, "bindings": [{ "exchange": exchange }] },
    }))
    .await;
    assert_eq!(error.kind(), ErrorKind::Missing);
    let text = error.chain();
    assert!(text.contains("binding queue") && text.contains(&format!("no exchange '{exchange}'")), "{text}");
}

#[tokio::test]
async fn an_exclusive_consumer_shares_with_nobody() {
    let rabbit = Rabbit::connect().await;
    let queue = rabbit.queue("exclusive").await;
    let alone = open(json!({ "queue": queue.name, "exclusive": true })).await;
    let error = refused(json!({ "queue": queue.name })).await;
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(error.chain().contains("exclusive use"), "{}", error.chain());
    closed(alone.close()).await;
    let source = open(json!({ "queue": queue.name })).await;
    closed(source.close()).await;
}

#[tokio::test]
async fn a_consumer_of_a_higher_priority_is_served_first() {
    let rabbit = Rabbit::connect().await;
    let queue = rabbit.queue("priority").await;
    let mut low = open(json!({ "queue": queue.name })).await;
    let mut high = open(json!({ "queue": queue.name, "priority": 10 })).await;
    rabbit.publish_numbers(&queue, 0..20).await;
    assert_eq!(numbers(&records(&mut *high, 20).await.0), (0..20).collect::<Vec<_>>());
    assert!(low.poll(ALL).now_or_never().is_none());
    closed(low.close()).await;
    closed(high.close()).await;
}

#[tokio::test]
async fn a_stream_is_refused_unless_its_start_was_chosen() {
    let rabbit = Rabbit::connect().await;
    let queue = rabbit.queue_with("stream", &[("x-queue-type", AMQPValue::LongString("stream".into()))]).await;
    let mut source = open(json!({ "queue": queue.name })).await;
    // A stream's consumer starts at its end, and has started when it was opened or soon after.
    let error = loop {
        rabbit.publish_numbers(&queue, 0..1).await;
        if let Some(polled) = source.poll(ALL).now_or_never() {
            break polled.expect_err("it took a record of a stream");
        }
    };
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.chain().contains("it is a stream"), "{}", error.chain());
    closed(source.close()).await;

    let arguments = json!({ "x-stream-offset": "first" });
    let mut source = open(json!({ "queue": queue.name, "arguments": arguments })).await;
    assert_eq!(numbers(&records(&mut *source, 1).await.0), [0]);
    closed(source.close()).await;
    let deleted = rabbit.channel.queue_delete(queue.name.as_str().into(), QueueDeleteOptions::default());
    deleted.await.expect("the queue is there");
}

#[tokio::test]
async fn a_queue_needs_one_channel_and_more_queues_than_channels_are_told() {
    let rabbit = Rabbit::connect().await;
    let (queue, other) = (rabbit.queue("channel").await, rabbit.queue("channel").await);
    rabbit.publish_numbers(&queue, 0..10).await;
    let connection = json!({ "urls": [format!("{}?channel_max=1", amqp_url())] });
    let declare = json!({ "queue": { "durable": true } });
    let mut source = open(json!({ "connection": connection, "queue": queue.name, "declare": declare })).await;
    assert_numbers(&numbers(&records(&mut *source, 10).await.0), 0..10);
    assert_eq!(within("asking", source.backlog()).await.expect("it can do without"), None);
    closed(source.close()).await;
    let error = refused(json!({ "connection": connection, "queues": [queue.name, other.name] })).await;
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(error.chain().contains("consuming 2 queues") && error.chain().contains("only 1 are"), "{}", error.chain());
}
