//! What comes again, and what does not.

use std::time::Duration;

use super::super::{
    SourceWorld, done,
    reader::{ALL, Came, FEW, Reader, assert_whole, numbers},
    within,
};
use crate::Source as _;

/// What is committed and sent does not come again from the next source; what is not committed comes, in order, and then what is
/// new.
pub async fn what_is_committed_does_not_come_again(world: &mut impl SourceWorld) {
    if !world.abilities().replays {
        return;
    }
    let mut reader = Reader::with(world, 120).await;
    let taken = reader.take(120, FEW).await;
    let (settled, open) = taken.split_at(taken.len() / 2);
    reader.commit(settled).await;
    let left = reader.close().await;
    assert_eq!(left.closed.lost, 0, "all that is not committed comes again");
    within("putting records", world.put(121..=150)).await;

    let mut next = Reader::open_next(world, left.remembered).await;
    let expected: Vec<u64> = numbers(open).into_iter().chain(121..=150).collect();
    let again = next.take(expected.len(), FEW).await;
    assert_whole(&again, expected);
    next.commit(&again).await;
    let left = next.close().await;
    within("putting records", world.put(151..=180)).await;

    let mut last = Reader::open_next(world, left.remembered).await;
    let new = last.take(30, ALL).await;
    assert_whole(&new, 151..=180);
    last.commit(&new).await;
    last.close().await;
}

/// What is not committed comes again from the next source, in order.
pub async fn what_is_not_committed_comes_again_in_order(world: &mut impl SourceWorld) {
    if !world.abilities().replays {
        return;
    }
    let mut reader = Reader::with(world, 100).await;
    for count in [1, 40, 100] {
        let taken = reader.take(count, FEW).await;
        if count == 100 {
            assert_whole(&taken, 1..=100);
        }
        let left = reader.close().await;
        assert_eq!(left.closed.lost, 0, "all that is not committed comes again");
        reader = Reader::open_next(world, left.remembered).await;
    }
    let taken = reader.take(100, ALL).await;
    assert_whole(&taken, 1..=100);
    reader.commit(&taken).await;
    reader.close().await;
}

/// A source whose broker keeps nothing says at its end how many records are lost, and why.
pub async fn what_does_not_come_again_is_told(world: &mut impl SourceWorld) {
    if world.abilities().replays {
        return;
    }
    let mut reader = Reader::with(world, 60).await;
    let taken = reader.take(60, FEW).await;
    let (settled, open) = taken.split_at(taken.len() / 2);
    reader.commit(settled).await;
    let closed = reader.close().await.closed;
    assert_eq!(closed.lost, numbers(open).len() as u64, "what was out and not committed is lost");
    assert!(!closed.reason.is_empty(), "records are lost for a reason");
}

/// What is given back comes again in order, and before what follows it; what was committed does not. A source that cannot says
/// so, and its successor keeps the promise.
pub async fn what_is_given_back_comes_again_first(world: &mut impl SourceWorld) {
    if !world.abilities().replays {
        return;
    }
    let mut reader = Reader::with(world, 150).await;
    let taken = reader.take(80, FEW).await;
    let (settled, _) = taken.split_at(taken.len() / 2);
    reader.commit(settled).await;
    let can = reader.give_back().await;
    if !can {
        let left = reader.close().await;
        reader = Reader::open_next(world, left.remembered).await;
    }
    let settled = numbers(settled);
    let expected: Vec<u64> = (1..=150).filter(|number| !settled.contains(number)).collect();
    let again = reader.take(expected.len(), FEW).await;
    assert_whole(&again, expected);
    if can {
        // Once more, with everything out.
        assert!(reader.give_back().await, "nothing is wrong with it");
        let (count, expected) = (numbers(&again).len(), numbers(&again));
        let again = reader.take(count, ALL).await;
        assert_whole(&again, expected);
        reader.commit(&again).await;
    } else {
        reader.commit(&again).await;
    }
    reader.close().await;
}

/// What is out does not come again while it is held, however long that takes the broker to wonder.
pub async fn what_is_held_does_not_come_again(world: &mut impl SourceWorld) {
    let mut reader = Reader::with(world, 20).await;
    let taken = reader.take(20, ALL).await;
    assert_whole(&taken, 1..=20);
    let Some(period) = reader.source.hold_period() else {
        reader.commit(&taken).await;
        reader.close().await;
        return;
    };
    assert!(period > Duration::ZERO, "a period is longer than nothing");
    let mut clock = tokio::time::interval(period);
    for _ in 0..4 {
        clock.tick().await;
        done("holding", reader.source.hold()).await;
        let early = tokio::time::timeout(Duration::ZERO, reader.poll(ALL)).await;
        assert!(!matches!(early, Ok(Ok(Came::Batch(_)))), "what is held came again: {early:?}");
    }
    reader.commit(&taken).await;
    reader.close().await;
}
