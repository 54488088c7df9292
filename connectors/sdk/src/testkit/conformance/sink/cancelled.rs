//! Calls that are dropped before they are done.

use super::{
    super::{SinkWorld, cancel::Impatience, done, within, writer::Writer},
    assert_arrived,
};
use crate::{Sink as _, testkit::context};

/// Waiting for room may be dropped as often as one likes: the next call goes on, nothing is lost, doubled or out of order.
pub async fn ready_may_be_dropped(world: &mut impl SinkWorld) {
    let mut writer = Writer::open(world).await;
    let mut impatience = Impatience::default();
    for count in [1, 20, 3, 7].repeat(10) {
        let batch = writer.batch(world, count);
        writer.sink.start(batch);
        let ready = async {
            loop {
                if let Some(ready) = impatience.wait_for(writer.sink.ready()).await {
                    return ready;
                }
            }
        };
        done("waiting for room", ready).await;
    }
    writer.flush().await;
    writer.given.settled().await;
    assert_eq!(writer.given.said.delivered.len(), 310, "{:?}", writer.given.said);
    assert_arrived(world, 310).await;
    writer.close().await;
}

/// A flush may be dropped as often as one likes.
pub async fn flush_may_be_dropped(world: &mut impl SinkWorld) {
    let mut writer = Writer::open(world).await;
    let mut impatience = Impatience::default();
    for _ in 0..10 {
        writer.put(world, 6).await;
        writer.put(world, 6).await;
        let flushed = async {
            loop {
                if let Some(flushed) = impatience.wait_for(writer.sink.flush()).await {
                    return flushed;
                }
            }
        };
        done("flushing", flushed).await;
        assert!(writer.given.is_settled(), "flush has returned, and a batch is not settled");
    }
    assert_arrived(world, 120).await;
    writer.close().await;
}

/// An opening that is dropped half-way leaves nothing open: the next sink works.
pub async fn an_opening_dropped_half_way_leaves_nothing(world: &mut impl SinkWorld) {
    let mut impatience = Impatience::default();
    // The last one is dropped.
    for _ in 0..8 {
        if let Some(opened) = impatience.wait_for(world.open(context())).await {
            let opened = opened.unwrap_or_else(|error| panic!("opening: {}", error.chain()));
            done("closing", opened.close()).await;
        }
    }
    let mut writer = Writer::open(world).await;
    writer.put(world, 10).await;
    writer.flush().await;
    assert_arrived(world, 10).await;
    within("closing", writer.close()).await;
}
