//! Which delivery tags of a channel are where.
//!
//! On a channel tags count from 1 without a gap (AMQP 0-9-1 §1.4, `delivery-tag`), and one consumer at a time uses them. Each
//! goes the same way: it arrives, is handed out, is settled, is acknowledged. A rejected one leaves by itself: it must never
//! be acknowledged again, or the broker closes the channel.

use std::collections::BTreeSet;

use gantry_sdk::{Error, Result};

/// The tags of one channel, over all its consumers.
#[derive(Debug, Default)]
pub(super) struct Tags {
    /// The highest that came from the broker.
    arrived: u64,
    /// The highest that the runtime has.
    handed_out: u64,
    /// The highest that the runtime has settled, with all below it.
    settled: u64,
    /// The highest that the broker needs to hear of no more, with all below it.
    acknowledged: u64,
    /// Those above `acknowledged` that were rejected; at most as many as are on their way.
    rejected: BTreeSet<u64>,
    /// The last tag of the consumer before the current one.
    before: u64,
}

impl Tags {
    /// The next one came. An error if there is a gap: a message that nobody has seen would be acknowledged with those
    /// behind it (I1).
    pub(super) fn arrive(&mut self, tag: u64) -> Result<()> {
        let due = self.arrived + 1;
        if tag != due {
            return Err(Error::disconnected(format!("delivery {tag} came where {due} was due: there is a gap")));
        }
        self.arrived = tag;
        Ok(())
    }

    /// So many more go to the runtime; the tag of the last.
    pub(super) fn hand_out(&mut self, count: usize) -> u64 {
        self.handed_out += count as u64;
        self.handed_out
    }

    /// Whether the runtime has settled any.
    pub(super) fn none_settled(&self) -> bool {
        self.settled == 0
    }

    /// The broker was told of none, whether settled or rejected.
    pub(super) fn none_told(&self) -> bool {
        self.none_settled() && self.rejected.is_empty()
    }

    /// Everything up to that one is settled. Going back changes nothing (I2).
    pub(super) fn settle(&mut self, tag: u64) -> Result<()> {
        if tag > self.handed_out {
            return Err(Error::internal(format!("{tag} was never delivered")));
        }
        self.settled = self.settled.max(tag);
        Ok(())
    }

    /// The broker knows of all that is settled.
    pub(super) fn all_acknowledged(&self) -> bool {
        self.acknowledged == self.settled
    }

    /// The one tag to acknowledge, with all below it, so that the broker knows of all that is settled.
    pub(super) fn due(&self) -> Option<u64> {
        let mut tag = self.settled;
        while tag > self.acknowledged && self.rejected.contains(&tag) {
            tag -= 1;
        }
        (tag > self.acknowledged).then_some(tag)
    }

    /// What was due has been sent.
    pub(super) fn acknowledge(&mut self) {
        self.acknowledged = self.settled;
        if !self.rejected.is_empty() {
            self.rejected = self.rejected.split_off(&(self.acknowledged + 1));
        }
    }

    /// Whether that one can be rejected: it is with the runtime, and neither settled nor rejected yet.
    pub(super) fn check_rejectable(&self, tag: u64) -> Result<()> {
        if tag > self.settled && tag <= self.handed_out && !self.rejected.contains(&tag) {
            return Ok(());
        }
        Err(Error::internal(format!("{tag} is not on its way")))
    }

    /// It was rejected.
    pub(super) fn reject(&mut self, tag: u64) {
        self.rejected.insert(tag);
    }

    /// A new consumer begins: what arrives from now on is its own.
    pub(super) fn begin_consumer(&mut self) {
        self.before = self.arrived;
    }

    /// How many the broker counts against the current consumer's prefetch.
    pub(super) fn outstanding_of_consumer(&self) -> u64 {
        self.above(self.acknowledged.max(self.before))
    }

    /// How many the broker waits for on the channel.
    pub(super) fn outstanding(&self) -> u64 {
        self.above(self.acknowledged)
    }

    fn above(&self, tag: u64) -> u64 {
        self.arrived - tag - self.rejected.range(tag + 1..).count() as u64
    }

    /// Everything that arrived is settled.
    pub(super) fn all_settled(&self) -> bool {
        self.settled == self.arrived
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handed_out(count: u64) -> Tags {
        let mut tags = Tags::default();
        for tag in 1..=count {
            tags.arrive(tag).expect("no gap");
            tags.hand_out(1);
        }
        tags
    }

    /// What is acknowledged when everything up to `tag` is settled.
    fn commit(tags: &mut Tags, tag: u64) -> Option<u64> {
        tags.settle(tag).expect("it was delivered");
        let due = tags.due();
        tags.acknowledge();
        due
    }

    #[test]
    fn i1_a_gap_is_an_error() {
        let mut tags = handed_out(3);
        assert!(tags.arrive(5).is_err());
        assert!(tags.arrive(3).is_err());
        assert!(tags.arrive(4).is_ok());
    }

    #[test]
    fn i2_going_back_acknowledges_nothing() {
        let mut tags = handed_out(10);
        assert_eq!(commit(&mut tags, 7), Some(7));
        assert_eq!(commit(&mut tags, 7), None);
        assert_eq!(commit(&mut tags, 3), None);
        assert_eq!(tags.outstanding(), 3);
        assert!(tags.settle(11).is_err());
    }

    #[test]
    fn a_rejected_tag_is_never_acknowledged() {
        for (rejected, commits, acknowledged) in [
            (vec![1], vec![5, 10], vec![Some(5), Some(10)]),
            (vec![5], vec![5, 10], vec![Some(4), Some(10)]),
            (vec![10], vec![5, 10], vec![Some(5), Some(9)]),
            (vec![4, 5, 6], vec![5, 6, 10], vec![Some(3), None, Some(10)]),
            ((1..=10).collect(), vec![5, 10], vec![None, None]),
        ] {
            let mut tags = handed_out(10);
            for tag in &rejected {
                tags.check_rejectable(*tag).expect("it is on its way");
                tags.reject(*tag);
                assert!(tags.check_rejectable(*tag).is_err(), "twice");
            }
            assert_eq!(tags.outstanding(), 10 - rejected.len() as u64);
            let sent: Vec<_> = commits.into_iter().map(|tag| commit(&mut tags, tag)).collect();
            assert_eq!(sent, acknowledged, "{rejected:?}");
            assert_eq!(tags.outstanding(), 0);
            assert!(tags.rejected.is_empty());
        }
    }

    #[test]
    fn only_what_is_with_the_runtime_can_be_rejected() {
        let mut tags = handed_out(3);
        tags.arrive(4).expect("no gap");
        commit(&mut tags, 1);
        assert!(tags.check_rejectable(1).is_err(), "it is settled");
        assert!(tags.check_rejectable(4).is_err(), "it was not handed out");
        assert!(tags.check_rejectable(2).is_ok());
    }

    #[test]
    fn the_prefetch_counts_what_the_current_consumer_brought() {
        let mut tags = handed_out(4);
        tags.begin_consumer();
        assert_eq!((tags.outstanding_of_consumer(), tags.outstanding()), (0, 4));
        tags.arrive(5).expect("no gap");
        assert_eq!((tags.outstanding_of_consumer(), tags.outstanding()), (1, 5));
        commit(&mut tags, 4);
        assert_eq!((tags.outstanding_of_consumer(), tags.outstanding()), (1, 1));
        tags.hand_out(1);
        commit(&mut tags, 5);
        assert!(tags.all_settled());
        assert_eq!((tags.outstanding_of_consumer(), tags.outstanding()), (0, 0));
    }
}
