//! How a source notices its end, and how it closes.

use std::time::Duration;

use super::super::{
    DEADLINE, SourceWorld,
    cancel::Impatience,
    reader::{ALL, Came, FEW, Reader, assert_whole, numbers},
    within,
};
use crate::{Error, Source as _};

/// Watching the connection takes no record, may be dropped, and does not return while all is well.
pub async fn watching_takes_nothing(world: &mut impl SourceWorld) {
    let mut reader = Reader::with(world, 60).await;
    let mut impatience = Impatience::default();
    let mut taken = Vec::new();
    for _ in 0..6 {
        for _ in 0..8 {
            if let Some(error) = impatience.wait_for(reader.source.watch_connection()).await {
                panic!("nothing is wrong, and it says: {}", error.chain());
            }
        }
        taken.extend(reader.take(10, FEW).await);
    }
    assert_whole(&taken, 1..=60);
    reader.commit(&taken).await;
    reader.close().await;
}

/// Polls until the error comes, past what is handed out before it.
async fn end_of(reader: &mut Reader) -> Error {
    loop {
        match within("the end of a connection that was cut", reader.poll(ALL)).await {
            Err(error) => return error,
            Ok(Came::Batch(_)) => {}
            Ok(other) => panic!("a cut is an error and not {other:?}"),
        }
    }
}

/// A connection that is cut is an error of a poll, never silence, and the next source gets what was not committed.
pub async fn a_cut_ends_a_poll(world: &mut impl SourceWorld) {
    if !world.abilities().can_be_cut {
        return;
    }
    let mut reader = Reader::with(world, 100).await;
    let taken = reader.take(40, FEW).await;
    let (settled, _) = taken.split_at(taken.len() / 2);
    reader.commit(settled).await;
    within("cutting the connection", world.cut()).await;
    let error = end_of(&mut reader).await;
    assert!(!error.kind().needs_a_person(), "a broken wire mends itself: {}", error.chain());
    // There is nobody to say goodbye to, so it may fail, but it must end.
    let _ = within("closing", reader.source.close()).await;
    if !world.abilities().replays {
        return;
    }
    // What was committed just before the cut may come again: nobody has heard that it arrived.
    let mut next = Reader::open_next(world, reader.remembered).await;
    let (mut again, settled) = (Vec::new(), numbers(settled));
    while !(1..=100).all(|number| settled.contains(&number) || numbers(&again).contains(&number)) {
        again.extend(next.take(1, ALL).await);
    }
    let came = numbers(&again);
    assert_whole(&again, came);
    next.commit(&again).await;
    next.close().await;
}

/// A connection that is cut is noticed by watching, too.
pub async fn a_cut_ends_watching(world: &mut impl SourceWorld) {
    if !world.abilities().can_be_cut {
        return;
    }
    let mut reader = Reader::with(world, 20).await;
    reader.take(20, FEW).await;
    within("cutting the connection", world.cut()).await;
    within("watching a connection that was cut", reader.source.watch_connection()).await;
    let _ = within("closing", reader.source.close()).await;
}

/// Closing ends, whether the other side answers or not.
pub async fn it_closes_though_nobody_answers(world: &mut impl SourceWorld) {
    if !world.abilities().can_fall_silent {
        return;
    }
    let mut reader = Reader::with(world, 40).await;
    let taken = reader.take(20, FEW).await;
    within("falling silent", world.fall_silent()).await;
    for batch in &taken {
        reader.source.commit(batch.lane, &batch.last);
    }
    let _ = tokio::time::timeout(Duration::from_secs(1), reader.source.sync()).await;
    let closed = tokio::time::timeout(DEADLINE, reader.source.close()).await;
    assert!(closed.is_ok(), "it waits for an answer for more than {DEADLINE:?}");
}
