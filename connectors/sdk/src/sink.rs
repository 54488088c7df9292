//! Where records go.
//!
//! # The contract
//! - [`Sink::open`] connects and checks what can be checked (topic there, exchange there); called once.
//! - [`Sink::start`] takes a batch and never waits. It is called when the sink is ready: after [`Sink::open`], and each time
//!   that [`Sink::ready`] has returned since the last start. What became of each record comes later, by the batch's
//!   [`Receipt`], exactly once a record, from any thread.
//! - [`Sink::ready`] works off what was started until there is room for another batch. It is *cancel-safe*: it goes on with the
//!   next call where a dropped one left off, a look-up under way included. So whoever writes to several sinks waits for none.
//! - Records of a lane leave in order. The sink retries in order by itself and never resends what succeeded (I5). When it
//!   gives up for now it fails the record as retriable; when the record can never be delivered, as rejected. A rejected
//!   record holds up no other.
//! - [`Sink::flush`] returns when every batch taken so far is settled, or the sink failed.
//! - [`Sink::close`] drops what is not delivered; the receipts' silence tells the runtime.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{Receipt, Record, Result};

/// Records of one lane in order, and the right to say what became of each.
#[derive(Debug)]
pub struct Batch {
    /// At least one record. Shared: the runtime keeps them for the dead letter.
    pub records: Arc<Vec<Record>>,
    /// To be settled once a record, by its index in `records`.
    pub receipt: Receipt,
}

/// A running sink; see the module for what it promises.
#[async_trait]
pub trait Sink: Send {
    /// Connects and makes ready to take batches.
    async fn open(&mut self) -> Result<()>;

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
    async fn close(&mut self) -> Result<()>;
}
