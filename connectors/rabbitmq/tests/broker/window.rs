//! The effective prefetch: small while bodies are large or of unknown size, as configured once they are known to be small.

use std::collections::VecDeque;

use futures_util::FutureExt;
use gantry_sdk::{Limits, Polled, Position, Source, testkit};
use lapin::{BasicProperties, types::AMQPValue};
use serde_json::json;

use crate::support::{
    ALL, Management, Queue, Rabbit, assert_numbers, batch, closed, commit, numbers, open, open_within, opened,
    source_with, tending, until,
};

const MIB: usize = 1 << 20;

/// Unacknowledged messages as the broker counts them.
fn unacknowledged(queue: &Queue) -> u64 {
    Management::new().get(&format!("queues/%2F/{}", queue.name))["messages_unacknowledged"].as_u64().unwrap_or(0)
}

/// Bytes of memory that this process holds now.
fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("its /proc entry");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    line.trim().trim_end_matches(" kB").trim().parse::<usize>().expect("a number") * 1024
}

/// Moves that many as a bridge does: a few batches are on their way while more come, and all are settled in the end. The
/// numbers in order of arrival.
async fn move_some(source: &mut dyn Source, count: usize) -> Vec<usize> {
    let (mut seen, mut on_the_way) = (Vec::new(), VecDeque::<Position>::new());
    while seen.len() < count || !on_the_way.is_empty() {
        let limits = Limits { records: count - seen.len(), ..ALL };
        let may_wait = on_the_way.len() > 3 || seen.len() == count;
        let polled = if may_wait { None } else { source.poll(limits).now_or_never() };
        match (polled, on_the_way.pop_front()) {
            (Some(polled), settled) => {
                let Polled::Batch { records, last, .. } = polled.expect("it polls") else {
                    panic!("a queue has no end")
                };
                assert!(records.iter().all(|record| !record.origin.redelivered), "something was returned");
                seen.extend(numbers(&records));
                on_the_way.extend(settled.into_iter().chain([last]));
            }
            (None, Some(settled)) => commit(source, 0, &settled).await,
            (None, None) => {
                let (_, records, last) = batch(source, limits).await;
                assert!(records.iter().all(|record| !record.origin.redelivered), "something was returned");
                seen.extend(numbers(&records));
                on_the_way.push_back(last);
            }
        }
        tokio::task::yield_now().await;
    }
    seen
}

#[tokio::test]
async fn i4_large_bodies_that_nobody_commits_do_not_fill_the_memory() {
    let rabbit = Rabbit::connect().await;
    let queue = rabbit.queue("large").await;
    for number in 0..300 {
        let mut body = vec![b'x'; 4 * MIB + number % 5 * MIB];
        body[..8].copy_from_slice(&(number as u64).to_be_bytes());
        rabbit.publish(&queue, &body, BasicProperties::default().with_delivery_mode(2)).await;
    }
    let before = resident_bytes();
    let mut source = open_within(json!({ "queue": queue.name }), 32 * MIB).await;
    let (mut held, mut last) = (Vec::new(), None);
    let mut most = 0;
    let mut unchanged = 0;
    // The broker has sent what it may when its count stays; it counts four times a second.
    while unchanged < 10 {
        let counted = async {
            tokio::time::sleep(std::time::Duration::from_millis(250)).await;
            unacknowledged(&queue)
        };
        tokio::select! {
            polled = source.poll(ALL) => {
                let Polled::Batch { records, last: position, .. } = polled.expect("it polls") else { panic!("no end") };
                held.extend(records);
                last = Some(position);
            }
            count = counted => {
                unchanged = if count == most && most > 0 { unchanged + 1 } else { 0 };
                most = most.max(count);
            }
        }
        let grown = resident_bytes().saturating_sub(before);
        assert!(grown < 256 * MIB, "{} MiB are held", grown / MIB);
    }
    assert!((2..=7).contains(&most), "{most} messages of 4 to 8 MiB are on their way");
    assert_eq!(held.len() as u64, most);

    // It is not stuck: what is settled makes room.
    let number = |body: &[u8]| u64::from_be_bytes(body[..8].try_into().expect("eight bytes"));
    let mut seen = 0;
    let mut check = |records: Vec<gantry_sdk::Record>| {
        for record in records {
            assert_eq!(number(record.value.as_deref().expect("it has a body")), seen);
            seen += 1;
        }
        seen
    };
    check(held);
    commit(&mut *source, 0, &last.expect("some came")).await;
    loop {
        let (_, records, last) = batch(&mut *source, ALL).await;
        let seen = check(records);
        commit(&mut *source, 0, &last).await;
        let grown = resident_bytes().saturating_sub(before);
        assert!(grown < 256 * MIB, "{} MiB are held", grown / MIB);
        if seen == 300 {
            break;
        }
    }
    closed(source.close()).await;
    assert_eq!(rabbit.ready(&queue).await, 0);
}

