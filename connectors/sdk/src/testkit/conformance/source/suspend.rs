//! Suspended, and on again.

use super::super::{
    SourceWorld, done,
    reader::{ALL, Arrived, Came, FEW, Reader, assert_whole, numbers},
    within,
};
use crate::Source as _;

/// Suspends, and takes what is handed out.
async fn empty(reader: &mut Reader) -> Vec<Arrived> {
    let mut taken = Vec::new();
    if !done("suspending", reader.source.suspend()).await {
        return taken;
    }
    loop {
        match done("polling what is here", reader.poll(FEW)).await {
            Came::Batch(batch) => taken.push(batch),
            Came::Suspended => return taken,
            Came::End => panic!("it ends while it is suspended"),
        }
    }
}

/// Suspended, it hands out what is here already, says when that is all, and takes nothing that comes later. Resumed, it goes on
/// behind it.
pub async fn suspended_it_hands_out_what_is_here(world: &mut impl SourceWorld) {
    let mut reader = Reader::with(world, 200).await;
    let mut taken = reader.take(20, FEW).await;
    let has_more = done("suspending", reader.source.suspend()).await;
    let is_live = world.abilities().is_live;
    if is_live {
        within("putting records", world.put(201..=220)).await;
    }
    let mut is_handed_out = !has_more;
    while !is_handed_out {
        match done("polling what is here", reader.poll(FEW)).await {
            Came::Batch(batch) => taken.push(batch),
            Came::Suspended => is_handed_out = true,
            Came::End => panic!("it ends while it is suspended"),
        }
    }
    let later = numbers(&taken).last().copied().filter(|last| *last > 200);
    assert_eq!(later, None, "it took what came after it was suspended");
    // What is settled meanwhile is committed, and changes nothing.
    reader.commit(&taken).await;
    done("resuming", reader.source.resume()).await;
    let all = if is_live { 220 } else { 200 };
    let rest = reader.take(all - numbers(&taken).len(), FEW).await;
    reader.commit(&rest).await;
    taken.extend(rest);
    assert_whole(&taken, 1..=all as u64);
    reader.close().await;
}

/// Suspended and resumed at any moment, also before everything is handed out, it keeps its order and loses nothing.
pub async fn resumed_it_goes_on(world: &mut impl SourceWorld) {
    let mut reader = Reader::with(world, 240).await;
    let mut taken = Vec::new();
    for round in 0..12 {
        let before = numbers(&taken).len();
        let has_more = done("suspending", reader.source.suspend()).await;
        // None, some, or all of what is here.
        for _ in 0..if has_more { [0, 1, usize::MAX][round % 3] } else { 0 } {
            match done("polling what is here", reader.poll(FEW)).await {
                Came::Batch(batch) => taken.push(batch),
                Came::Suspended => break,
                Came::End => panic!("it ends while it is suspended"),
            }
        }
        done("resuming", reader.source.resume()).await;
        let due = (before + 20).saturating_sub(numbers(&taken).len());
        let left = 240 - numbers(&taken).len();
        taken.extend(reader.take(due.min(left), FEW).await);
    }
    let left = 240 - numbers(&taken).len();
    taken.extend(reader.take(left, ALL).await);
    assert_whole(&taken, 1..=240);
    reader.commit(&taken).await;
    reader.close().await;
}

/// A stop by suspending leaves nothing behind that would count as a failed delivery.
pub async fn a_stop_leaves_nothing_redelivered(world: &mut impl SourceWorld) {
    if !world.abilities().replays {
        return;
    }
    let mut reader = Reader::with(world, 200).await;
    let mut taken = reader.take(30, FEW).await;
    taken.extend(empty(&mut reader).await);
    reader.commit(&taken).await;
    let left = reader.close().await;
    within("putting records", world.put(201..=220)).await;
    let mut next = Reader::open_next(world, left.remembered).await;
    let seen = numbers(&taken);
    let expected: Vec<u64> = (1..=220).filter(|number| !seen.contains(number)).collect();
    let rest = next.take(expected.len(), FEW).await;
    assert_whole(&rest, expected);
    let again = rest.iter().find(|batch| batch.redelivered);
    assert!(again.is_none(), "its first source gave it back: {again:?}");
    next.commit(&rest).await;
    next.close().await;
}
