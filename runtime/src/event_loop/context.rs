//! What a task tells the connectors that it opens.

use gantry_sdk::{
    Checkpoints, Context, Health, Remembered,
    plugin::{CurrentOptions, Plugin, RetryPolicy},
};

use crate::{
    assignment::Assignment,
    definition::{Delivery, Part},
};

/// For that part of the task's bridge.
pub(super) fn context<P: Plugin + Clone>(
    task: &Assignment,
    part: &Part<P>,
    health: &Health,
    remembered: &Remembered,
    dead_letter: bool,
) -> Context {
    let definition = &task.definition;
    let part = part.clone();
    Context {
        bridge: definition.name.clone(),
        task: task.id,
        tasks: definition.tasks,
        health: health.clone(),
        // A sink has neither, and says none.
        lag: task.progress.lag(),
        depth: task.progress.depth(),
        lost: task.progress.lost(),
        remembered: remembered.clone(),
        shared: task.shared.clone(),
        // Nothing comes after a dead letter: it is tried until it is taken.
        retry: RetryPolicy {
            max_attempts: definition.errors.retry.max_attempts.filter(|_| !dead_letter),
            ..definition.errors.retry
        },
        options: CurrentOptions::new(move || part.checked()),
        dead_letter,
        // Dead letters are written outside of the transaction: they must not go with it when it is aborted.
        exactly_once: definition.delivery == Delivery::ExactlyOnce && !dead_letter,
        stored: Checkpoints::default(),
        in_flight_bytes: definition.limits.in_flight_bytes.min(task.share.even_part()),
    }
}
