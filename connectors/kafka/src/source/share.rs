//! Which partitions are a task's own when it is in no group: for exactly once.
//!
//! # What it promises
//! - Each partition is exactly one task's, by its topic and number alone. So none moves when others come or go, and two
//!   tasks never read the same one, however late one of them hears of a change.
//! - The partitions of one topic are shared out evenly, and topics that are named begin with one task after the other.
//! - A partition that comes later ends the source whose own it is, soon, with an error after which it is opened again.

use std::time::{Duration, Instant};

use gantry_sdk::{Error, Result};

use super::{events::Consumer, partitions::find_partitions, place::Place, plan::Plan};

/// A task's own partitions while it runs.
pub(super) struct Share {
    places: Vec<Place>,
    interval: Duration,
    looked: Instant,
}

impl Share {
    pub(super) fn new(plan: &Plan, places: Vec<Place>) -> Self {
        Self { places, interval: plan.look_interval(), looked: Instant::now() }
    }

    /// Looks whether there are more by now, if it is time to. The error says which.
    pub(super) fn look(&mut self, plan: &Plan, consumer: &Consumer) -> Result<()> {
        if self.looked.elapsed() < self.interval {
            return Ok(());
        }
        self.looked = Instant::now();
        // Nobody answers, or a topic is gone: others notice that as well, and say it better.
        let Ok(there) = find_partitions(plan, consumer) else { return Ok(()) };
        match own(plan, there).into_iter().find(|place| !self.places.contains(place)) {
            None => Ok(()),
            Some(place) => Err(Error::disconnected(format!("{place} is new: starting again to read it as well"))),
        }
    }
}

/// Those of the partitions that are this task's.
pub(super) fn own(plan: &Plan, mut there: Vec<Place>) -> Vec<Place> {
    let tasks = u64::from(plan.context.tasks.max(1));
    there.retain(|place| task_of(plan, place, tasks) == u64::from(plan.context.task));
    there.sort();
    there
}

fn task_of(plan: &Plan, place: &Place, tasks: u64) -> u64 {
    let mut named: Vec<&str> = plan.options.named().collect();
    named.sort_unstable();
    let first = match named.binary_search(&place.topic.as_str()) {
        Ok(index) => index as u64,
        // An expression's topics come and go: their place among the others would not stay.
        Err(_) => hash(&place.topic),
    };
    (first % tasks + u64::from(place.partition.unsigned_abs())) % tasks
}

/// FNV-1a: the same in every version and on every machine.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use gantry_sdk::{Context, testkit};
    use serde_json::{Value as Json, json};

    use super::*;

    fn plan(options: Json, task: u32, tasks: u32) -> Plan {
        let mut all = json!({ "connection": { "bootstrap_servers": "localhost:9092" } });
        all.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
        let context = Context { task, tasks, exactly_once: true, ..testkit::context() };
        Plan::new(serde_json::from_value(all).unwrap(), context).unwrap()
    }

    fn places(topics: &[(&str, i32)]) -> Vec<Place> {
        let places = |(topic, count): &(&str, i32)| {
            let topic = (*topic).to_owned();
            (0..*count).map(move |partition| Place { topic: topic.clone(), partition }).collect::<Vec<_>>()
        };
        topics.iter().flat_map(places).collect()
    }

    fn shares(options: &Json, tasks: u32, there: &[Place]) -> Vec<Vec<Place>> {
        (0..tasks).map(|task| own(&plan(options.clone(), task, tasks), there.to_vec())).collect()
    }

    #[test]
    fn each_partition_is_one_tasks_and_they_are_shared_evenly() {
        let there = places(&[("a", 1), ("b", 1), ("c", 7)]);
        let shares = shares(&json!({ "topics": ["c", "a", "b"] }), 3, &there);
        assert_eq!(shares.iter().map(Vec::len).collect::<Vec<_>>(), [3, 3, 3]);
        let mut all = shares.concat();
        all.sort();
        assert_eq!(all, there);
    }

    #[test]
    fn none_moves_when_others_come_and_go() {
        for options in [json!({ "topics": ["a", "b", "c"] }), json!({ "topics_regex": "^." })] {
            let before = shares(&options, 4, &places(&[("a", 2), ("b", 3), ("c", 5)]));
            let after = shares(&options, 4, &places(&[("a", 3), ("c", 9)]));
            for (before, after) in before.iter().zip(&after) {
                let stayed = before.iter().filter(|place| place.topic != "b");
                assert!(stayed.into_iter().all(|place| after.contains(place)), "{before:?} {after:?}");
            }
        }
    }
}
