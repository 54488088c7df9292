//! What an opening does, and where it begins.

use std::{collections::HashMap, sync::Arc};

use super::super::{
    SourceWorld,
    cancel::Impatience,
    done,
    reader::{ALL, FEW, Left, Reader, assert_whole, keys, numbers},
    within,
};
use crate::{Position, Remembered, testkit::context};

/// A lane has the same key in each source that reads it.
pub async fn lane_keys_stay_the_same(world: &mut impl SourceWorld) {
    if !world.abilities().replays {
        return;
    }
    let mut reader = Reader::with(world, 100).await;
    let first = keys(&reader.take(100, FEW).await);
    let Left { remembered, .. } = reader.close().await;
    let mut next = Reader::open_next(world, remembered).await;
    let taken = next.take(100, FEW).await;
    assert_eq!(first, keys(&taken), "each record comes on the lane of that key again");
    next.commit(&taken).await;
    next.close().await;
}

/// Made for exactly once, it leaves nothing at its broker and goes on behind the positions that a sink has stored.
pub async fn it_goes_on_behind_what_is_stored(world: &mut impl SourceWorld) {
    if !world.capabilities().replayable {
        return;
    }
    within("putting records", world.put(1..=120)).await;
    let mut reader = Reader::open_behind(world, Arc::default(), Remembered::default()).await;
    let taken = reader.take(120, FEW).await;
    assert_whole(&taken, 1..=120);
    let (stored, open) = taken.split_at(taken.len() / 2);
    // The sink says later that only the half of it is there.
    reader.commit(&taken).await;
    let Left { remembered, .. } = reader.close().await;
    let positions: HashMap<Arc<str>, Position> =
        stored.iter().map(|batch| (batch.key.clone(), batch.last.clone())).collect();
    within("putting records", world.put(121..=140)).await;
    let expected: Vec<u64> = numbers(open).into_iter().chain(121..=140).collect();
    // As often as it is opened so.
    for _ in 0..2 {
        let mut next = Reader::open_behind(world, Arc::new(positions.clone()), remembered.clone()).await;
        assert_whole(&next.take(expected.len(), FEW).await, expected.clone());
        next.close().await;
    }
}

/// An opening that is dropped half-way leaves nothing open: the next source gets everything, in order.
pub async fn an_opening_dropped_half_way_leaves_nothing(world: &mut impl SourceWorld) {
    if !world.abilities().replays {
        return;
    }
    within("putting records", world.put(1..=100)).await;
    let (mut impatience, task) = (Impatience::default(), context());
    // The last one is dropped.
    for _ in 0..8 {
        if let Some(opened) = impatience.wait_for(world.open(task.clone())).await {
            let opened = opened.unwrap_or_else(|error| panic!("opening: {}", error.chain()));
            done("closing", opened.close()).await;
        }
    }
    let mut reader = Reader::open_next(world, task.remembered).await;
    let taken = reader.take(100, ALL).await;
    assert_whole(&taken, 1..=100);
    reader.commit(&taken).await;
    reader.close().await;
}
