//! What was gone before it was read, in words and numbers, and where reading goes on.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use rdkafka::consumer::Consumer as _;

use super::{OffsetReset, commits::Lanes, events::Consumer, findings::Reset, place::Place, plan::Plan};

/// Kafka deleted records before they were read: retention, or somebody by hand.
const RETENTION: &str = "retention";
/// The end of the log is gone.
const TRUNCATED: &str = "truncated";
/// The topic was deleted and created again.
const RECREATED: &str = "topic_recreated";

/// How long asking for the ends of a partition may take; events wait for so long.
const QUESTION: Duration = Duration::from_secs(1);

/// Offsets that were not there and are still to be told of.
#[derive(Debug, Default)]
pub(super) struct Losses {
    resets: BTreeMap<Place, Reset>,
    /// Nobody answered: not before then.
    not_before: Option<Instant>,
}

/// A partition that has to be read again from an earlier offset.
pub(super) type Back = (Place, i64);

impl Losses {
    /// Tells of offsets that were not there. Yields partitions that go on at an earlier offset than before.
    pub(super) fn look(&mut self, plan: &Plan, consumer: &Consumer, lanes: &Lanes) -> Vec<Back> {
        self.resets.extend(consumer.context().take_resets());
        let mut back = Vec::new();
        if self.resets.is_empty() || self.not_before.is_some_and(|time| Instant::now() < time) {
            return back;
        }
        while let Some((place, reset)) = self.resets.pop_first() {
            // Another reads it now, and finds the same.
            let Some(lane) = lanes.get(&place).filter(|lane| !lane.is_leaving()) else { continue };
            let Ok((low, high)) = consumer.fetch_watermarks(&place.topic, place.partition, QUESTION) else {
                self.resets.insert(place, reset);
                self.not_before = Some(Instant::now() + QUESTION);
                break;
            };
            let to = if plan.options.offset_reset == OffsetReset::Latest { high } else { low };
            // What librdkafka has read already still comes.
            let from = lane.expected().map_or(reset.from, |expected| expected.max(reset.from));
            if reset.diverged || from > high {
                let what = format!(
                    "{} ends at offset {high}, before {from}, which was to be read next: the last records before that \
                     are gone in Kafka (a leader that lacked them took over?); reading goes on at {to}",
                    place
                );
                tell(plan, TRUNCATED, 0, what);
                back.push((place, to));
            } else if to > from {
                let how = if from < low { "Kafka deleted them" } else { "offset_reset: latest skips them" };
                let what = format!("offsets {from} to {} of {}: {how} before they were read", to - 1, place);
                tell(plan, RETENTION, to.abs_diff(from), what);
                if plan.options.offset_reset != OffsetReset::Latest {
                    lane.skip(from, to);
                }
            }
        }
        back
    }

    /// What was to be told of this partition is out of date.
    pub(super) fn forget(&mut self, place: &Place) {
        self.resets.remove(place);
    }
}

/// The topic is another than the one that was read up to `next`. So many of that one are known to have been unread.
pub(super) fn tell_recreated(plan: &Plan, place: &Place, next: i64, unread: u64) {
    let what = format!(
        "{}: the topic was deleted and created again; the old one was read up to offset {next}, with {unread} more known to \
         have been in it; the new one is read from its start",
        place
    );
    tell(plan, RECREATED, unread, what);
}

fn tell(plan: &Plan, reason: &'static str, records: u64, what: String) {
    if plan.context.lost.report(reason, records, what.as_str()) {
        tracing::warn!(bridge = &*plan.context.bridge, reason, records, "lost before it was read: {what}");
    }
}
