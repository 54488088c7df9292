//! How it ends: every end is an error of the next poll, with the reason, and never silence.

use gantry_sdk::{ErrorKind, Health, health::Condition};
use lapin::options::QueueDeleteOptions;
use serde_json::json;

use crate::support::{
    ALL, Management, Proxy, Rabbit, amqp_url, closed, commit, end_of, numbers, open, opened, records,
    source_with_health, tending, try_commit, unique, until, within,
};

#[tokio::test]
async fn a_queue_that_is_deleted_ends_the_poll() {
    let rabbit = Rabbit::connect().await;
    let queue = rabbit.queue("deleted").await;
    let mut source = open(json!({ "queue": queue.name })).await;
    let deleting = rabbit.channel.queue_delete(queue.name.as_str().into(), QueueDeleteOptions::default());
    let (error, deleted) = tokio::join!(end_of(&mut *source), deleting);
    deleted.expect("the queue is there");
    assert_eq!(error.kind(), ErrorKind::Disconnected);
    let text = error.chain();
    assert!(text.contains(&queue.name) && text.contains("RabbitMQ cancelled the consumer"), "{text}");
    closed(source.close()).await;
}

#[tokio::test]
async fn one_of_several_queues_that_is_deleted_ends_the_poll() {
    let rabbit = Rabbit::connect().await;
    let (stays, goes) = (rabbit.queue("stays").await, rabbit.queue("goes").await);
    rabbit.publish_numbers(&stays, 0..5).await;
    let mut source = open(json!({ "queues": [stays.name, goes.name] })).await;
    rabbit.channel.queue_delete(goes.name.as_str().into(), QueueDeleteOptions::default()).await.expect("it is there");
    let error = end_of(&mut *source).await;
    assert!(error.chain().contains(&goes.name), "{}", error.chain());
    closed(source.close()).await;
    until(5, || rabbit.ready(&stays)).await;
}

#[tokio::test]
async fn a_connection_that_the_broker_closes_ends_the_poll() {
    let rabbit = Rabbit::connect().await;
    let queue = rabbit.queue("forced").await;
    let name = unique("forced");
    let mut source = open(json!({
        "connection": { "urls": [amqp_url()], "connection_name": name }, "queue": queue.name,
    }))
    .await;
    let management = Management::new();
    until(true, || async { management.connection(&name).is_some() }).await;
    let connection = management.connection(&name).expect("it was there");
    management.delete(&format!("connections/{}", connection.replace(' ', "%20").replace('>', "%3E")));
    let error = end_of(&mut *source).await;
    assert_eq!(error.kind(), ErrorKind::Disconnected);
    assert!(error.chain().contains("RabbitMQ answered 320 CONNECTION_FORCED"), "{}", error.chain());
    within("closing", source.close()).await.expect("it closes");
}

#[tokio::test]
async fn a_connection_that_is_cut_ends_the_poll_and_its_messages_come_again() {
    let rabbit = Rabbit::connect().await;
    let queue = rabbit.queue("cut").await;
    rabbit.publish_numbers(&queue, 0..50).await;
    let proxy = Proxy::start().await;
    let options = json!({ "connection": { "urls": [proxy.url()] }, "queue": queue.name, "prefetch": 10 });
    let mut source = open(options).await;
    let (taken, _) = records(&mut *source, 10).await;
    commit(&mut *source, 0, &4.into()).await;
    // The next four are here because the broker has read the acknowledgement.
    records(&mut *source, 4).await;
    proxy.fail().await;
    let error = end_of(&mut *source).await;
    assert_eq!(error.kind(), ErrorKind::Disconnected);
    let late = try_commit(&mut *source, 0, &10.into()).await.expect_err("there is no channel any more");
    assert_eq!(late.kind(), ErrorKind::Disconnected);
    within("closing", source.close()).await.expect("it closes");

    let mut source = open(json!({ "queue": queue.name })).await;
    let (again, _) = records(&mut *source, 46).await;
    assert_eq!(numbers(&taken), (0..10).collect::<Vec<_>>());
    assert_eq!(numbers(&again), (4..50).collect::<Vec<_>>());
    closed(source.close()).await;
}

