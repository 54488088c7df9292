//! What polls bring.

use std::{collections::HashMap, sync::Arc};

use super::super::{
    DEADLINE, SourceWorld,
    cancel::Impatience,
    reader::{ALL, Arrived, Came, FEW, Reader, assert_whole},
    within,
};
use crate::{Limits, Position};

/// Records of a lane are in the order in which they were put, each comes once, and none is missing.
pub async fn records_of_a_lane_are_in_order(world: &mut impl SourceWorld) {
    let mut reader = Reader::with(world, 300).await;
    let mut taken = reader.take(100, FEW).await;
    taken.extend(reader.take(200, ALL).await);
    assert_whole(&taken, 1..=300);
    reader.commit(&taken).await;
    reader.close().await;
}

/// No poll brings more than it may: so many records, and so many bytes but for its last record.
pub async fn limits_are_kept(world: &mut impl SourceWorld) {
    let limits = [
        Limits { records: 1, ..ALL },
        Limits { records: 3, ..ALL },
        Limits { bytes: 1, ..ALL },
        Limits { records: 50, ..ALL },
        Limits { bytes: 20, ..ALL },
    ];
    let mut reader = Reader::with(world, 200).await;
    let mut taken = Vec::new();
    for limits in limits {
        // The order of calls compares each batch with what was allowed.
        taken.extend(reader.take(40, limits).await);
    }
    assert_whole(&taken, 1..=200);
    reader.commit(&taken).await;
    reader.close().await;
}

/// A poll that is dropped has taken nothing: all records come, in order, whenever polls are dropped.
pub async fn a_dropped_poll_has_taken_nothing(world: &mut impl SourceWorld) {
    let mut reader = Reader::with(world, 60).await;
    let mut taken = Vec::new();
    within("polls that are dropped", impatient(&mut reader, 60, &mut taken)).await;
    if world.abilities().is_live {
        // While records come in.
        let putting = async {
            for portion in 0..6 {
                let first = 61 + portion * 10;
                world.put(first..=first + 9).await;
            }
        };
        let both = async { tokio::join!(putting, impatient(&mut reader, 60, &mut taken)) };
        within("polls that are dropped while records come", both).await;
        assert_whole(&taken, 1..=120);
    } else {
        assert_whole(&taken, 1..=60);
    }
    reader.commit(&taken).await;
    reader.close().await;
}

/// Takes so many records more by polls that are dropped again and again.
async fn impatient(reader: &mut Reader, count: usize, taken: &mut Vec<Arrived>) {
    let (mut impatience, mut left) = (Impatience::default(), count);
    while left > 0 {
        let limits = Limits { records: left.min(3), ..ALL };
        match impatience.wait_for(reader.poll(limits)).await {
            None => {}
            Some(Ok(Came::Batch(batch))) => {
                left = left.checked_sub(batch.numbers.len()).expect("no more than the limits allow");
                taken.push(batch);
            }
            Some(other) => panic!("{other:?}, and {left} of {count} records have not come in {DEADLINE:?}: {taken:?}"),
        }
    }
}

/// No two batches of a lane have the same position, and positions that are numbers grow.
pub async fn positions_of_a_lane_grow(world: &mut impl SourceWorld) {
    let mut reader = Reader::with(world, 100).await;
    let mut lanes: HashMap<Arc<str>, Vec<Position>> = HashMap::new();
    for _ in 0..10 {
        let taken = reader.take(10, FEW).await;
        // Settled at once, so that a source that counts what is out begins again.
        reader.commit(&taken).await;
        for batch in taken {
            let positions = lanes.entry(batch.key).or_default();
            assert!(!positions.contains(&batch.last), "{:?} came twice", batch.last);
            if let (Some(before), Some(now)) = (positions.last().and_then(Position::as_u64), batch.last.as_u64()) {
                assert!(before < now, "positions go back from {before} to {now}");
            }
            positions.push(batch.last);
        }
    }
    reader.close().await;
}
