//! What librdkafka tells only in its log, and a source has to know: which incarnation of a topic it reads, and that an offset
//! was not there and it went on elsewhere.
//!
//! librdkafka has the topic's id out of every answer for metadata, fetches by it, and takes over another id in silence: its
//! log says so, under `debug=metadata`, and nothing that it shows to callers does. An offset that is out of range it mends
//! by `auto.offset.reset`, and says so in a warning. Its version is part of this build, and tests on a real Kafka fail when
//! its words change. [Why](../../../../docs/adr/0026-what-only-the-log-of-librdkafka-says.md).

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use super::place::Place;
use crate::client::without_thread;

/// What of librdkafka's log lines is needed.
pub(super) const DEBUG: &str = "metadata";

/// What one line says.
#[derive(Debug, PartialEq, Eq)]
enum Finding<'a> {
    /// The topic of this name has this id.
    Id { topic: &'a str, id: &'a str },
    /// There was no record at the offset where it wanted to read on: it goes by `auto.offset.reset`.
    Reset { place: Place, reset: Reset },
}

/// An offset that was not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reset {
    /// The offset that was to be read next.
    pub from: i64,
    /// The log has another history than the one that was read: a leader that lacked its end took over.
    pub diverged: bool,
}

/// All that was found and nobody has asked for yet. Bounded by the topics and partitions that are read.
#[derive(Debug, Default)]
pub(super) struct Findings {
    ids: HashMap<String, Arc<str>>,
    recreated: BTreeSet<String>,
    resets: BTreeMap<Place, Reset>,
}

// === impl Findings ===

impl Findings {
    /// Takes a line in.
    pub(super) fn take(&mut self, line: &str) {
        match read(line) {
            Some(Finding::Id { topic, id }) => {
                let before = self.ids.insert(topic.to_owned(), id.into());
                if before.is_some_and(|before| &*before != id) {
                    self.recreated.insert(topic.to_owned());
                }
            }
            Some(Finding::Reset { place, reset }) => {
                self.resets.entry(place).or_insert(reset);
            }
            None => {}
        }
    }

    /// The id of a topic; `None` when it is not known yet, or never will be: brokers before 2.8 have none.
    pub(super) fn id(&self, topic: &str) -> Option<Arc<str>> {
        self.ids.get(topic).cloned()
    }

    /// Topics that are others than before, since the last call.
    pub(super) fn take_recreated(&mut self) -> BTreeSet<String> {
        std::mem::take(&mut self.recreated)
    }

    /// Offsets that were not there, since the last call.
    pub(super) fn take_resets(&mut self) -> BTreeMap<Place, Reset> {
        std::mem::take(&mut self.resets)
    }
}

fn read(line: &str) -> Option<Finding<'_>> {
    let line = without_thread(line);
    if let Some((topic, rest)) = line.strip_prefix("Topic ").and_then(|rest| rest.split_once(" changed id from ")) {
        let (_, id) = rest.split_once(" to ")?;
        return Some(Finding::Id { topic, id: id.trim() });
    }
    let (place, rest) = line.split_once("]: offset reset (at offset ")?;
    let (topic, partition) = place.split_once(" [")?;
    let from = rest.split(' ').next()?.parse().ok()?;
    let place = Place { topic: topic.to_owned(), partition: partition.parse().ok()? };
    Some(Finding::Reset { place, reset: Reset { from, diverged: rest.contains("truncation") } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_lines_are_read_and_no_other() {
        let mut findings = Findings::default();
        let (old, new) = ("q83vASNFZ4mrze8BI0Vniw", "XKQ4ASNFZ4mrze8BI0Vniw");
        let id = |from: &str, to: &str| format!("[thrd:main]: Topic orders.eu changed id from {from} to {to}");
        findings.take(&id("AAAAAAAAAAAAAAAAAAAAAA", old));
        assert_eq!(findings.id("orders.eu").as_deref(), Some(old));
        assert!(findings.take_recreated().is_empty(), "it is the first that is heard of it");
        findings.take(&id(old, old));
        assert!(findings.take_recreated().is_empty());
        findings.take(&id(old, new));
        assert_eq!(findings.take_recreated().into_iter().collect::<Vec<_>>(), ["orders.eu"]);

        let reset = |from: &str, why: &str| {
            format!(
                "[thrd:main]: orders.eu [3]: offset reset (at offset {from} (leader epoch 0), broker 1) to offset BEGINNING \
                 (leader epoch -1): {why}"
            )
        };
        findings.take(&reset(
            "30",
            "fetch failed due to requested offset not available on the broker: Broker: Offset out of range",
        ));
        findings.take(&reset("INVALID", "no previously committed offset available: Local: No offset stored"));
        findings.take("[thrd:main]: Topic orders.eu [3] Leader 1 Epoch 0");
        let place = Place { topic: "orders.eu".to_owned(), partition: 3 };
        assert_eq!(findings.take_resets(), [(place.clone(), Reset { from: 30, diverged: false })].into());
        findings.take(&reset("30", "No epoch found …: Local: Partition log truncation detected"));
        assert_eq!(findings.take_resets(), [(place, Reset { from: 30, diverged: true })].into());
    }
}