#[tokio::test]
async fn what_a_dead_channel_left_behind_is_not_handed_out() {
    let rabbit = Rabbit::connect().await;
    let queue = rabbit.queue("stale").await;
    rabbit.publish_numbers(&queue, 0..100).await;
    let proxy = Proxy::start().await;
    let mut source = open(json!({ "connection": { "urls": [proxy.url()] }, "queue": queue.name })).await;
    // All hundred are delivered, one is taken.
    records(&mut *source, 1).await;
    tending(&mut *source, until(0, || rabbit.ready(&queue))).await;
    proxy.fail().await;
    within("noticing", source.watch_connection()).await;
    let error = within("polling", source.poll(ALL)).await.expect_err("it handed out what cannot be acknowledged");
    assert_eq!(error.kind(), ErrorKind::Disconnected);
    within("closing", source.close()).await.expect("it closes");
}

#[tokio::test]
async fn a_channel_that_the_broker_closes_ends_the_poll_with_the_reason() {
    let rabbit = Rabbit::connect().await;
    let queue = rabbit.queue("channel").await;
    let proxy = Proxy::start().await;
    let mut source = open(json!({ "connection": { "urls": [proxy.url()] }, "queue": queue.name })).await;
    // channel.close 406, the text, no class, no method: what RabbitMQ does to a consumer that does not acknowledge in time.
    let text = b"PRECONDITION_FAILED - delivery acknowledgement on channel 1 timed out";
    let mut arguments = 406u16.to_be_bytes().to_vec();
    arguments.push(u8::try_from(text.len()).expect("it is short"));
    arguments.extend(text);
    arguments.extend([0; 4]);
    proxy.say(1, 20, 40, &arguments).await;
    let error = end_of(&mut *source).await;
    assert_eq!(error.kind(), ErrorKind::Disconnected);
    assert!(error.chain().contains("delivery acknowledgement on channel 1 timed out"), "{}", error.chain());
    // The real broker hears of a close that it did not ask for, and hangs up; both ways are fine.
    let _ = within("closing", source.close()).await;
}

#[tokio::test]
async fn a_peer_that_falls_silent_ends_the_poll_and_does_not_hold_up_the_close() {
    let rabbit = Rabbit::connect().await;
    let queue = rabbit.queue("silent").await;
    let proxy = Proxy::start().await;
    let options = json!({ "connection": { "urls": [proxy.url()], "heartbeat": "1s" }, "queue": queue.name });
    let mut source = open(options).await;
    proxy.fall_silent();
    let error = end_of(&mut *source).await;
    assert_eq!(error.kind(), ErrorKind::Disconnected);
    assert!(error.chain().contains("nothing was heard from RabbitMQ"), "{}", error.chain());
    within("closing", source.close()).await.expect("it closes");
}

#[tokio::test]
async fn closing_a_connection_whose_peer_is_silent_ends_with_an_error() {
    let rabbit = Rabbit::connect().await;
    let queue = rabbit.queue("silent-close").await;
    rabbit.publish_numbers(&queue, 0..10).await;
    let proxy = Proxy::start().await;
    let mut source = open(json!({ "connection": { "urls": [proxy.url()] }, "queue": queue.name })).await;
    records(&mut *source, 10).await;
    proxy.fall_silent();
    let error = within("closing", source.close()).await.expect_err("nobody answered");
    assert_eq!(error.kind(), ErrorKind::Disconnected);
    // The proxy's side to the broker is still open. Once it goes, the messages are back.
    drop(proxy);
    until(10, || rabbit.ready(&queue)).await;
}

#[tokio::test]
async fn blocked_and_unblocked_show_as_health() {
    let rabbit = Rabbit::connect().await;
    let queue = rabbit.queue("blocked").await;
    let proxy = Proxy::start().await;
    let health = Health::new();
    let options = json!({ "connection": { "urls": [proxy.url()] }, "queue": queue.name });
    let mut source = opened(source_with_health(options, health.clone())).await;
    let polling = tokio::spawn(async move {
        let taken = records(&mut *source, 1).await;
        (source, taken)
    });
    // connection.blocked with its reason, connection.unblocked.
    proxy.say(0, 10, 60, b"\x0alow memory").await;
    until(Condition::Blocked("low memory".into()), || async { health.get() }).await;
    proxy.say(0, 10, 61, b"").await;
    until(Condition::Up, || async { health.get() }).await;
    rabbit.publish_numbers(&queue, 0..1).await;
    let (source, _) = within("a record after it", polling).await.expect("it polls on");
    closed(source.close()).await;
}
