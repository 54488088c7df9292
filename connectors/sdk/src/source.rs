//! Where records come from.
//!
//! # The contract
//! - [`Source::open`] connects and makes ready; called once. An instance that failed is closed and never opened again:
//!   a reconnect is a new instance and a new [`Epoch`], so a stale position cannot be committed (I3).
//! - [`Source::poll`] takes what the client already has, up to the limits, and waits only when there is nothing. It is
//!   *cancel-safe*: a dropped call has taken nothing. It is not called while there is no credit (I4): not polling is
//!   the back-pressure, by prefetch, paused partition or TCP.
//! - [`Source::commit`] is called with positions that only grow, a lane (I2), each meaning: every record of the lane up
//!   to and including this one is settled (I1).
//! - [`Source::close`] gives back what is not committed, so that it keeps its place and its order, and disconnects.
//! - Records of a lane are in the broker's order. A record that cannot be converted is still a record: conversion is
//!   total.

use std::{fmt, sync::Arc};

use async_trait::async_trait;

use crate::{Record, Result};

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
    },
    /// A finite source is exhausted. It is not polled again, but commits still come.
    End,
}

/// A running source; see the module for what it promises.
#[async_trait]
pub trait Source: Send {
    /// Connects and makes ready to poll.
    async fn open(&mut self) -> Result<()>;

    /// Takes what is there, waiting only when there is nothing. Cancel-safe.
    async fn poll(&mut self, limits: Limits) -> Result<Polled>;

    /// Every record of the lane up to and including `upto` is settled.
    async fn commit(&mut self, lane: Lane, upto: &Position) -> Result<()>;

    /// Gives back what is not committed and disconnects.
    async fn close(&mut self) -> Result<()>;
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
