//! Where a consumer of a stream goes on.

use gantry_sdk::{Context, ErrorKind, Source, testkit};
use lapin::{
    options::{QueueDeclareOptions, QueueDeleteOptions},
    types::{AMQPValue, FieldTable},
};
use serde_json::{Value as Json, json};

use crate::support::{
    Proxy, Queue, Rabbit, assert_numbers, closed, commit, end_of, numbers, opened, records, source_with, unopened,
};

async fn stream(rabbit: &Rabbit) -> Queue {
    rabbit.queue_with("stream", &[("x-queue-type", AMQPValue::LongString("stream".into()))]).await
}

fn options(queue: &Queue, proxy: &Proxy) -> Json {
    json!({
        "connection": { "urls": [proxy.url()] }, "queue": queue.name, "arguments": { "x-stream-offset": "next" },
    })
}

/// The next source of that task.
async fn open(task: &Context, options: Json) -> Box<dyn Source> {
    opened(source_with(options, task.clone())).await
}

/// The connection ends; the next instance is a new one.
async fn lost(mut source: Box<dyn Source>, proxy: &Proxy) {
    proxy.drop_connection().await;
    end_of(&mut *source).await;
    closed(source.close()).await;
}

#[tokio::test]
async fn i1_a_closed_connection_loses_nothing_of_a_stream_read_from_next() {
    let rabbit = Rabbit::connect().await;
    let (queue, proxy, task) = (stream(&rabbit).await, Proxy::start().await, testkit::context());
    rabbit.publish_numbers(&queue, 0..5).await;
    let mut source = open(&task, options(&queue, &proxy)).await;
    rabbit.publish_numbers(&queue, 5..55).await;
    let (first, last) = records(&mut *source, 30).await;
    assert_numbers(&numbers(&first), 5..35);
    commit(&mut *source, 0, &last).await;
    // With the runtime, and not settled.
    let (more, _) = records(&mut *source, 10).await;
    assert_numbers(&numbers(&more), 35..45);
    lost(source, &proxy).await;
    rabbit.publish_numbers(&queue, 55..105).await;

    let mut source = open(&task, options(&queue, &proxy)).await;
    let (rest, last) = records(&mut *source, 70).await;
    assert_numbers(&numbers(&rest), 35..105);
    commit(&mut *source, 0, &last).await;
    closed(source.close()).await;

    // A planned stop is the same.
    rabbit.publish_numbers(&queue, 105..106).await;
    let mut source = open(&task, options(&queue, &proxy)).await;
    assert_numbers(&numbers(&records(&mut *source, 1).await.0), 105..106);
    closed(source.close()).await;
}

#[tokio::test]
async fn a_connection_that_ends_before_anything_came_loses_nothing_either() {
    let rabbit = Rabbit::connect().await;
    let (queue, proxy, task) = (stream(&rabbit).await, Proxy::start().await, testkit::context());
    let source = open(&task, options(&queue, &proxy)).await;
    lost(source, &proxy).await;
    rabbit.publish_numbers(&queue, 0..100).await;
    let mut source = open(&task, options(&queue, &proxy)).await;
    assert_numbers(&numbers(&records(&mut *source, 100).await.0), 0..100);
    // Nothing of it was settled.
    lost(source, &proxy).await;
    let mut source = open(&task, options(&queue, &proxy)).await;
    assert_numbers(&numbers(&records(&mut *source, 100).await.0), 0..100);
    closed(source.close()).await;
}

#[tokio::test]
async fn a_stream_that_was_made_again_is_read_from_its_start() {
    let rabbit = Rabbit::connect().await;
    let (queue, proxy, task) = (stream(&rabbit).await, Proxy::start().await, testkit::context());
    let mut source = open(&task, options(&queue, &proxy)).await;
    rabbit.publish_numbers(&queue, 0..50).await;
    let (_, last) = records(&mut *source, 50).await;
    commit(&mut *source, 0, &last).await;
    closed(source.close()).await;
    let name = || queue.name.as_str().into();
    rabbit.channel.queue_delete(name(), QueueDeleteOptions::default()).await.expect("it is there");
    let error = unopened(source_with(options(&queue, &proxy), task.clone())).await;
    assert_eq!(error.kind(), ErrorKind::Missing);
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("stream".into()));
    let declared = rabbit.channel.queue_declare(name(), QueueDeclareOptions::durable(), arguments);
    declared.await.expect("there is none of that name");
    rabbit.publish_numbers(&queue, 0..5).await;

    let mut source = open(&task, options(&queue, &proxy)).await;
    assert_numbers(&numbers(&records(&mut *source, 5).await.0), 0..5);
    closed(source.close()).await;
}

/// A person who says another place wants that one, and a new process knows of none.
#[tokio::test]
async fn a_place_that_is_said_anew_is_where_it_starts() {
    let rabbit = Rabbit::connect().await;
    let (queue, proxy, task) = (stream(&rabbit).await, Proxy::start().await, testkit::context());
    rabbit.publish_numbers(&queue, 0..20).await;
    let from = |place: &str| {
        let mut options = options(&queue, &proxy);
        options["arguments"]["x-stream-offset"] = place.into();
        options
    };
    let mut source = open(&task, from("first")).await;
    let (_, last) = records(&mut *source, 20).await;
    commit(&mut *source, 0, &last).await;
    closed(source.close()).await;
    // What was behind the end is not read any more.
    let source = open(&task, from("next")).await;
    closed(source.close()).await;
    for task in [task, testkit::context()] {
        let mut source = open(&task, from("first")).await;
        assert_numbers(&numbers(&records(&mut *source, 20).await.0), 0..20);
        closed(source.close()).await;
    }
}
