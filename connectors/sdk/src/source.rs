//! Where records come from.
//!
//! # The contract
//! - A plugin makes an [`Opening`](crate::plugin::Opening) of its options; it connects and makes ready. A source that is there is open. An
//!   instance that failed is closed and never opened again: a reconnect is a new instance and a new [`Epoch`], so a stale
//!   position cannot be committed (I3). An opening that fails leaves nothing open behind.
//! - [`Source::poll`] takes what the client already has, up to the limits, and waits only when there is nothing. It is
//!   *cancel-safe*: a dropped call has taken nothing. It is not called while there is no credit (I4): not polling is
//!   the back-pressure, by prefetch, paused partition or TCP.
//! - [`Source::commit`] takes note, and never waits. It is called with positions that only grow, a lane (I2), each meaning:
//!   every record of the lane up to and including this one is settled (I1). [`Source::sync`] sends what was noted, in the
//!   way that is cheapest for the protocol; it is called once after some commits.
//! - [`Source::hold`] is called every [`Source::hold_period`] while records are out: for brokers that take back what is
//!   not spoken of for too long.
//! - [`Source::suspend`] stops the broker from sending more, without giving anything back: the runtime then polls what is
//!   here already, until [`Polled::Suspended`]. So a stop or a pause leaves nothing behind that would count as a failed
//!   delivery. [`Source::resume`] goes on, on the same lanes in the same epoch, and may come before [`Polled::Suspended`].
//! - [`Source::watch_connection`] is called instead of a poll while there is no credit or the bridge is paused. It notices what a poll
//!   would notice, above all the end of the connection.
//! - [`Source::give_back`] gives back what is not committed and keeps the rest of the instance, for a runtime that ends an
//!   incarnation for another's fault. What was given back comes again, in order; a commit of it from before is never made.
//! - [`Source::close`] gives back what is not committed, so that it keeps its place and its order, and disconnects. It says
//!   what will not come again.
//! - Records of a lane are in the broker's order. A record that cannot be converted is still a record: conversion is
//!   total.
//!
//! # The order of calls
//! docs/architecture.md draws it (*the order of calls*). `testkit` checks that a source can live with each.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;

use crate::{Answers, Error, Record, Result};

/// One ordered stream inside a task: an AMQP channel with exactly one consumer, a Kafka partition, a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane(pub u32);

/// One incarnation of a lane. A reconnect or a reassignment is a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

/// A point in a lane's order, in the connector's own bytes: a delivery tag, an offset. The runtime never looks inside,
/// and may store it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Position(Arc<[u8]>);

/// How much one poll may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Records, at least one.
    pub records: usize,
    /// Bytes as [`Record::size`] counts; a poll may overrun by its last record.
    pub bytes: usize,
}

/// What a poll brought.
#[derive(Debug)]
pub enum Polled {
    /// Records of one lane, in order, at least one.
    Batch {
        /// The lane they belong to.
        lane: Lane,
        /// The records.
        records: Vec<Record>,
        /// The position of the last one.
        last: Position,
        /// Who waits for what becomes of each; `None`: nobody.
        answers: Option<Box<dyn Answers>>,
    },
    /// A lane that gave records gives no more: it was taken away, and another owner may read on behind what is committed.
    /// Its outcomes are still taken in and counted, its commits change nothing. Its number never comes again.
    LaneEnded(Lane),
    /// A finite source is exhausted. It is not polled again, but commits still come.
    End,
    /// After [`Source::suspend`]: everything that was here is handed out. It is not polled again before
    /// [`Source::resume`].
    Suspended,
}

/// What becomes of what a closed source had handed out and was not told to commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Closed {
    /// So many records do not come again: their broker does not keep what is not acknowledged. All others come again.
    pub lost: u64,
    /// Why, in one word, for metrics; empty when none is lost.
    pub reason: &'static str,
}

/// An open source; see the module for what it promises.
#[async_trait]
pub trait Source: Send {
    /// Takes what is there, waiting only when there is nothing. Cancel-safe.
    async fn poll(&mut self, limits: Limits) -> Result<Polled>;

    /// What names the lane over restarts: `orders/queue/0`, `topic/5`. Positions are stored under it. Asked once for each
    /// lane, after its first batch.
    fn lane_key(&self, lane: Lane) -> Arc<str>;

    /// Takes note that every record of the lane up to and including `upto` is settled. Never waits; what goes wrong is said
    /// by [`Source::sync`].
    fn commit(&mut self, lane: Lane, upto: &Position);

    /// Sends what was noted. Called after commits, once for several, and never in between two halves of anything else.
    async fn sync(&mut self) -> Result<()> {
        Ok(())
    }

    /// How often [`Source::hold`] wants to be called; `None`: never.
    fn hold_period(&self) -> Option<Duration> {
        None
    }

    /// Tells the broker that what is not committed is still worked on.
    async fn hold(&mut self) -> Result<()> {
        Ok(())
    }

    /// Gives back what is not committed and disconnects.
    async fn close(self: Box<Self>) -> Result<Closed>;

    /// Takes nothing more from the broker; lanes and connection stay. `true`: what is here already can still be polled, and
    /// behind it comes [`Polled::Suspended`]. `false`: nothing is here that was not polled, so there is nothing to hand
    /// out; polls simply stop.
    async fn suspend(&mut self) -> Result<bool> {
        Ok(false)
    }

    /// Takes from the broker again.
    async fn resume(&mut self) -> Result<()> {
        Ok(())
    }

    /// Gives back what is not committed, so that it is polled again, in order and before what follows it. `true`: the
    /// instance is as good as new, and is polled again later or closed. `false`, or an error: it is worth nothing any
    /// more, and is closed; so it is after every error that this instance has returned. Only for sources for which
    /// connecting anew costs much more than this, like a member of a consumer group. Never called while suspended.
    async fn give_back(&mut self) -> Result<bool> {
        Ok(false)
    }

    /// Looks after the connection while nothing is polled. Returns only when the source has ended, with the reason.
    /// Cancel-safe.
    async fn watch_connection(&mut self) -> Error {
        std::future::pending().await
    }

    /// How many records wait at the broker for this source, on all lanes together; `None` when it cannot be asked.
    async fn backlog(&mut self) -> Result<Option<u64>> {
        Ok(None)
    }

    /// Hands one record to the broker's own dead letter. The record is the one that came `back` places before the last
    /// one of the batch that ended at `last`. It counts as settled then: the commit that covers it comes all the same.
    /// Only for sources whose plugin says that they can.
    async fn reject(&mut self, _lane: Lane, _last: &Position, _back: u32) -> Result<()> {
        Err(Error::internal("this source has no dead letter of its own"))
    }
}

// === impl Position ===

impl Position {
    /// A position in the connector's own bytes.
    pub fn new(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }

    /// The connector's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The number that [`From<u64>`] made it of.
    pub fn as_u64(&self) -> Option<u64> {
        Some(u64::from_be_bytes(self.0.as_ref().try_into().ok()?))
    }
}

impl From<u64> for Position {
    fn from(number: u64) -> Self {
        Self::new(&number.to_be_bytes())
    }
}

impl fmt::Debug for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.as_u64() {
            Some(number) => write!(f, "Position({number})"),
            None => write!(f, "Position({:02x?})", &self.0),
        }
    }
}
