//! What may arrive at the end of a bridge: each message once, unaltered, and those of one source in their order.

use anyhow::{Context as _, Result, ensure};
use gantry_generate::payload;

/// The messages that have arrived, and those that may come next. Those of a bridge are numbered in turn over its sources: with two, the first has
/// 1, 3, 5 … and the second 2, 4, 6 …. Between sources there is no order.
pub(crate) struct Arrivals {
    size: usize,
    count: u64,
    next: Vec<u64>,
}

impl Arrivals {
    /// Of bodies of that size from so many sources.
    pub(crate) fn new(size: usize, sources: u64) -> Self {
        Self { size, count: 0, next: (1..=sources).collect() }
    }

    /// How many there are so far.
    pub(crate) const fn count(&self) -> u64 {
        self.count
    }

    /// The number of the message with this body; an error if another should be here.
    pub(crate) fn accept(&mut self, body: &[u8]) -> Result<u64> {
        let sequence = payload::verify(body).map_err(anyhow::Error::msg)?;
        let sources = self.next.len() as u64;
        let source = sequence.checked_sub(1).context("no message has the number 0")? % sources;
        let next = &mut self.next[usize::try_from(source)?];
        ensure!(sequence == *next, "message {sequence} is where message {next} should be");
        ensure!(body.len() == self.size, "message {sequence} has {} bytes, not {}", body.len(), self.size);
        *next += sources;
        self.count += 1;
        Ok(sequence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(sequence: u64) -> Vec<u8> {
        let mut body = Vec::new();
        payload::write(sequence, 200, &mut body);
        body
    }

    #[test]
    fn order_holds_within_a_source() {
        let mut arrivals = Arrivals::new(200, 2);
        for sequence in [1, 3, 2, 5, 4] {
            arrivals.accept(&body(sequence)).unwrap();
        }
        assert_eq!(arrivals.count(), 5);
        for wrong in [5, 9, 8] {
            assert!(arrivals.accept(&body(wrong)).is_err(), "{wrong} is lost, comes twice or overtakes");
        }
    }

    #[test]
    fn a_body_is_as_it_was_sent() {
        assert!(Arrivals::new(100, 1).accept(&body(1)).is_err(), "another size");
        let mut altered = body(1);
        altered[150] ^= 1;
        assert!(Arrivals::new(200, 1).accept(&altered).is_err(), "another byte");
    }
}
