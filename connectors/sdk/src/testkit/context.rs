//! What a task would tell a connector.

use crate::{Context, Depth, Health, Lag, plugin::RetryPolicy};

/// A task's first words to a connector, everything at its default. Tests change what they are about.
pub fn context() -> Context {
    Context {
        bridge: "test".into(),
        task: 0,
        health: Health::new(),
        lag: Lag::default(),
        depth: Depth::default(),
        options: crate::plugin::CurrentOptions::default(),
        retry: RetryPolicy::default(),
        dead_letter: false,
        in_flight_bytes: 64 << 20,
    }
}
