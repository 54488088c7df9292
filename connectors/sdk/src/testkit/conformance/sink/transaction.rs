//! Transactions.

use std::sync::Arc;

use super::{
    super::{SinkWorld, done, writer::Writer},
    assert_arrived,
};
use crate::{Checkpoint, Checkpoints, Context, Position, Sink as _, Transactions, testkit::context};

async fn open(world: &mut impl SinkWorld) -> Writer {
    Writer::open_with(world, Context { exactly_once: true, ..context() }).await
}

fn transactions(writer: &mut Writer) -> &mut dyn Transactions {
    writer.sink.transactions().expect("a sink for exactly once has transactions")
}

fn checkpoint(lane_key: &str, number: u64) -> Checkpoint {
    Checkpoint { lane_key: lane_key.into(), position: number.into() }
}

fn stored(writer: &mut Writer) -> Vec<(Arc<str>, Position)> {
    let stored: Checkpoints = transactions(writer).stored();
    let mut stored: Vec<_> = stored.iter().map(|(key, position)| (key.clone(), position.clone())).collect();
    stored.sort_by(|one, other| one.0.cmp(&other.0));
    stored
}

/// A commit stores positions with the records: the next sink knows them, and later ones replace those of the same lane only.
pub async fn a_transaction_stores_positions_with_its_records(world: &mut impl SinkWorld) {
    if !world.capabilities().transactional {
        return;
    }
    let mut writer = open(world).await;
    assert!(stored(&mut writer).is_empty(), "nothing was ever committed");
    let commits = [vec![checkpoint("a/0", 5), checkpoint("b/1", 5)], vec![checkpoint("a/0", 10)]];
    for checkpoints in &commits {
        done("beginning", transactions(&mut writer).begin()).await;
        writer.put(world, 2).await;
        writer.put(world, 3).await;
        writer.flush().await;
        done("committing", transactions(&mut writer).commit(checkpoints)).await;
        assert!(writer.given.is_settled(), "what is committed is settled");
    }
    writer.close().await;
    assert_arrived(world, 10).await;
    let mut next = open(world).await;
    assert_eq!(stored(&mut next), [("a/0".into(), 10.into()), ("b/1".into(), 5.into())]);
    next.close().await;
}

/// What is in a transaction that was not committed is not there, and neither are its positions. The next sink begins anew.
pub async fn what_is_not_committed_is_not_there(world: &mut impl SinkWorld) {
    if !world.capabilities().transactional {
        return;
    }
    let mut writer = open(world).await;
    done("beginning", transactions(&mut writer).begin()).await;
    writer.put(world, 5).await;
    writer.flush().await;
    done("committing", transactions(&mut writer).commit(&[checkpoint("a/0", 5)])).await;
    done("beginning", transactions(&mut writer).begin()).await;
    writer.put(world, 5).await;
    writer.flush().await;
    writer.close().await;
    assert_arrived(world, 5).await;
    let mut next = open(world).await;
    assert_eq!(stored(&mut next), [("a/0".into(), 5.into())]);
    done("beginning", transactions(&mut next).begin()).await;
    next.go_on_at(6);
    next.put(world, 5).await;
    next.flush().await;
    done("committing", transactions(&mut next).commit(&[checkpoint("a/0", 10)])).await;
    next.close().await;
    assert_arrived(world, 10).await;
}
