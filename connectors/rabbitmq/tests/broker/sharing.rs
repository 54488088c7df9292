//! Bridges with the same options of a connection share it, and disturb each other no more than on connections of their own.

use gantry_rabbitmq::SINK;
use gantry_sdk::{Context, ErrorKind, Shared, Source, testkit};
use lapin::options::QueueDeleteOptions;
use serde_json::{Value as Json, json};

use crate::give_back::unlimited_quorum_queue;
use crate::support::{
    ALL, Management, Proxy, Queue, Rabbit, amqp_url, assert_numbers, batch, closed, commit, end_of, numbers, opened,
    records, source_with, unique, unopened, until, within,
};

/// The bridges of one process.
pub(crate) struct Process {
    shared: Shared,
    /// What its connections are called at the broker.
    name: String,
    url: String,
}

impl Process {
    pub(crate) fn at(url: String) -> Self {
        Self { shared: Shared::default(), name: unique("shared"), url }
    }

    pub(crate) fn context(&self) -> Context {
        Context { shared: self.shared.clone(), ..testkit::context() }
    }

    pub(crate) fn options(&self, more: Json) -> Json {
        let mut options = json!({ "connection": { "urls": [self.url], "connection_name": self.name } });
        options.as_object_mut().expect("it is one").extend(more.as_object().expect("it is one").clone());
        options
    }

    async fn source(&self, queue: &str) -> Box<dyn Source> {
        opened(source_with(self.options(json!({ "queue": queue })), self.context())).await
    }

    /// How many the broker knows.
    fn connections(&self) -> usize {
        let all = Management::new().get("connections");
        let named = |connection: &&Json| connection["client_properties"]["connection_name"] == *self.name;
        all.as_array().map_or(0, |all| all.iter().filter(named).count())
    }
}

#[tokio::test]
async fn sources_and_sinks_take_one_connection_to_consume_and_one_to_publish() {
    let rabbit = Rabbit::connect().await;
    let (one, other) = (rabbit.queue("one").await, rabbit.queue("other").await);
    let process = Process::at(amqp_url());
    let (first, second) = (process.source(&one.name).await, process.source(&other.name).await);
    let mut sinks = Vec::new();
    for queue in [&one, &other, &one] {
        let options = process.options(json!({ "queue": queue.name }));
        sinks.push(opened((SINK.create)(&options, process.context()).expect("good options")).await);
    }
    until(2, || async { process.connections() }).await;
    closed(first.close()).await;
    for sink in sinks {
        closed(sink.close()).await;
    }
    until(1, || async { process.connections() }).await;
    closed(second.close()).await;
    until(0, || async { process.connections() }).await;
}

#[tokio::test]
async fn whoever_does_not_share_has_a_connection_of_its_own() {
    let rabbit = Rabbit::connect().await;
    let queue = rabbit.queue("alone").await;
    let process = Process::at(amqp_url());
    let options = json!({
        "connection": { "urls": [amqp_url()], "connection_name": process.name, "share": false }, "queue": queue.name,
    });
    let first = opened(source_with(options.clone(), process.context())).await;
    let second = opened(source_with(options, process.context())).await;
    until(2, || async { process.connections() }).await;
    closed(first.close()).await;
    closed(second.close()).await;
}

#[tokio::test]
async fn where_channels_run_out_a_further_connection_is_opened() {
    let rabbit = Rabbit::connect().await;
    let queue = rabbit.queue("many").await;
    // Each source takes one channel for its queue, and asks on others.
    let process = Process::at(format!("{}?channel_max=5", amqp_url()));
    let mut sources = Vec::new();
    for _ in 0..3 {
        sources.push(process.source(&queue.name).await);
    }
    until(3, || async { process.connections() }).await;
    for source in sources {
        closed(source.close()).await;
    }
}

#[tokio::test]
async fn the_end_of_one_channel_disturbs_no_other() {
    let rabbit = Rabbit::connect().await;
    let (goes, stays) = (rabbit.queue("goes").await, rabbit.queue("stays").await);
    let process = Process::at(amqp_url());
    let (mut first, mut second) = (process.source(&goes.name).await, process.source(&stays.name).await);
    rabbit.channel.queue_delete(goes.name.as_str().into(), QueueDeleteOptions::default()).await.expect("it is there");
    end_of(&mut *first).await;
    closed(first.close()).await;
    unopened(source_with(process.options(json!({ "queue": goes.name })), process.context())).await;
    rabbit.publish_numbers(&stays, 0..100).await;
    let (taken, last) = records(&mut *second, 100).await;
    assert_numbers(&numbers(&taken), 0..100);
    commit(&mut *second, 0, &last).await;
    until(1, || async { process.connections() }).await;
    closed(second.close()).await;
}

