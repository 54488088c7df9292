//! The source as one of several members of a group, on a real Kafka.

use std::time::{Duration, Instant};

use gantry_sdk::{Context, ErrorKind, Limits, Polled};
use serde_json::json;

use crate::support::{
    self, DEADLINE, Topic, context,
    source::{
        ALL, Arrivals, Worker, next, number, open_source, partition_of, producer, source_options, take, write_numbers,
    },
    unique,
};

async fn until(what: &str, done: impl Fn() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < DEADLINE, "{what} after {DEADLINE:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn members_that_come_and_go_lose_nothing_and_keep_the_order() {
    let topic = Topic::new("rebalance", 6, &[]).await;
    let options = source_options(&topic.name, json!({}));
    let arrivals = Arrivals::default();
    let first = Worker::start(&options, &arrivals);
    let all = 120_000;
    let (name, partitions) = (topic.name.clone(), topic.partitions);
    let writing = tokio::task::spawn_blocking(move || {
        let topic = std::mem::ManuallyDrop::new(Topic { name, partitions });
        let producer = producer(&[]);
        for begin in (0..all).step_by(1_000) {
            write_numbers(&producer, &topic, begin..begin + 1_000);
            std::thread::sleep(Duration::from_millis(60));
        }
    });
    until("the first has begun", || arrivals.count() > 1_000).await;
    let second = Worker::start(&options, &arrivals);
    until("a third of it", || arrivals.count() > 40_000).await;
    let third = Worker::start(&options, &arrivals);
    until("half of it", || arrivals.count() > 60_000).await;
    first.leave().await;
    until("two thirds of it", || arrivals.count() > 80_000).await;
    second.leave().await;
    writing.await.unwrap();
    until("all of it", || arrivals.count() == all as usize).await;
    third.leave().await;
    let twice = arrivals.judge(&topic, 0..all);
    println!("{twice} records came twice");
    assert!(twice < 2_000, "{twice} records came twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_is_given_up_only_when_what_is_in_flight_is_settled() {
    let topic = Topic::new("drain", 2, &[]).await;
    write_numbers(&producer(&[]), &topic, 0..2);
    let options = source_options(&topic.name, json!({}));
    let mut first = open_source(&options, context()).await;
    let mut held = vec![next(&mut *first).await, next(&mut *first).await];
    let arrivals = Arrivals::default();
    let second = Worker::start(&options, &arrivals);
    write_numbers(&producer(&[]), &topic, 2..4);
    // One of the partitions goes, and what is in flight of it does not come to the other member.
    let mut ended = None;
    let begun = Instant::now();
    while ended.is_none() {
        assert!(begun.elapsed() < DEADLINE, "no partition was given up");
        let polled = tokio::time::timeout(Duration::from_millis(200), first.poll(ALL)).await;
        match polled {
            Ok(Ok(Polled::LaneEnded(lane))) => ended = Some(lane),
            Ok(Ok(Polled::Batch { lane, records, last, .. })) => held.push((lane, records, last)),
            Ok(other) => panic!("{other:?}"),
            Err(_) if begun.elapsed() > Duration::from_secs(5) => {
                assert_eq!(arrivals.count(), 0, "in flight, and given to somebody else");
                for (lane, _, last) in held.drain(..) {
                    first.commit(lane, &last);
                }
            }
            Err(_) => {}
        }
    }
    assert!(held.iter().all(|(lane, ..)| Some(*lane) != ended), "nothing of it is in flight");
    second.leave().await;
    first.close().await.unwrap();
    let seen = arrivals.count();
    assert!(seen <= 1, "what was settled came again: {seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_settled_in_time_is_repeated_by_the_next_owner() {
    let topic = Topic::new("fence", 2, &[]).await;
    write_numbers(&producer(&[]), &topic, 0..200);
    let options = source_options(&topic.name, json!({ "revoke_timeout": "500ms" }));
    let mut first = open_source(&options, context()).await;
    let mut held = Vec::new();
    while held.iter().map(|(_, records, _): &(_, Vec<_>, _)| records.len()).sum::<usize>() < 200 {
        held.push(next(&mut *first).await);
    }
    let arrivals = Arrivals::default();
    let second = Worker::start(&options, &arrivals);
    let polled = tokio::time::timeout(DEADLINE, first.poll(ALL)).await.expect("a partition goes").unwrap();
    let Polled::LaneEnded(ended) = polled else { panic!("{polled:?}") };
    // Settled too late: it changes nothing.
    for (lane, _, last) in &held {
        first.commit(*lane, last);
    }
    until("the next owner repeats it", || arrivals.count() == 100).await;
    let gone: Vec<_> = held.iter().filter(|(lane, ..)| *lane == ended).flat_map(|(_, records, _)| records).collect();
    assert_eq!(gone.len(), 100);
    second.leave().await;
    first.close().await.unwrap();
    let mut third = open_source(&options, context()).await;
    assert!(support::source::is_silent(&mut *third).await, "all of it is settled by now");
    third.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_credit_it_stays_in_the_group_beyond_the_poll_interval() {
    let topic = Topic::new("credit", 2, &[]).await;
    write_numbers(&producer(&[]), &topic, 0..20_000);
    let slow = json!({ "properties": { "max.poll.interval.ms": 6_000 } });
    let options = source_options(&topic.name, slow);
    let mut source = open_source(&options, Context { in_flight_bytes: 64 << 10, ..context() }).await;
    let limits = Limits { records: 10, bytes: 1 << 10 };
    let mut taken = Vec::new();
    for _ in 0..3 {
        let Polled::Batch { lane, records, last, .. } = source.poll(limits).await.unwrap() else {
            panic!("a lane ended")
        };
        taken.extend(records);
        source.commit(lane, &last);
        // The wait is the test: longer than a member may be silent.
        let ended = tokio::time::timeout(Duration::from_secs(8), source.watch_connection()).await;
        assert!(ended.is_err(), "{ended:?}");
    }
    while taken.len() < 20_000 {
        match tokio::time::timeout(DEADLINE, source.poll(ALL)).await.unwrap().unwrap() {
            Polled::Batch { lane, records, last, .. } => {
                taken.extend(records);
                source.commit(lane, &last);
            }
            other => panic!("it was out of the group: {other:?}"),
        }
    }
    let mut numbers: Vec<_> = taken.iter().map(number).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..20_000).collect::<Vec<_>>());
    source.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_static_member_that_is_back_soon_gets_its_partitions_without_a_rebalance() {
    let topic = Topic::new("static", 2, &[]).await;
    write_numbers(&producer(&[]), &topic, 0..10);
    let own = json!({ "group_instance_id": unique("member"), "properties": { "session.timeout.ms": 30_000 } });
    let options = source_options(&topic.name, own);
    let mut first = open_source(&options, context()).await;
    let mut other = open_source(&options, Context { task: 1, ..context() }).await;
    let (mut seen, begun) = ([0, 0], Instant::now());
    while seen[0] + seen[1] < 10 {
        assert!(begun.elapsed() < DEADLINE, "{seen:?}");
        for (index, source) in [&mut first, &mut other].into_iter().enumerate() {
            if let Ok(polled) = tokio::time::timeout(Duration::from_millis(100), source.poll(ALL)).await
                && let Polled::Batch { lane, records, last, .. } = polled.unwrap()
            {
                seen[index] += records.len();
                source.commit(lane, &last);
            }
        }
    }
    // Each has one of them by now, or will soon.
    write_until_both_get_some(&topic, [&mut first, &mut other]).await;
    first.close().await.unwrap();
    let mut first = open_source(&options, context()).await;
    write_numbers(&producer(&[]), &topic, 0..2);
    let (_, back, _) = next(&mut *first).await;
    let (_, stayed, _) = next(&mut *other).await;
    assert_ne!(partition_of(&back[0]), partition_of(&stayed[0]));
    first.close().await.unwrap();
    other.close().await.unwrap();
}

async fn write_until_both_get_some(topic: &Topic, mut both: [&mut Box<dyn gantry_sdk::Source>; 2]) {
    let begun = Instant::now();
    loop {
        assert!(begun.elapsed() < DEADLINE, "one of them gets nothing");
        write_numbers(&producer(&[]), topic, 0..2);
        let (mut got, mut partitions) = ([0, 0], std::collections::BTreeSet::new());
        for (index, source) in both.iter_mut().enumerate() {
            while let Ok(polled) = tokio::time::timeout(Duration::from_millis(500), source.poll(ALL)).await {
                if let Polled::Batch { lane, records, last, .. } = polled.unwrap() {
                    got[index] += records.len();
                    partitions.extend(records.iter().map(partition_of));
                    source.commit(lane, &last);
                }
            }
        }
        if got == [1, 1] && partitions.len() == 2 {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_static_members_of_one_name_are_told_apart_by_an_error() {
    let topic = Topic::new("fenced", 1, &[]).await;
    write_numbers(&producer(&[]), &topic, 0..1);
    let options = source_options(&topic.name, json!({ "group_instance_id": unique("member") }));
    let mut first = open_source(&options, context()).await;
    take(&mut *first, 1).await;
    let second = open_source(&options, context()).await;
    let error = loop {
        match tokio::time::timeout(DEADLINE, first.poll(ALL)).await.expect("it is fenced") {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::Refused, "{}", error.chain());
    assert!(error.chain().contains("group_instance_id"), "{}", error.chain());
    first.close().await.unwrap();
    second.close().await.unwrap();
}
