//! Every record has exactly one outcome, however many there are and however they are cut short.

use std::task::Poll;

use gantry_sdk::{Sink, testkit::Courier};
use serde_json::json;

use crate::support::{DEADLINE, Topic, context, open, options, record};

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_records_are_settled_once_each() {
    let topic = Topic::new("volume", 4, &[]).await;
    let mut sink = open(&options(&topic.name, json!({})), context()).await;
    let mut courier = Courier::new();
    let mut given = 0;
    while given < 100_000 {
        // Batches of all sizes.
        let size = (given % 997 + 1).min(100_000 - given);
        let records = (given..given + size).map(|n| record((n % 64).to_string(), n.to_string())).collect();
        sink.put(courier.batch(records)).await.unwrap();
        given += size;
    }
    tokio::time::timeout(DEADLINE, sink.flush()).await.expect("flush ends").unwrap();
    let summary = courier.outcomes(DEADLINE).await;
    assert_eq!((summary.delivered, summary.failed.len(), summary.abandoned), (100_000, 0, 0));
    sink.close().await.unwrap();
    let mut numbers: Vec<u32> = topic.read(100_000).iter().map(|received| received.text().parse().unwrap()).collect();
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..100_000), "each once");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_dropped_unsent_is_abandoned_not_delivered() {
    let topic = Topic::new("dropped", 1, &[]).await;
    // Nothing leaves before the linger is over.
    let mut sink = open(&options(&topic.name, json!({ "linger": "10m" })), context()).await;
    let mut courier = Courier::new();
    sink.put(courier.batch((0..1000).map(|n| record("k", n.to_string())).collect())).await.unwrap();
    drop(sink);
    let summary = courier.outcomes(DEADLINE).await;
    assert_eq!((summary.delivered, summary.failed.len(), summary.abandoned), (0, 0, 1000));
    assert!(topic.read(0).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn flush_does_not_wait_for_the_linger() {
    let topic = Topic::new("flush", 1, &[]).await;
    let mut sink = open(&options(&topic.name, json!({ "linger": "10m" })), context()).await;
    let mut courier = Courier::new();
    sink.put(courier.batch(vec![record("k", "v")])).await.unwrap();
    tokio::time::timeout(DEADLINE, sink.flush()).await.expect("flush ends").unwrap();
    assert_eq!(courier.outcomes(DEADLINE).await.delivered, 1);
    sink.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_makes_put_wait() {
    let topic = Topic::new("full", 1, &[]).await;
    let with = options(&topic.name, json!({ "properties": { "queue.buffering.max.messages": 10 } }));
    let mut sink = open(&with, context()).await;
    let mut courier = Courier::new();
    sink.put(courier.batch((0..2000).map(|n| record("k", n.to_string())).collect())).await.unwrap();
    sink.flush().await.unwrap();
    assert_eq!(courier.outcomes(DEADLINE).await.delivered, 2000);
    sink.close().await.unwrap();
    let numbers: Vec<u32> = topic.read(2000).iter().map(|received| received.text().parse().unwrap()).collect();
    assert!(numbers.into_iter().eq(0..2000), "in order");
}

/// A sink whose queue has room for a few, and a batch that is not in it whole: the call that waited was dropped.
async fn cut_short(topic: &str, courier: &mut Courier) -> Box<dyn Sink> {
    let with = options(topic, json!({ "properties": { "queue.buffering.max.messages": 10 } }));
    let mut sink = open(&with, context()).await;
    let batch = courier.batch((0..500).map(|n| record("k", n.to_string())).collect());
    let mut putting = sink.put(batch);
    // Once is enough to fill the queue, and not enough for all.
    std::future::poll_fn(|cx| {
        assert!(putting.as_mut().poll(cx).is_pending());
        Poll::Ready(())
    })
    .await;
    drop(putting);
    sink
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_cut_short_goes_on_with_the_next() {
    let topic = Topic::new("short", 1, &[]).await;
    let mut courier = Courier::new();
    let mut sink = cut_short(&topic.name, &mut courier).await;
    tokio::time::timeout(DEADLINE, sink.ready()).await.expect("there is room again").unwrap();
    tokio::time::timeout(DEADLINE, sink.flush()).await.expect("flush ends").unwrap();
    let summary = courier.outcomes(DEADLINE).await;
    assert_eq!((summary.delivered, summary.abandoned), (500, 0));
    sink.close().await.unwrap();
    let numbers: Vec<u32> = topic.read(500).iter().map(|received| received.text().parse().unwrap()).collect();
    assert!(numbers.into_iter().eq(0..500), "in order, each once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_close_in_the_middle_of_a_batch_lets_go_of_the_rest() {
    let topic = Topic::new("closed", 1, &[]).await;
    let mut courier = Courier::new();
    let sink = cut_short(&topic.name, &mut courier).await;
    sink.close().await.unwrap();
    let summary = courier.outcomes(DEADLINE).await;
    assert!(summary.abandoned >= 490, "{summary:?}");
    assert_eq!((summary.delivered + summary.abandoned, summary.failed.len()), (500, 0));
}
