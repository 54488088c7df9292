//! What arrives, and what is said of it.

use std::{sync::mpsc, thread};

use super::{
    super::{DEADLINE, SinkWorld, done, within, writer::Writer},
    assert_arrived,
};
use crate::{FailureKind, Sink as _};

/// Records arrive in the order in which they were put, once each, and are said to be delivered.
pub async fn records_arrive_in_order(world: &mut impl SinkWorld) {
    let mut writer = Writer::open(world).await;
    for batch in 0..30 {
        writer.put(world, [1, 7, 20][batch % 3]).await;
    }
    writer.flush().await;
    writer.given.settled().await;
    let count = 10 * 28;
    assert_eq!(writer.given.said.delivered.len() as u64, count, "{:?}", writer.given.said);
    assert_arrived(world, count).await;
    writer.close().await;
    assert_arrived(world, count).await;
}

/// When a flush has returned, every batch is settled.
pub async fn flush_settles_everything(world: &mut impl SinkWorld) {
    let mut writer = Writer::open(world).await;
    for round in 1..=5 {
        for _ in 0..round {
            writer.put(world, 5).await;
        }
        writer.flush().await;
        assert!(writer.given.is_settled(), "flush has returned, and a batch is not settled");
    }
    assert_eq!(writer.given.said.delivered.len(), 75, "{:?}", writer.given.said);
    writer.close().await;
}

/// No record is settled twice.
pub async fn each_record_is_spoken_of_once(world: &mut impl SinkWorld) {
    let mut writer = Writer::open(world).await;
    let mut receipts = Vec::new();
    for _ in 0..10 {
        let batch = writer.batch(world, 6);
        receipts.push(batch.receipt.clone());
        done("putting a batch", writer.sink.put(batch)).await;
    }
    writer.flush().await;
    writer.given.settled().await;
    let said = writer.close().await;
    assert_eq!(said.delivered.len(), 60, "{said:?}");
    // One word too many would be counted below nothing.
    assert!(receipts.iter().all(|receipt| receipt.unsettled() == 0), "it speaks of a record twice: {receipts:?}");
}

/// A batch is taken at once, also when nothing can be delivered.
pub async fn start_never_waits(world: &mut impl SinkWorld) {
    let mut writer = Writer::open(world).await;
    let blocks = world.abilities().blocks;
    if blocks {
        within("blocking", world.block()).await;
    }
    let batch = writer.batch(world, 10);
    let runtime = tokio::runtime::Handle::current();
    let (mut sink, (started, start)) = (writer.sink, mpsc::channel());
    // On a thread of its own: one that waits could not be interrupted.
    thread::spawn(move || {
        let _guard = runtime.enter();
        sink.start(batch);
        // The receiver has given up only if this was too late.
        let _ = started.send(sink);
    });
    let waited = tokio::task::spawn_blocking(move || start.recv_timeout(DEADLINE)).await;
    let sink = waited.expect("it does not panic").unwrap_or_else(|_| panic!("start waits or panics"));
    writer.sink = sink;
    if blocks && !world.abilities().unblocks {
        writer.close().await;
        return;
    }
    if blocks {
        within("unblocking", world.unblock()).await;
    }
    done("waiting for room", writer.sink.ready()).await;
    writer.flush().await;
    assert_arrived(world, 10).await;
    writer.close().await;
}

/// A record that can never be delivered is rejected, alone; all others arrive, in order.
pub async fn a_refused_record_holds_up_no_other(world: &mut impl SinkWorld) {
    if !world.abilities().refuses {
        return;
    }
    let refused = [1, 15, 16, 30];
    let mut writer = Writer::open(world).await;
    for first in [1, 11, 21] {
        let numbers = first..=first + 9;
        let make = |number: u64| if refused.contains(&number) { world.refused(number) } else { world.record(number) };
        let records = numbers.clone().map(make).collect();
        let batch = writer.batch_of(numbers, records);
        done("putting a batch", writer.sink.put(batch)).await;
    }
    writer.flush().await;
    writer.given.settled().await;
    let said = writer.close().await;
    assert_eq!(said.failed.keys().copied().collect::<Vec<_>>(), refused, "{said:?}");
    assert!(said.failed.values().all(|failure| failure.kind == FailureKind::Rejected), "{said:?}");
    let expected: Vec<u64> = (1..=30).filter(|number| !refused.contains(number)).collect();
    assert_eq!(said.delivered.iter().copied().collect::<Vec<_>>(), expected);
    let mut arrived = within("reading what has arrived", world.arrived()).await;
    if !world.capabilities().keeps_order {
        arrived.sort_unstable();
    }
    assert_eq!(arrived, expected, "what has arrived, and what should have");
}

/// Who waits for answers gets one for each record that is delivered; who does not gets none.
pub async fn answers_come_when_they_are_wanted(world: &mut impl SinkWorld) {
    let can = world.capabilities().gives_answers;
    let mut writer = Writer::open(world).await;
    writer.put(world, 10).await;
    writer.want_answers();
    writer.put(world, 10).await;
    writer.put(world, 1).await;
    writer.flush().await;
    writer.given.settled().await;
    let said = writer.close().await;
    let expected: Vec<(u64, usize)> = if can { (11..=21).map(|number| (number, 1)).collect() } else { Vec::new() };
    let answers: Vec<(u64, usize)> = said.answers.iter().map(|(number, answers)| (*number, answers.len())).collect();
    assert_eq!(answers, expected, "answers by record");
}
