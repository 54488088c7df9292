//! The queues and topics of a run: from where to where each bridge leads, and which messages lie where.

use std::{iter::StepBy, ops::RangeInclusive};

use anyhow::{Result, bail};

use crate::{case::Case, direction::Direction};

/// What the bridges of one process do.
#[derive(Debug, Clone)]
pub(crate) struct Route {
    pub(crate) direction: Direction,
    pub(crate) case: Case,
    pub(crate) bridges: Vec<Ends>,
}

/// Where one bridge begins and where it ends: queues and a topic, or a topic and a queue.
#[derive(Debug, Clone)]
pub(crate) struct Ends {
    pub(crate) sources: Vec<String>,
    pub(crate) target: String,
}

/// The numbers of the messages of one source.
pub(crate) type Sequences = StepBy<RangeInclusive<u64>>;

impl Route {
    /// As many as the case says, by names that begin with this one.
    pub(crate) fn new(direction: Direction, case: Case, name: &str) -> Self {
        let ends = |bridge: u64| Ends {
            sources: (0..case.sources).map(|source| format!("{name}-{bridge}-from-{source}")).collect(),
            target: format!("{name}-{bridge}-to"),
        };
        Self { direction, case, bridges: (0..case.bridges).map(ends).collect() }
    }

    /// The same with the first so many bridges.
    pub(crate) fn first(&self, bridges: usize) -> Self {
        Self { bridges: self.bridges.iter().take(bridges).cloned().collect(), ..self.clone() }
    }

    pub(crate) fn queues(&self) -> impl Iterator<Item = &str> {
        self.names(self.direction == Direction::ToKafka)
    }

    pub(crate) fn topics(&self) -> impl Iterator<Item = &str> {
        self.names(self.direction == Direction::ToRabbitmq)
    }

    /// Those read, or those written.
    fn names(&self, read: bool) -> impl Iterator<Item = &str> {
        self.bridges
            .iter()
            .flat_map(move |ends| if read { &ends.sources[..] } else { std::slice::from_ref(&ends.target) })
            .map(String::as_str)
    }

    /// Every source with the numbers of its messages, when each has so many.
    pub(crate) fn fillings(&self, each: u64) -> impl Iterator<Item = (&str, Sequences)> {
        self.bridges.iter().flat_map(move |ends| {
            let all = each * ends.sources.len() as u64;
            ends.sources.iter().zip(1..).map(move |(source, first)| {
                let numbers: Sequences = (first..=all).step_by(ends.sources.len());
                (source.as_str(), numbers)
            })
        })
    }

    /// The source and the target of the only bridge; an error if there are more.
    pub(crate) fn only(&self) -> Result<(&str, &str)> {
        match &self.bridges[..] {
            [Ends { sources, target }] if sources.len() == 1 => Ok((&sources[0], target)),
            _ => bail!("{} has more than one source", self.case),
        }
    }

    /// How many messages each bridge moves, when each source has so many.
    pub(crate) fn of_a_bridge(&self, each: u64) -> u64 {
        each * self.case.sources
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_messages_of_a_bridge_are_numbered_in_turn_over_its_sources() {
        let case = Case { sources: 2, bridges: 2, ..Case::BASE };
        let route = Route::new(Direction::ToKafka, case, "r");
        let fillings: Vec<_> = route.fillings(3).map(|(name, numbers)| (name, numbers.collect::<Vec<_>>())).collect();
        let [odd, even] = [vec![1, 3, 5], vec![2, 4, 6]];
        let expected = ["r-0-from-0", "r-0-from-1", "r-1-from-0", "r-1-from-1"].into_iter();
        assert_eq!(fillings, expected.zip([odd.clone(), even.clone(), odd, even]).collect::<Vec<_>>());
        assert_eq!(route.of_a_bridge(3), 6);
        assert_eq!(route.topics().collect::<Vec<_>>(), ["r-0-to", "r-1-to"]);
        assert_eq!(route.first(1).queues().collect::<Vec<_>>(), ["r-0-from-0", "r-0-from-1"]);
    }
}
