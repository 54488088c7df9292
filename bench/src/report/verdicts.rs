//! What the aims come to.

use super::statistics::{cpu, median, median_ratio, rate};
use crate::{drain::Rate, own_cost::OwnRun, run::Results};

/// gantry's rate, as a part of the floor's, is to be at least this.
const RATE_AIM: f64 = 0.95;
/// gantry's CPU a message, against the floor's, is to be at most this.
const CPU_AIM: f64 = 1.15;
/// The CPU of gantry's own path a record is to be at most so many nanoseconds.
const OWN_AIM: f64 = 300.0;

/// One line for each aim, for those that were measured.
pub(super) fn verdicts(results: &Results) -> Vec<String> {
    let pairs = |of: fn(&Rate) -> f64| results.cases.iter().filter_map(move |case| median_ratio(case, of));
    let verdict = |what: &str, worst: f64, aim: String, met: bool| {
        format!("{what}: {worst:.2}, aim {aim}: {}", if met { "met" } else { "not met" })
    };
    let slowest = pairs(rate).reduce(f64::min);
    let dearest = pairs(cpu).reduce(f64::max);
    let own = results.own_cost.iter().filter_map(|cost| median(cost.runs.iter().map(OwnRun::path_ns_per_record)));
    [
        slowest.map(|worst| {
            verdict("lowest rate against the floor", worst, format!("at least {RATE_AIM}"), worst >= RATE_AIM)
        }),
        dearest.map(|worst| {
            verdict("highest CPU against the floor", worst, format!("at most {CPU_AIM}"), worst <= CPU_AIM)
        }),
        own.reduce(f64::max).map(|worst| {
            verdict(
                "dearest own path in µs a record",
                worst / 1000.0,
                format!("at most {}", OWN_AIM / 1000.0),
                worst <= OWN_AIM,
            )
        }),
    ]
    .into_iter()
    .flatten()
    .collect()
}
