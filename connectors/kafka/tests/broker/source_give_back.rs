//! The source gives back what it holds and goes on, on a real Kafka.

use std::collections::BTreeMap;

use gantry_sdk::{Lane, Limits, Polled, Position, Record, Source};
use serde_json::json;

use crate::support::{
    DEADLINE, Topic, context,
    source::{is_silent, next, number, open_source, partition_of, producer, source_options, take, write_numbers},
};

const FEW: Limits = Limits { records: 70, bytes: 1 << 20 };

/// A batch; the group does not move, so nothing else comes.
async fn batch(source: &mut dyn Source) -> (Lane, Vec<Record>, Position) {
    match tokio::time::timeout(DEADLINE, source.poll(FEW)).await.expect("a batch comes").unwrap() {
        Polled::Batch { lane, records, last, .. } => (lane, records, last),
        other => panic!("a rebalance: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_given_back_comes_again_in_order_without_a_rebalance() {
    const ALL: u64 = 30_000;
    let topic = Topic::new("give-back", 3, &[]).await;
    write_numbers(&producer(&[]), &topic, 0..ALL);
    let options = source_options(&topic.name, json!({ "commit_interval": "100ms" }));
    let mut source = open_source(&options, context()).await;
    // What is settled of each partition, and the numbers that it gives next.
    let mut settled: BTreeMap<i32, u64> = (0..3).map(|partition| (partition, partition as u64)).collect();
    let mut round = 0;
    while settled.values().any(|next| *next < ALL) {
        round += 1;
        let mut expected = settled.clone();
        // Of each partition some batches from the first on are settled; the rest comes again.
        for step in 0..8 {
            if expected.values().all(|next| *next >= ALL) {
                break;
            }
            let (lane, records, last) = batch(&mut *source).await;
            let partition = partition_of(&records[0]);
            for record in &records {
                let next = expected.get_mut(&partition).unwrap();
                assert_eq!(number(record), *next, "partition {partition} in round {round}");
                *next += 3;
            }
            if settled[&partition] == number(&records[0]) && (step + round) % 3 > 0 {
                source.commit(lane, &last);
                settled.insert(partition, expected[&partition]);
            }
        }
        assert!(source.give_back().await.unwrap(), "nothing is wrong with it");
    }
    assert!(round > 20, "it was given back {round} times");
    assert!(is_silent(&mut *source).await, "all of it is settled");
    source.close().await.unwrap();
    let mut next_owner = open_source(&options, context()).await;
    assert!(is_silent(&mut *next_owner).await, "and committed");
    next_owner.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_given_back_is_not_committed() {
    let topic = Topic::new("give-back", 1, &[]).await;
    write_numbers(&producer(&[]), &topic, 0..100);
    let options = source_options(&topic.name, json!({}));
    let mut source = open_source(&options, context()).await;
    next(&mut *source).await;
    assert!(source.give_back().await.unwrap());
    source.close().await.unwrap();
    let mut again = open_source(&options, context()).await;
    assert_eq!(take(&mut *again, 100).await.iter().map(number).collect::<Vec<_>>(), (0..100).collect::<Vec<_>>());
    again.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_has_failed_is_worth_nothing_any_more() {
    let topic = Topic::new("give-back", 1, &[]).await;
    write_numbers(&producer(&[]), &topic, 0..10);
    let fast =
        json!({ "properties": { "topic.metadata.refresh.interval.ms": 200, "topic.metadata.propagation.max.ms": 0 } });
    let mut source = open_source(&source_options(&topic.name, fast), context()).await;
    take(&mut *source, 10).await;
    tokio::task::spawn_blocking(move || drop(topic)).await.unwrap();
    let failed = async {
        loop {
            if source.poll(FEW).await.is_err() {
                break;
            }
        }
    };
    tokio::time::timeout(DEADLINE, failed).await.expect("the topic is gone");
    assert!(!source.give_back().await.unwrap());
    source.close().await.unwrap();
}
