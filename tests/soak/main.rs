//! The soak: hours of traffic through one Gantry while faults of all kinds happen at random. `scripts/soak` runs it.
//!
//! Messages are published all the time to five queues. Every few seconds something happens ([`fault`]); then everything
//! has to flow again within a deadline. At the end all queues drain, and every message must be accounted for, in order.
//! The seed decides what happens and for how long; the machine decides at which message.

#[path = "../support/mod.rs"]
mod support;

mod arrivals;
mod bridges;
mod fault;
mod publisher;
mod report;
mod usage;
mod world;

use std::{
    panic::AssertUnwindSafe,
    path::Path,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use futures_util::FutureExt as _;
use tokio::{task::JoinHandle, time::sleep};

use arrivals::Arrivals;
use bridges::{Bridge, Fate};
use fault::Fault;
use publisher::{Progress, publish};
use report::{Judged, Recoveries};
use support::{rabbit::Rabbit, random::Random};
use usage::Usage;
use world::World;

/// Messages a second and bridge. Little enough for a machine that does other things too; bursts fill the pipes.
const RATE: u64 = 100;

/// Once healed, everything flows again within this time, on a busy machine, or something is wrong.
const RECOVERY: Duration = Duration::from_secs(300);

/// The longest that the rest may take at the end.
const DRAIN: Duration = Duration::from_secs(600);

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(hours) = arguments.next().and_then(|text| text.parse::<f64>().ok()).filter(|hours| *hours > 0.0) else {
        eprintln!("usage: cargo test --test soak -- HOURS [SEED]; scripts/soak brings brokers of its own");
        return ExitCode::from(2);
    };
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |time| time.as_secs());
    let seed = arguments.next().and_then(|text| text.parse().ok()).unwrap_or_else(now);
    println!("soak: {hours} hours, seed {seed}");

    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let usage = Arc::new(Usage::default());
    let outcome = runtime.block_on(async {
        let run = Run::begin(seed, Arc::clone(&usage)).await;
        run.whole(Duration::from_secs_f64(hours * 3600.0)).await
    });
    report::print(&outcome.judged, &outcome.recoveries, &usage);
    let failures = outcome.failures();
    for failure in &failures {
        println!("FAILED: {failure}");
    }
    println!("seed {seed}: {}", if failures.is_empty() { "PASSED" } else { "FAILED" });
    if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

struct Run {
    world: World,
    random: Random,
    arrivals: Arrivals,
    publishers: Vec<(Arc<Progress>, JoinHandle<()>)>,
    recoveries: Recoveries,
    begun: Instant,
    /// The binary that is started again and again; somebody may build another one meanwhile.
    _binary: tempfile::TempDir,
}

struct Outcome {
    judged: Vec<Judged>,
    recoveries: Recoveries,
    failure: Option<String>,
}

impl Outcome {
    fn failures(&self) -> Vec<String> {
        self.failure.iter().cloned().chain(self.judged.iter().filter_map(Judged::failure)).collect()
    }
}