/// The client library never forgets a channel that RabbitMQ has closed.
#[tokio::test]
async fn questions_that_are_refused_again_and_again_wear_no_connection_out() {
    let rabbit = Rabbit::connect().await;
    let (queue, other) = (rabbit.queue("stays").await, rabbit.queue("comes").await);
    let process = Process::at(format!("{}?channel_max=8", amqp_url()));
    let mut stays = process.source(&queue.name).await;
    for _ in 0..20 {
        let missing = process.options(json!({ "queue": unique("missing") }));
        assert_eq!(unopened(source_with(missing, process.context())).await.kind(), ErrorKind::Missing);
    }
    closed(process.source(&other.name).await.close()).await;
    rabbit.publish_numbers(&queue, 0..10).await;
    assert_numbers(&numbers(&records(&mut *stays, 10).await.0), 0..10);
    closed(stays.close()).await;
}

#[tokio::test]
async fn a_connection_that_is_cut_ends_for_everybody_and_one_comes_for_all() {
    let rabbit = Rabbit::connect().await;
    let (one, other) = (rabbit.queue("one").await, rabbit.queue("other").await);
    let proxy = Proxy::start().await;
    let process = Process::at(proxy.url());
    let (mut first, mut second) = (process.source(&one.name).await, process.source(&other.name).await);
    proxy.fail().await;
    tokio::join!(end_of(&mut *first), end_of(&mut *second));
    within("closing", first.close()).await.expect("it closes");
    within("closing", second.close()).await.expect("it closes");
    let direct = Process { url: amqp_url(), ..process };
    let (first, second) = tokio::join!(direct.source(&one.name), direct.source(&other.name));
    until(1, || async { direct.connections() }).await;
    closed(first.close()).await;
    closed(second.close()).await;
}

#[tokio::test]
async fn i5_what_a_dropped_source_held_comes_before_what_follows() {
    let rabbit = Rabbit::connect().await;
    for queue in [rabbit.queue("dropped").await, unlimited_quorum_queue(&rabbit).await] {
        drop_again_and_again(&rabbit, queue).await;
    }
}

async fn drop_again_and_again(rabbit: &Rabbit, queue: Queue) {
    let other = rabbit.queue("other").await;
    rabbit.publish_numbers(&queue, 0..2_000).await;
    let process = Process::at(amqp_url());
    // The connection stays: another one uses it.
    let stays = process.source(&other.name).await;
    let mut begins = 0;
    for _ in 0..5 {
        let mut source = process.source(&queue.name).await;
        let (taken, last) = records(&mut *source, 300).await;
        assert_numbers(&numbers(&taken)[..100], begins..begins + 100);
        commit(&mut *source, 0, &(last.as_u64().expect("a tag") - 200).into()).await;
        begins += 100;
        // The acknowledgement is read before the channel ends; both go over one connection, in order.
        drop(source);
    }
    let mut source = process.source(&queue.name).await;
    let (taken, _) = records(&mut *source, 2_000 - begins).await;
    assert_numbers(&numbers(&taken), begins..2_000);
    closed(source.close()).await;
    closed(stays.close()).await;
}

#[tokio::test]
async fn a_source_that_nobody_polls_holds_up_no_other() {
    let rabbit = Rabbit::connect().await;
    let (stalls, flows) = (rabbit.queue("stalls").await, rabbit.queue("flows").await);
    rabbit.publish_all(&stalls, (0..2_000).map(|_| vec![0; 10_000])).await;
    rabbit.publish_numbers(&flows, 0..5_000).await;
    let process = Process::at(amqp_url());
    let stalled = process.source(&stalls.name).await;
    let mut flowing = process.source(&flows.name).await;
    let mut arrived = Vec::new();
    while arrived.len() < 5_000 {
        let (_, taken, last) = batch(&mut *flowing, ALL).await;
        arrived.extend(numbers(&taken));
        commit(&mut *flowing, 0, &last).await;
    }
    assert_numbers(&arrived, 0..5_000);
    closed(flowing.close()).await;
    assert_eq!(rabbit.ready(&flows).await, 0);
    closed(stalled.close()).await;
    until(2_000, || rabbit.ready(&stalls)).await;
}

#[tokio::test]
async fn a_sink_that_comes_while_the_connection_is_blocked_says_so() {
    let rabbit = Rabbit::connect().await;
    let queue = rabbit.queue("blocked").await;
    let proxy = Proxy::start().await;
    let process = Process::at(proxy.url());
    let sink =
        || (SINK.create)(&process.options(json!({ "queue": queue.name })), process.context()).expect("good options");
    let first = opened(sink()).await;
    // connection.blocked with a reason, on channel 0: what RabbitMQ sends when it is short of memory.
    let reason = b"low on memory";
    let mut arguments = vec![u8::try_from(reason.len()).expect("it is short")];
    arguments.extend(reason);
    proxy.say(0, 10, 60, &arguments).await;
    let error = unopened(sink()).await;
    assert_eq!(error.kind(), ErrorKind::Disconnected);
    assert!(error.chain().contains("has blocked the connection: low on memory"), "{}", error.chain());
    closed(first.close()).await;
}

#[tokio::test]
async fn a_broker_that_is_away_is_tried_once_for_all_that_wait() {
    let process = Process::at("amqp://guest:guest@127.0.0.1:1/%2f".to_owned());
    let opening = || unopened(source_with(process.options(json!({ "queue": "none" })), process.context()));
    let (one, two) = tokio::join!(opening(), opening());
    assert_eq!((one.kind(), one.chain()), (two.kind(), two.chain()));
}
