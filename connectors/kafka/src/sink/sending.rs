//! A sink's records into the producer on which it has its seat, counted.

use gantry_sdk::Record;

use super::{
    delivery::{Delivery, Token},
    pool::Seat,
    writer::{Obstacle, Stamp, Writer},
};
use crate::headers::Scratch;

/// Where records go, and who hears of them.
pub(super) struct Sender<'a> {
    pub writer: &'a Writer,
    pub delivery: &'a Delivery,
    pub seat: &'a Seat,
}

impl Sender<'_> {
    /// Gives a record to librdkafka.
    pub(super) fn send(
        &self,
        record: &Record,
        topic: &str,
        token: Token,
        stamp: Stamp,
        scratch: &mut Scratch,
    ) -> Result<(), Obstacle> {
        let Seat { producer, number } = self.seat;
        self.delivery.sending();
        let sent = self.writer.send(producer, record, topic, token.to_opaque(*number), stamp, scratch);
        if sent.is_err() {
            self.delivery.not_sent();
        }
        sent
    }

    /// The same for one that was sent before. Its topic was looked up then.
    pub(super) fn send_again(&self, token: Token, stamp: Stamp, scratch: &mut Scratch) -> Result<(), Obstacle> {
        // The slot stays until its last record is accounted for, and this one is not.
        let Some(records) = self.delivery.records(token) else { return Ok(()) };
        let record = &records[token.index() as usize];
        let destination = self.writer.destination(record).map_err(Obstacle::Failed)?;
        self.send(record, destination.name(), token, stamp, scratch)
    }
}
