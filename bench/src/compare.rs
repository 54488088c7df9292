//! Both programs in turn, in each direction and case.

use std::collections::BTreeSet;

use anyhow::Result;

use crate::{
    bench::Bench,
    case::Case,
    cli::Options,
    contender::Contender,
    direction::Direction,
    drain::Rate,
    kafka::{Header, fresh_name},
    latency::{self, Latencies},
    part::Part,
    rate,
    route::Route,
};

/// Cores that others may use before the numbers are in doubt. The kernel's own work for the network is among them.
const CROWDED_CORES: f64 = 0.3;

/// One case: rounds in which first the floor ran, then gantry.
pub(crate) struct CaseResults {
    pub(crate) direction: Direction,
    pub(crate) case: Case,
    pub(crate) rates: Vec<[Rate; 2]>,
    pub(crate) latencies: Option<[Latencies; 2]>,
}

/// The order within a round.
pub(crate) const CONTENDERS: [Contender; 2] = [Contender::Floor, Contender::Gantry];

/// The cases that are wanted.
pub(crate) async fn measure(
    bench: &Bench,
    options: &Options,
    doubts: &mut BTreeSet<String>,
) -> Result<Vec<CaseResults>> {
    let mut results = Vec::new();
    for direction in options.directions() {
        let mut warm = None;
        for case in options.cases().filter(|case| case.goes(direction)) {
            let run = Run { bench, options, direction, case };
            // Each part asks something else of the brokers.
            if warm != Some(case.part) && run.measures_rates() {
                run.warm_up().await?;
                warm = Some(case.part);
            }
            results.push(run.measure(doubts).await?);
        }
    }
    Ok(results)
}

/// Notes it when others were busy meanwhile.
pub(crate) fn doubt_if_crowded<'a>(rates: impl IntoIterator<Item = &'a Rate>, doubts: &mut BTreeSet<String>) {
    if rates.into_iter().any(|rate| rate.cores_used_by_others > CROWDED_CORES) {
        doubts.insert("others used this machine meanwhile: see the column \"others\", in cores".to_owned());
    }
}

/// One case in one direction.
struct Run<'a> {
    bench: &'a Bench,
    options: &'a Options,
    direction: Direction,
    case: Case,
}

impl Run<'_> {
    /// Of small messages by one bridge rate and latency are parts of their own.
    fn measures_rates(&self) -> bool {
        self.options.wants(self.case.part)
    }

    fn measures_latency(&self) -> bool {
        self.case.part == Part::Rate && self.options.wants(Part::Latency)
    }

    /// A round that is not counted: Kafka's first requests are slow until its virtual machine has compiled what they need.
    async fn warm_up(&self) -> Result<()> {
        eprintln!("{}: {}, warming up", self.direction, self.case);
        for contender in CONTENDERS {
            self.rate(contender).await?;
        }
        Ok(())
    }

    async fn measure(&self, doubts: &mut BTreeSet<String>) -> Result<CaseResults> {
        let (direction, case) = (self.direction, self.case);
        let mut results = CaseResults { direction, case, rates: Vec::new(), latencies: None };
        for round in 1..=self.options.rounds() {
            eprintln!("{direction}: {case}, round {round} of {}", self.options.rounds());
            if self.measures_rates() {
                let pair = [self.rate(Contender::Floor).await?, self.rate(Contender::Gantry).await?];
                doubts.extend(compare(case, &pair[0].headers, &pair[1].headers));
                doubt_if_crowded(&pair, doubts);
                results.rates.push(pair);
            }
            if self.measures_latency() {
                let latencies = results.latencies.get_or_insert_default();
                for (contender, latencies) in CONTENDERS.into_iter().zip(latencies) {
                    self.latency(contender, latencies).await?;
                }
            }
        }
        Ok(results)
    }

    async fn rate(&self, contender: Contender) -> Result<Rate> {
        let route = self.route(contender);
        let each = self.case.messages_each(self.options.messages());
        self.bench.on(&route, async || rate::measure(self.bench, contender, &route, each).await).await
    }

    async fn latency(&self, contender: Contender, into: &mut Latencies) -> Result<()> {
        let route = self.route(contender);
        let (pace, messages) = (self.options.pace, self.options.paced_messages());
        self.bench
            .on(&route, async || latency::measure(self.bench, contender, &route, pace, messages, into).await)
            .await
    }

    fn route(&self, contender: Contender) -> Route {
        Route::new(self.direction, self.case, &fresh_name(contender))
    }
}

/// Both must have done the same work: written the same headers.
fn compare(case: Case, floor: &[Header], gantry: &[Header]) -> Option<String> {
    let only = |one: &[Header], other: &[Header]| -> Vec<String> {
        let missing = one.iter().filter(|header| !other.contains(header));
        missing
            .map(|(name, value)| format!("{name}={}", String::from_utf8_lossy(value.as_deref().unwrap_or(b"null"))))
            .collect()
    };
    let (floor_only, gantry_only) = (only(floor, gantry), only(gantry, floor));
    (floor != gantry).then(|| {
        format!(
            "{case}: the programs wrote different headers; only the floor: {}; only gantry: {}",
            floor_only.join(", "),
            gantry_only.join(", ")
        )
    })
}