impl Run {
    async fn begin(seed: u64, usage: Arc<Usage>) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let binary = directory.path().join("gantry");
        std::fs::copy(env!("CARGO_BIN_EXE_gantry"), &binary).expect("copying gantry");
        let bridges = Bridge::all();
        let rabbit = Rabbit::connect_when_up().await;
        for bridge in &bridges {
            bridge.create(&rabbit).await;
        }
        let arrivals = Arrivals::read(&bridges);
        let world = World::begin(&binary, bridges.clone(), Arc::clone(&usage), seed).await;
        tokio::spawn(usage.follow());
        let publishers = bridges.into_iter().map(|bridge| {
            let progress = Arc::new(Progress::default());
            (Arc::clone(&progress), tokio::spawn(publish(bridge, progress, RATE)))
        });
        let publishers = publishers.collect();
        let (random, recoveries, begun) = (Random::new(seed), Recoveries::new(), Instant::now());
        Self { world, random, arrivals, publishers, recoveries, begun, _binary: directory }
    }

    async fn whole(mut self, time: Duration) -> Outcome {
        let mut failure = guarded(self.faults(time)).await.err();
        for (progress, _) in &self.publishers {
            progress.finish();
        }
        let mut set_aside = vec![0; self.publishers.len()];
        if failure.is_none() {
            failure = guarded(self.drain(&mut set_aside)).await.err();
        }
        let bridges = self.world.gantry.get("/v1/bridges").map(|(_, body)| body);
        let judged = (0..self.publishers.len()).map(|index| self.judge(index, set_aside[index])).collect();
        let outcome = Outcome { judged, recoveries: std::mem::take(&mut self.recoveries), failure };
        if !outcome.failures().is_empty() {
            println!("/v1/bridges: {}", bridges.as_deref().unwrap_or("no answer"));
            self.keep_log();
        }
        outcome
    }

    /// Keeps gantry's log of all its starts.
    fn keep_log(&self) {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("soak-gantry.log");
        match std::fs::write(&path, self.world.gantry.log()) {
            Ok(()) => println!("gantry's log: {}", path.display()),
            Err(error) => println!("gantry's log cannot be kept at {}: {error}", path.display()),
        }
    }

    async fn faults(&mut self, time: Duration) -> Result<(), String> {
        let all = Fault::all();
        self.flows().await?;
        while self.begun.elapsed() < time {
            for (progress, _) in &self.publishers {
                progress.burst(self.random.between(0, 4_000));
            }
            sleep(Duration::from_millis(self.random.between(0, 3_000))).await;
            // One in five comes before the last one is over.
            let count = if self.random.chance(2_000) { 2 } else { 1 };
            let faults: Vec<Fault> = (0..count).map(|_| *self.random.one_of(&all)).collect();
            for fault in &faults {
                println!("{} {fault}", self.clock());
                fault.happen(&mut self.world, &mut self.random).await.map_err(|error| format!("{fault}: {error}"))?;
            }
            let healed = Instant::now();
            self.flows().await.map_err(|error| format!("after {faults:?}: {error}"))?;
            for fault in faults {
                let (times, longest) = self.recoveries.entry(fault).or_default();
                *times += 1;
                *longest = healed.elapsed().max(*longest);
            }
        }
        Ok(())
    }

    /// Waits until something that is published from now on has arrived through each bridge.
    async fn flows(&mut self) -> Result<(), String> {
        let marks: Vec<_> = self.publishers.iter().map(|(progress, _)| progress.confirmed() + 1).collect();
        let flowing = async || -> Result<bool, String> {
            if let Some(status) = self.world.gantry.ended() {
                return Err(format!("gantry has ended by itself: {status}"));
            }
            let reached = |(index, mark): (usize, &u64)| self.arrivals.of(index).tally.highest() >= Some(*mark);
            Ok(marks.iter().enumerate().all(reached))
        };
        wait_for("every bridge flows", RECOVERY, flowing).await?;
        for bridge in &self.world.bridges {
            self.world.gantry.check_conservation(bridge.name);
        }
        Ok(())
    }

    /// Waits until everything that was published is accounted for, and ends the service.
    async fn drain(&mut self, set_aside: &mut [u64]) -> Result<(), String> {
        println!("{} draining", self.clock());
        let all_confirmed = async || Ok(self.publishers.iter().all(|(_, publishing)| publishing.is_finished()));
        wait_for("all publishers have their confirms", DRAIN, all_confirmed).await?;
        let rabbit = Rabbit::connect_when_up().await;
        let drained = async || {
            let mut missing = 0;
            for (index, bridge) in self.world.bridges.iter().enumerate() {
                let confirmed = self.publishers[index].0.confirmed();
                let aside = match &bridge.set_aside {
                    Some(queue) => rabbit.take_all(queue).await,
                    None => Vec::new(),
                };
                let tally = &mut self.arrivals.of(index).tally;
                let new = aside.iter().filter_map(|id| id.parse().ok()).filter(|sequence| tally.mark(*sequence));
                set_aside[index] += new.count() as u64;
                missing += tally.missing(confirmed).filter(|gone| bridge.fate(*gone) != Fate::Filtered).count();
            }
            Ok(missing == 0)
        };
        wait_for("everything has arrived", DRAIN, drained).await?;
        for bridge in &self.world.bridges {
            rabbit.wait_until_empty(&bridge.queue).await;
            self.world.gantry.check_conservation(bridge.name);
        }
        let status = self.world.gantry.terminate().await;
        if status.success() { Ok(()) } else { Err(format!("at the end gantry ended with {status}")) }
    }

    fn judge(&self, index: usize, set_aside: u64) -> Judged {
        let (bridge, progress) = (&self.world.bridges[index], &self.publishers[index].0);
        let arrived = self.arrivals.of(index);
        for description in &arrived.descriptions {
            println!("{description}");
        }
        let published = progress.confirmed();
        let filtered = |sequence: &u64| bridge.fate(*sequence) == Fate::Filtered;
        Judged {
            bridge: bridge.name,
            published,
            arrived: arrived.tally.arrived,
            filtered: (0..published).filter(filtered).count() as u64,
            set_aside,
            lost: arrived.tally.missing(published).filter(|sequence| !filtered(sequence)).collect(),
            duplicates: arrived.tally.duplicates,
            published_again: progress.again(),
            reordered: arrived.tally.reordered,
            is_ordered: bridge.is_ordered(),
            wrong: arrived.wrong,
        }
    }

    /// Now, and since the beginning: hours, minutes, seconds.
    fn clock(&self) -> String {
        let seconds = self.begun.elapsed().as_secs();
        let now = jiff::Timestamp::now().strftime("%H:%M:%SZ");
        format!("{now} [{}:{:02}:{:02}]", seconds / 3600, seconds / 60 % 60, seconds % 60)
    }
}

/// The harness panics when a broker does not start or the law of conservation is broken. Here that is a failure like others.
async fn guarded(work: impl Future<Output = Result<(), String>>) -> Result<(), String> {
    let caught = AssertUnwindSafe(work).catch_unwind().await;
    caught.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
        Err(text.unwrap_or("a panic, see above").to_owned())
    })
}

/// Like `eventually`, for a run that has to say what happened so far when it fails.
async fn wait_for(
    what: &str,
    deadline: Duration,
    mut holds: impl AsyncFnMut() -> Result<bool, String>,
) -> Result<(), String> {
    let begun = Instant::now();
    while !holds().await? {
        if begun.elapsed() > deadline {
            return Err(format!("waited {deadline:?} for this: {what}"));
        }
        sleep(Duration::from_millis(200)).await;
    }
    Ok(())
}