async fn small_bodies_reach_the_full_prefetch(queue: Queue, rabbit: &Rabbit) {
    rabbit.publish_numbers(&queue, 0..20_000).await;
    let mut source = open(json!({ "queue": queue.name })).await;
    assert_numbers(&move_some(&mut *source, 15_000).await, 0..15_000);
    // All that the prefetch allows comes without another poll.
    tending(&mut *source, until(3_000, || rabbit.ready(&queue))).await;
    assert_numbers(&move_some(&mut *source, 5_000).await, 15_000..20_000);
    closed(source.close()).await;
    assert_eq!(rabbit.ready(&queue).await, 0);
}

#[tokio::test]
async fn i5_small_bodies_reach_the_full_prefetch_in_order() {
    let rabbit = Rabbit::connect().await;
    let queue = rabbit.queue("small").await;
    small_bodies_reach_the_full_prefetch(queue, &rabbit).await;
}

#[tokio::test]
async fn i5_small_bodies_of_a_quorum_queue_too() {
    let rabbit = Rabbit::connect().await;
    let queue = rabbit.queue_with("small-quorum", &[("x-queue-type", AMQPValue::LongString("quorum".into()))]).await;
    small_bodies_reach_the_full_prefetch(queue, &rabbit).await;
}

/// A lost consumer's messages go behind those that earlier ones held. So each must hold at once what the one before held, or
/// the few that it took would come last. Without a delivery limit RabbitMQ 3.10 puts some behind newer messages all the same.
#[tokio::test]
async fn i5_a_consumer_that_is_lost_early_again_and_again_keeps_the_order_of_a_quorum_queue() {
    let rabbit = Rabbit::connect().await;
    let arguments =
        [("x-queue-type", AMQPValue::LongString("quorum".into())), ("x-delivery-limit", AMQPValue::LongInt(100))];
    let queue = rabbit.queue_with("lost-early", &arguments).await;
    rabbit.publish_numbers(&queue, 0..6_000).await;
    let (options, task) = (json!({ "queue": queue.name }), testkit::context());
    let next = || opened(source_with(options.clone(), task.clone()));
    let mut source = next().await;
    assert_numbers(&move_some(&mut *source, 3_000).await, 0..3_000);
    // The window is whole, and so is what each loses.
    tending(&mut *source, until(1_000, || rabbit.ready(&queue))).await;
    for _ in 0..5 {
        // Its first few arrive, and then it is gone.
        let (_, records, _) = batch(&mut *source, Limits { records: 3, ..ALL }).await;
        assert_numbers(&numbers(&records), 3_000..3_000 + records.len());
        closed(source.close()).await;
        until(3_000, || rabbit.ready(&queue)).await;
        source = next().await;
        tending(&mut *source, until(1_000, || rabbit.ready(&queue))).await;
    }
    let mut seen = Vec::new();
    while seen.len() < 3_000 {
        let (_, records, last) = batch(&mut *source, ALL).await;
        seen.extend(numbers(&records));
        commit(&mut *source, 0, &last).await;
    }
    assert_numbers(&seen, 3_000..6_000);
    closed(source.close()).await;
}

/// Large and small in turn: the window goes down and up again, and every message comes once and in order, from both types of
/// queue. What a quorum queue returned to itself in between would come marked as redelivered.
#[tokio::test]
async fn i5_a_window_that_shrinks_and_grows_returns_nothing() {
    let rabbit = Rabbit::connect().await;
    for kind in ["classic", "quorum"] {
        let queue = rabbit.queue_with("turns", &[("x-queue-type", AMQPValue::LongString(kind.into()))]).await;
        let mut sizes = Vec::new();
        for round in 0..6 {
            let (count, size) = if round % 2 == 0 { (3000, 100) } else { (300, 200_000) };
            sizes.extend(std::iter::repeat_n(size, count));
        }
        let bodies = sizes.iter().enumerate().map(|(number, size)| format!("{}{number:08}", "0".repeat(size - 8)));
        rabbit.publish_all(&queue, bodies.map(String::into_bytes)).await;
        let total = sizes.len();
        let mut source = open_within(json!({ "queue": queue.name }), 4 * MIB).await;
        assert_numbers(&move_some(&mut *source, total).await, 0..total);
        closed(source.close()).await;
    }
}

#[tokio::test]
async fn a_consumer_that_must_stay_has_the_whole_prefetch_at_once() {
    let rabbit = Rabbit::connect().await;
    for more in [json!({ "exclusive": true }), json!({ "priority": 1 }), json!({ "adaptive_prefetch": false })] {
        let queue = rabbit.queue("stays").await;
        rabbit.publish_numbers(&queue, 0..1000).await;
        let mut options = json!({ "queue": queue.name });
        options.as_object_mut().expect("it is one").extend(more.as_object().expect("it is one").clone());
        let source = open(options).await;
        // Nobody polls and nobody tends.
        until(0, || rabbit.ready(&queue)).await;
        closed(source.close()).await;
    }
}
