//! Where records go.
//!
//! # The contract
//! - A plugin makes an [`Opening`](crate::plugin::Opening) of its options; it connects and checks what can be checked (topic there, exchange
//!   there). A sink that is there is open. An opening that fails leaves nothing open behind.
//! - [`Sink::start`] takes a batch and never waits. It is called when the sink is ready: once it is open, and each time
//!   that [`Sink::ready`] has returned since the last start. What became of each record comes later, by the batch's
//!   [`Receipt`], exactly once a record, from any thread.
//! - [`Sink::ready`] works off what was started until there is room for another batch. It is *cancel-safe*: it goes on with the
//!   next call where a dropped one left off, a look-up under way included. So whoever writes to several sinks waits for none.
//! - Records of a lane leave in order. The sink retries in order by itself and never resends what succeeded (I5). When it
//!   gives up for now it fails the record as retriable; when the record can never be delivered, as rejected. A rejected
//!   record holds up no other.
//! - [`Sink::flush`] returns when every batch taken so far is settled, or the sink failed.
//! - [`Sink::close`] drops what is not delivered; the receipts' silence tells the runtime. An open transaction is aborted.
//!
//! # Transactions
//! A sink that was made for [exactly once](crate::plugin::Context::exactly_once) has [`Transactions`]. The runtime begins one before the
//! first batch after the last commit. What receipts say within it holds if it is committed: the runtime settles nothing before.
//! It commits when everything that it took from the source is in the transaction, with the positions to go on from; they are
//! stored by the same commit. So a record is there once or its position is not, whatever dies in between.

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;

use crate::{Position, Receipt, Record, Result};

/// Up to where a lane is settled, once the batch that carries this is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The lane, by the name that it keeps over restarts.
    pub lane_key: Arc<str>,
    /// The position of the last record.
    pub position: Position,
}

/// Positions to go on from, by lane key: of each lane the last record that is settled.
pub type Checkpoints = Arc<HashMap<Arc<str>, Position>>;

/// Records of one lane in order, and the right to say what became of each.
#[derive(Debug)]
pub struct Batch {
    /// At least one record. Shared: the runtime keeps them for the dead letter.
    pub records: Arc<Vec<Record>>,
    /// To be settled once a record, by its index in `records`.
    pub receipt: Receipt,
    /// For a sink that stores positions by itself. `None`: dead letters, which have none.
    pub checkpoint: Option<Checkpoint>,
}

/// An open sink; see the module for what it promises.
#[async_trait]
pub trait Sink: Send {
    /// Takes the batch. Never waits. Only when it is ready.
    fn start(&mut self, batch: Batch);

    /// Returns when it is ready for another batch. An error ends the sink. Cancel-safe.
    async fn ready(&mut self) -> Result<()>;

    /// Takes the batch, and returns when there is room for another.
    async fn put(&mut self, batch: Batch) -> Result<()> {
        self.start(batch);
        self.ready().await
    }

    /// Everything taken so far is settled when this returns. Cancel-safe.
    async fn flush(&mut self) -> Result<()>;

    /// Disconnects. What is not delivered stays unsettled.
    async fn close(self: Box<Self>) -> Result<()>;

    /// The transactions of a sink that was made for exactly once.
    fn transactions(&mut self) -> Option<&mut dyn Transactions> {
        None
    }
}

/// The transactions of a sink; see the module.
#[async_trait]
pub trait Transactions: Send {
    /// What the last committed transaction stored, as of the opening: the source is opened at these positions.
    fn stored(&self) -> Checkpoints;

    /// Begins one. Only when none is open.
    async fn begin(&mut self) -> Result<()>;

    /// Commits it, with these positions. Only when all of it is settled, as after a [flush](Sink::flush). An error ends the sink: nobody knows then whether it
    /// is committed before the sink is opened anew.
    async fn commit(&mut self, checkpoints: &[Checkpoint]) -> Result<()>;
}
