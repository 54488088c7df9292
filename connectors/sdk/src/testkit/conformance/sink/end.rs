//! Outages, and the end of a sink.

use std::{collections::BTreeSet, time::Duration};

use super::{
    super::{SinkWorld, within, writer::Writer},
    assert_arrived,
};
use crate::{FailureKind, Sink as _};

/// Starts batches while there is room for them; says how many records.
async fn fill(writer: &mut Writer, world: &mut impl SinkWorld) -> u64 {
    for filled in 1..=5 {
        let batch = writer.batch(world, 10);
        writer.sink.start(batch);
        match tokio::time::timeout(Duration::from_millis(50), writer.sink.ready()).await {
            Err(_) => return filled * 10,
            Ok(ready) => ready.unwrap_or_else(|error| panic!("waiting for room: {}", error.chain())),
        }
    }
    50
}

/// Closing drops what is not delivered, without a word about it, and does not wait for an answer.
pub async fn closing_says_nothing_of_what_is_in_flight(world: &mut impl SinkWorld) {
    if !world.abilities().blocks {
        return;
    }
    let mut writer = Writer::open(world).await;
    writer.put(world, 5).await;
    writer.flush().await;
    within("blocking", world.block()).await;
    let filled = fill(&mut writer, world).await as usize;
    let said = writer.close().await;
    assert_eq!((said.delivered.len(), said.silent, said.delivered_of_silent), (5, filled, 0), "{said:?}");
    assert!(said.failed.is_empty(), "it speaks of what it dropped: {said:?}");
}

/// What is put while nothing can be delivered arrives later, in order, once each.
pub async fn what_was_blocked_arrives_in_order(world: &mut impl SinkWorld) {
    if !world.abilities().unblocks {
        return;
    }
    let mut writer = Writer::open(world).await;
    writer.put(world, 10).await;
    writer.flush().await;
    within("blocking", world.block()).await;
    let filled = fill(&mut writer, world).await;
    assert!(!writer.given.is_settled(), "nothing can be delivered, and it says so of something");
    within("unblocking", world.unblock()).await;
    within("waiting for room", writer.sink.ready()).await.unwrap_or_else(|error| panic!("{}", error.chain()));
    writer.put(world, 10).await;
    writer.flush().await;
    writer.given.settled().await;
    let all = 20 + filled;
    assert_eq!(writer.given.said.delivered.len() as u64, all, "{:?}", writer.given.said);
    assert_arrived(world, all).await;
    writer.close().await;
}

/// Whenever the connection is cut: what is said to be delivered is there, what is not is never rejected for it, and what arrived
/// is in order.
pub async fn what_is_said_to_be_delivered_is_there_after_a_cut(world: &mut impl SinkWorld) {
    if !world.abilities().can_be_cut {
        return;
    }
    let mut writer = Writer::open(world).await;
    writer.put(world, 10).await;
    writer.flush().await;
    let mut has_failed = false;
    for round in 0..20 {
        if round == 10 {
            within("cutting the connection", world.cut()).await;
        }
        let batch = writer.batch(world, 10);
        writer.sink.start(batch);
        has_failed = within("room or an error", writer.sink.ready()).await.is_err();
        if has_failed {
            break;
        }
    }
    if !has_failed {
        // It ends, or it has connected anew; in both cases this returns.
        let _ = within("flushing", writer.sink.flush()).await;
    }
    let said = writer.close().await;
    let wrong = said.failed.values().find(|failure| failure.kind != FailureKind::Retriable);
    assert_eq!(wrong, None, "a broken wire is no record's fault");
    let arrived = within("reading what has arrived", world.arrived()).await;
    let there: BTreeSet<u64> = arrived.iter().copied().collect();
    let missing: Vec<_> = said.delivered.difference(&there).collect();
    assert!(missing.is_empty(), "{missing:?} are said to be delivered and are not there");
    let mut seen = BTreeSet::new();
    let first: Vec<u64> = arrived.into_iter().filter(|number| seen.insert(*number)).collect();
    let keeps_order = world.capabilities().keeps_order;
    assert!(first.is_sorted() || !keeps_order, "what arrived is not in order: {first:?}");
}
