//! What survives the way there and back, on real brokers: cases at random, through two running bridges.
//!
//! The seed is printed and can be given again: `GANTRY_ROUND_TRIP_SEED=N`. `GANTRY_ROUND_TRIP_CASES=N` changes how many
//! messages go round (10,000 by default). They go in bulk and keep their order, so the n-th that comes out is the n-th that
//! went in.

#[path = "../support/mod.rs"]
mod support;

mod amqp;
mod kafka;
mod others;

use std::{collections::hash_map::RandomState, fmt::Debug, hash::BuildHasher as _};

use proptest::{
    strategy::{Strategy, ValueTree as _},
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is no number: {text}")))
}

/// As many cases as are asked for, from a seed that is printed.
fn cases<T: Debug>(strategy: &impl Strategy<Value = T>) -> Vec<T> {
    let seed = number("GANTRY_ROUND_TRIP_SEED").unwrap_or_else(|| RandomState::new().hash_one("seed"));
    let count = number("GANTRY_ROUND_TRIP_CASES").unwrap_or(10_000);
    eprintln!("{count} cases, GANTRY_ROUND_TRIP_SEED={seed}");
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), random);
    (0..count).map(|_| strategy.new_tree(&mut runner).expect("a case").current()).collect()
}

/// Every case as it went in.
///
/// # Panics
/// At the first difference, with both sides.
fn assert_same<T: Debug>(sent: &[T], back: &[T]) {
    for (index, (sent, back)) in sent.iter().zip(back).enumerate() {
        // As text: `==` takes -0.0 for 0.0.
        let (sent, back) = (format!("{sent:#?}"), format!("{back:#?}"));
        assert!(sent == back, "case {index} went in as\n{sent}\nand came back as\n{back}");
    }
    assert_eq!(sent.len(), back.len(), "as many came back as went in");
}
