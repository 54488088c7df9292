//! One record on its way.

use std::{sync::Arc, time::Instant};

use bytestring::ByteString;
use gantry_sdk::{Batch, Delivered, Failure, Record};

/// One record of a batch. Dropped without an outcome, it counts as abandoned once all of its batch are.
#[derive(Debug)]
pub(super) struct Item {
    batch: Arc<Batch>,
    index: u32,
    /// Its place among all records of the channel.
    pub sequence: u64,
    /// When it came, if it is a dead letter, in milliseconds since 1970: it is in the message, and a message that comes back has
    /// to be known again.
    pub written: i64,
    /// When RabbitMQ refused it first.
    pub refused_since: Option<Instant>,
    /// It has waited for a destination that refuses, and is tried now.
    pub waited: bool,
}

impl Item {
    pub(super) const fn new(batch: Arc<Batch>, index: u32, sequence: u64, written: i64) -> Self {
        Self { batch, index, sequence, written, refused_since: None, waited: false }
    }

    pub(super) fn record(&self) -> &Record {
        &self.batch.records[self.index as usize]
    }

    /// RabbitMQ has it, or it is not wanted.
    pub(super) fn settle(self) {
        self.batch.receipt.settle(1);
    }

    /// RabbitMQ has it there. Asked only if somebody waits for it: which name says that.
    pub(super) fn placed(self, address: impl FnOnce(&Record) -> Option<ByteString>) {
        if self.batch.receipt.wants_answers()
            && let Some(address) = address(self.record())
        {
            self.batch.receipt.answer(self.index, Delivered::Placed { address, partition: None, offset: None });
        }
        self.settle();
    }

    pub(super) fn fail(self, failure: Failure) {
        self.batch.receipt.fail(self.index, failure);
    }
}
