//! The runtime against a world that does its worst: random outcomes, reconnects, pauses and restarts by seed, in virtual
//! time. The world itself asserts I1–I6, because it knows what a broker knows.
//!
//! `GANTRY_SIMULATIONS=10000 cargo test -p gantry simulation` runs more seeds; a failure names its seed, and
//! `GANTRY_SIMULATION_SEED=N` runs that one alone.

mod world;

use std::{sync::Arc, time::Duration};

use gantry_sdk::plugin::RetryPolicy;

use self::world::{Random, SINK, SOURCE, TRANSFORM, World};
use super::{BridgeLimits, Bridges, Definition, ErrorPolicy, Part, Target, supervisor::Restart};

/// Messages a simulated run moves.
const MESSAGES: u64 = 300;

fn definition(world: u64, limits: BridgeLimits) -> Definition {
    let options = serde_json::json!({ "world": world });
    let dead_letter = serde_json::json!({ "world": world, "dead_letter": true });
    Definition {
        name: "simulated".into(),
        tasks: 1,
        source: Part { plugin: &SOURCE, options: options.clone() },
        transforms: vec![Part { plugin: &TRANSFORM, options: options.clone() }],
        sink: Part { plugin: &SINK, options },
        errors: ErrorPolicy {
            dead_letter: Some(Part { plugin: &SINK, options: dead_letter }),
            retry: RetryPolicy::default(),
            backoff: (Duration::from_millis(10), Duration::from_secs(1)),
        },
        limits,
        file: "simulation".into(),
        raw: serde_json::Value::Null,
    }
}

fn conserved(bridges: &Bridges) {
    for task in bridges.get("simulated").expect("it is there").task_statuses() {
        let counts = task.counts;
        let settled = counts.records_out + counts.filtered + counts.dead_lettered;
        assert_eq!(counts.records_in - counts.returned, settled + counts.in_flight, "conservation: {counts:?}");
    }
}

/// Lives through one seed.
async fn live(seed: u64) {
    let mut random = Random::new(seed);
    let limits = BridgeLimits {
        in_flight_records: 1 + random.below(100),
        in_flight_bytes: 1 + random.below(2000),
        batch_records: 1 + random.below(20),
        batch_bytes: 1 + random.below(500),
    };
    let world = World::register(seed, MESSAGES, limits);
    let bridges = Bridges::start(vec![Arc::new(definition(seed, limits))], Duration::from_secs(2));
    let bridge = bridges.get("simulated").expect("it is there");
    let deadline = tokio::time::Instant::now() + Duration::from_secs(24 * 3600);
    while !world.is_done() {
        assert!(tokio::time::Instant::now() < deadline, "stalled: {}", world.describe());
        tokio::time::sleep(Duration::from_millis(1 + random.below(200) as u64)).await;
        conserved(&bridges);
        match random.below(40) {
            0 => bridge.set_target(Target::Paused),
            1 => bridge.set_target(Target::Stopped),
            2 => drop(bridge.restart(Restart::All)),
            3..=12 => bridge.set_target(Target::Running),
            _ => {}
        }
    }
    bridges.shutdown().await;
    conserved(&bridges);
    world.judge();
}

#[test]
fn i1_to_i6_hold_whatever_the_world_does() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match number("GANTRY_SIMULATION_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("GANTRY_SIMULATIONS").unwrap_or(400),
    };
    for seed in seeds {
        let run = std::panic::catch_unwind(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
            runtime.expect("a runtime").block_on(live(seed));
        });
        assert!(run.is_ok(), "seed {seed} failed: GANTRY_SIMULATION_SEED={seed} runs it alone");
    }
}
