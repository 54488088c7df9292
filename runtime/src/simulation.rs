//! The runtime against a world that does its worst: random outcomes, reconnects, outages, calls that never return, pauses
//! and restarts by seed, in virtual time. The world itself asserts I1–I6, because it knows what a broker knows.
//!
//! `GANTRY_SIMULATIONS=10000 cargo test -p gantry-runtime simulation` runs more seeds; a failure names its seed, and
//! `GANTRY_SIMULATION_SEED=N` runs that one alone. [`behaviour`] does one thing at a time to a world that is calm.

mod behaviour;
mod exactly_once;
mod made;
mod misfortune;
mod plugins;
mod remembered;
mod sink;
mod source;
mod stalls;
mod world;

use std::{collections::BTreeSet, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use gantry_sdk::plugin::RetryPolicy;
use tokio::time::{Instant, sleep};

use self::{
    misfortune::{Call, Misfortune},
    plugins::{CONDITION, SINK, SOURCE, TRANSFORM},
    world::{Nature, Random, World, assert_nothing_wrong},
};
use crate::{
    Branch, Bridge, BridgeLimits, Bridges, Budget, DeadLetterTarget, Definition, Delivery, Difference, ErrorPolicy,
    Part, Target, TaskState, TaskStatus, Tolerance, supervisor::Restart,
};

/// Messages a simulated run moves.
const MESSAGES: u64 = 300;
/// How long a stop may take to drain.
const DRAIN: Duration = Duration::from_secs(2);

fn definition(world: u64, limits: BridgeLimits) -> Definition {
    let options = serde_json::json!({ "world": world });
    let dead_letter = serde_json::json!({ "world": world, "dead_letter": true });
    Definition {
        name: "simulated".into(),
        tasks: 1,
        source: Part { plugin: &SOURCE, options: options.clone(), resolver: Arc::new(()) },
        transforms: vec![Part { plugin: &TRANSFORM, options: options.clone(), resolver: Arc::new(()) }],
        sinks: vec![Branch { when: None, sink: Part { plugin: &SINK, options, resolver: Arc::new(()) } }],
        errors: ErrorPolicy {
            tolerance: Tolerance::All,
            dead_letter: Some(DeadLetterTarget::Sink(Part {
                plugin: &SINK,
                options: dead_letter,
                resolver: Arc::new(()),
            })),
            retry: RetryPolicy::default(),
            backoff: (Duration::from_millis(10), Duration::from_secs(1)),
            give_back_after: None,
        },
        stall_timeout: None,
        delivery: Delivery::AtLeastOnce,
        limits,
        file: "simulation".into(),
        raw: serde_json::Value::Null,
    }
}

/// A further sink, which gets some of the messages.
fn branch(world: u64, sink: u16) -> Branch {
    let options = serde_json::json!({ "world": world, "sink": sink });
    let condition = serde_json::json!({ "sink": sink });
    Branch {
        when: Some(Part { plugin: &CONDITION, options: condition, resolver: Arc::new(()) }),
        sink: Part { plugin: &SINK, options, resolver: Arc::new(()) },
    }
}

fn start(definition: Definition) -> Bridges {
    Bridges::start(vec![Arc::new(definition)], DRAIN, Budget::new(usize::MAX), Arc::new(()))
}

fn conserved(bridges: &Bridges) {
    for task in the_bridge(bridges).task_statuses() {
        let counts = task.counts;
        let settled = counts.records_out + counts.filtered + counts.dead_lettered;
        assert_eq!(counts.records_in - counts.returned, settled + counts.in_flight, "conservation: {counts:?}");
        assert_eq!(task.dead_letters.total(), counts.dead_lettered, "by stage: {}", task.dead_letters);
    }
}

fn the_bridge(bridges: &Bridges) -> Arc<Bridge> {
    bridges.get("simulated").expect("it is there")
}

/// The person who is woken when a strict bridge halts makes it tolerant, and strict again another day.
async fn change_tolerance(bridges: &Bridges, tolerance: Tolerance) {
    let mut definition = Definition::clone(the_bridge(bridges).definition());
    definition.errors.tolerance = tolerance;
    bridges.apply(Difference { changed: vec![Arc::new(definition)], ..Difference::default() }).await;
}

/// Whether a record was refused that it does not tolerate: it does not try again by itself.
fn has_halted(bridges: &Bridges) -> bool {
    let refused = |task: &TaskStatus| task.error.as_deref().is_some_and(|error| error.contains("never be delivered"));
    the_bridge(bridges).task_statuses().iter().any(|task| task.state == TaskState::Failed && refused(task))
}

/// What a reload does for a bridge that means the same.
fn try_now(bridges: &Bridges) -> bool {
    !bridges.try_now([&the_bridge(bridges).definition().name].into_iter()).is_empty()
}

/// A bridge and its world, by seed.
fn setting(seed: u64, random: &mut Random) -> (Definition, Arc<World>) {
    let limits = BridgeLimits {
        in_flight_records: 1 + random.below(100),
        in_flight_bytes: 1 + random.below(2000),
        batch_records: 1 + random.below(20),
        batch_bytes: 1 + random.below(500),
    };
    let mut definition = definition(seed, limits);
    let detects_stalls = random.one_in(2);
    definition.stall_timeout = detects_stalls.then(|| Duration::from_secs(5 + random.below(60) as u64));
    definition.errors.give_back_after = random.one_in(2).then(|| Duration::from_secs(1 + random.below(10) as u64));
    let exactly_once = random.one_in(3);
    if random.one_in(3) && !exactly_once {
        definition.errors.dead_letter = Some(DeadLetterTarget::Reject);
    }
    if random.one_in(4) {
        definition.errors.tolerance = Tolerance::None;
    }
    if exactly_once {
        definition.delivery = Delivery::ExactlyOnce;
    }
    let sinks = if exactly_once { 1 } else { 1 + [0, 0, 1, 2][random.below(4)] };
    definition.sinks.extend((1..sinks).map(|sink| branch(seed, sink)));
    let world = World::register(
        seed,
        Nature {
            messages: MESSAGES,
            in_flight: limits.in_flight_records,
            prefetch: 1 + random.below(60),
            sinks,
            splits: random.one_in(3),
            exactly_once,
            asks: random.one_in(3),
            misfortune: Misfortune::all(detects_stalls),
        },
    );
    (definition, world)
}

/// What the world did and what became of it, over all seeds: without it they would prove nothing.
#[derive(Debug, Default)]
struct Seen {
    hung: BTreeSet<Call>,
    returned: u64,
    rested: u64,
    reconnects: u64,
    stalls: u64,
    halted: u64,
    hurried: u64,
    /// Transactions: committed, and not.
    committed: u64,
    aborted: u64,
    answered: u64,
    holds: u64,
}

/// Lives through one seed.
async fn live(seed: u64, seen: &mut Seen) {
    let mut random = Random::new(seed);
    let (definition, world) = setting(seed, &mut random);
    // A hand that is never still hides what only time mends.
    let actions = [40, 4000][random.below(2)];
    let is_strict = definition.errors.tolerance == Tolerance::None;
    let bridges = start(definition);
    let deadline = Instant::now() + Duration::from_secs(7 * 24 * 3600);
    while !world.is_done() {
        assert!(Instant::now() < deadline, "stalled: {}", world.describe());
        sleep(Duration::from_millis(1 + random.below(200) as u64)).await;
        conserved(&bridges);
        assert_nothing_wrong();
        if has_halted(&bridges) {
            seen.halted += 1;
            change_tolerance(&bridges, Tolerance::All).await;
        } else if is_strict && random.one_in(10) {
            change_tolerance(&bridges, Tolerance::None).await;
        }
        let bridge = the_bridge(&bridges);
        match random.below(actions) {
            0 => bridge.set_target(Target::Paused),
            1 => bridge.set_target(Target::Stopped),
            2 => drop(bridge.restart(Restart::All)),
            3..=12 => bridge.set_target(Target::Running),
            13..=15 => seen.hurried += u64::from(try_now(&bridges)),
            _ => {}
        }
    }
    let bridge = the_bridge(&bridges);
    bridges.shutdown().await;
    conserved(&bridges);
    world.judge();
    seen.hung.append(&mut world.state().hung);
    seen.rested += world.state().rested;
    seen.committed += world.state().transactions.0;
    seen.aborted += world.state().transactions.1;
    seen.answered += world.state().answered;
    seen.holds += world.state().holds;
    for counts in bridge.task_statuses().iter().map(|task| task.counts) {
        seen.returned += counts.returned;
        seen.reconnects += counts.reconnects;
        seen.stalls += counts.stalls;
    }
}

/// In virtual time.
fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(test);
}

#[test]
fn i1_to_i6_hold_whatever_the_world_does() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match number("GANTRY_SIMULATION_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("GANTRY_SIMULATIONS").unwrap_or(400),
    };
    let (mut seen, enough) = (Seen::default(), seeds.end - seeds.start >= 400);
    for seed in seeds {
        let lived = std::panic::catch_unwind(AssertUnwindSafe(|| run(live(seed, &mut seen))));
        assert!(lived.is_ok(), "seed {seed} failed: GANTRY_SIMULATION_SEED={seed} runs it alone");
    }
    let all_hung = Call::ALL.iter().all(|call| seen.hung.contains(call));
    let counts = [seen.returned, seen.rested, seen.reconnects, seen.stalls, seen.halted, seen.hurried];
    let more = [seen.committed, seen.aborted, seen.answered, seen.holds];
    assert!(!enough || (all_hung && counts.iter().chain(&more).all(|count| *count > 0)), "{seen:?}");
}
