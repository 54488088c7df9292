//! How fast one busy bridge is beside others of the same process, against the same bridge alone.
//!
//! All bridges are there and connected, and the busy ones are paused, while their queues are filled. Then they go on, so what is measured
//! is the company and not its start. Messages of a run are shared out evenly among the busy ones.

use std::collections::BTreeSet;

use anyhow::Result;
use serde::Serialize;

use crate::{
    bench::Bench,
    case::Case,
    compare::doubt_if_crowded,
    configuration,
    control::Control,
    direction::Direction,
    drain::{self, Rate},
    kafka::fresh_name,
    rate,
    route::Route,
};

/// The company that a bridge has.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Company {
    pub(crate) name: &'static str,
    /// Bridges with something to do, the first among them.
    busy: u64,
    idle: u64,
}

pub(crate) const COMPANIES: [Company; 3] = [
    Company { name: "alone", busy: 1, idle: 0 },
    Company { name: "beside 99 idle ones", busy: 1, idle: 99 },
    Company { name: "beside 9 busy ones", busy: 10, idle: 0 },
];

/// What was measured in one company.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Neighbours {
    pub(crate) company: Company,
    pub(crate) runs: Vec<Rate>,
}

/// Measures all companies in turn, so that a machine that becomes slower slows them all.
pub(crate) async fn measure(
    bench: &Bench,
    messages: u64,
    rounds: u32,
    doubts: &mut BTreeSet<String>,
) -> Result<Vec<Neighbours>> {
    let mut all = COMPANIES.map(|company| Neighbours { company, runs: Vec::new() });
    // The first one is not counted: it warms the brokers up.
    for round in 0..=rounds {
        for Neighbours { company, runs } in &mut all {
            eprintln!("one bridge {}, round {round} of {rounds}", company.name);
            let rate = company.measure(bench, messages).await?;
            eprintln!("  {:.0} messages/s", rate.first_bridge_messages_per_second);
            if round > 0 {
                doubt_if_crowded([&rate], doubts);
                runs.push(rate);
            }
        }
    }
    Ok(all.into())
}

impl Company {
    async fn measure(&self, bench: &Bench, messages: u64) -> Result<Rate> {
        let case = Case { bridges: self.busy + self.idle, ..Case::BASE };
        let route = Route::new(Direction::ToKafka, case, &fresh_name("neighbours"));
        let each = (messages / self.busy).max(1);
        bench.on(&route, async || self.run(bench, &route, each).await).await
    }

    async fn run(&self, bench: &Bench, route: &Route, each: u64) -> Result<Rate> {
        let control = Control::new()?;
        let configuration = bench.starter.configuration(route, control.port())?;
        let mut gantry = bench.starter.start_gantry(&configuration, route.case.encrypted)?;
        control.ready(&mut gantry).await?;
        let busy = route.first(usize::try_from(self.busy)?);
        let names: Vec<_> = (0..busy.bridges.len()).map(configuration::name).collect();
        for name in &names {
            control.pause(name).await?;
        }
        rate::fill(bench, &busy, each).await?;
        bench.quiet().await;
        for name in &names {
            control.resume(name)?;
        }
        let rate = drain::measure(bench, &busy, busy.of_a_bridge(each), &mut gantry).await?;
        rate::finish(bench, &busy, each, gantry).await?;
        Ok(rate)
    }
}
