//! Bridges that feed each other: what comes out of the last goes into the first again, for ever.
//!
//! A bridge that counts hops ends it, but not for its dead letters: those keep the count that they came with.

use std::collections::{BTreeSet, VecDeque};

use gantry_sdk::Endpoint;

use super::{Flow, FlowEnd, topology::Topology};

/// The shortest way round from a bridge back to itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Circle<'f> {
    /// The bridges in order, with what the next one reads of each; the last feeds the first.
    pub steps: Vec<Step<'f>>,
}

/// From one bridge to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step<'f> {
    /// The bridge that writes.
    pub flow: &'f Flow,
    /// What it writes and the next one reads.
    pub through: &'f Endpoint,
    /// It writes only its dead letters there.
    pub dead_letters: bool,
}

/// One circle for each set of bridges that feed each other; each bridge is in one of them at most.
pub(crate) fn circles(flows: &[Flow]) -> Vec<Circle<'_>> {
    let topology = Topology::new(flows);
    let edges: Vec<Vec<(usize, Step<'_>)>> = flows.iter().map(|flow| edges(&topology, flows, flow)).collect();
    let mut found = Vec::new();
    let mut told = BTreeSet::new();
    for start in 0..flows.len() {
        if told.contains(&start) {
            continue;
        }
        if let Some(way) = way_round(&edges, start) {
            told.extend(way.iter().map(|(bridge, _)| *bridge));
            found.push(Circle { steps: way.into_iter().map(|(_, step)| step).collect() });
        }
    }
    found
}

/// The bridges that read what this one writes; by a sink rather than by the dead letter when both lead there.
fn edges<'f>(topology: &Topology<'f>, flows: &'f [Flow], flow: &'f Flow) -> Vec<(usize, Step<'f>)> {
    let sinks = if flow.counts_hops { &[] } else { flow.sinks.as_slice() };
    let step = |end: &'f FlowEnd, reader: &'f Flow, dead_letters| {
        let through = topology.reaches(end, &reader.source)?;
        Some(Step { flow, through, dead_letters })
    };
    let to = |reader| {
        let by_sink = sinks.iter().find_map(|sink| step(&sink.end, reader, false));
        by_sink.or_else(|| step(flow.dead_letters()?, reader, true))
    };
    flows.iter().enumerate().filter_map(|(index, reader)| Some((index, to(reader)?))).collect()
}

/// The shortest way from a bridge back to it, each bridge with the step that leaves it.
fn way_round<'f>(edges: &[Vec<(usize, Step<'f>)>], start: usize) -> Option<Vec<(usize, Step<'f>)>> {
    let mut came: Vec<Option<(usize, Step<'f>)>> = vec![None; edges.len()];
    let mut next = VecDeque::from([start]);
    while let Some(bridge) = next.pop_front() {
        for (to, step) in &edges[bridge] {
            if *to != start && came[*to].is_none() {
                came[*to] = Some((bridge, *step));
                next.push_back(*to);
            }
            if *to == start {
                let mut way = vec![(bridge, *step)];
                let mut at = bridge;
                while let Some((before, step)) = came[at].filter(|_| at != start) {
                    way.push((before, step));
                    at = before;
                }
                way.reverse();
                return Some(way);
            }
        }
    }
    None
}
