//! Our own API: what Kafka Connect's shapes cannot say. `gantry status` reads it.
//!
//! Times are RFC 3339 in UTC, and `at` is this process's clock, so that a reader can tell ages without trusting its own.

use std::{collections::BTreeMap, time::SystemTime};

use axum::{
    Json, Router,
    extract::{Path, State},
    routing::get,
};
use gantry_runtime::{Branch, Bridge, BridgeStatus, Counts, DeadLetterTarget, Target, TaskStatus};
use gantry_sdk::Loss;
use serde::Serialize;

use super::{App, error::Refusal};

pub(super) fn routes() -> Router<App> {
    Router::new().route("/v1/bridges", get(list)).route("/v1/bridges/{bridge}", get(one))
}

async fn list(State(app): State<App>) -> Json<Overview> {
    let bridges = app.bridges.all().iter().map(|bridge| BridgeView::of(bridge)).collect();
    Json(Overview { version: env!("CARGO_PKG_VERSION"), at: timestamp(SystemTime::now()), bridges })
}

async fn one(State(app): State<App>, Path(name): Path<String>) -> Result<Json<BridgeView>, Refusal> {
    let bridge = app.bridges.get(&name).ok_or_else(|| Refusal::not_found(format!("Bridge {name} not found")))?;
    Ok(Json(BridgeView::of(&bridge)))
}

#[derive(Serialize)]
struct Overview {
    version: &'static str,
    at: String,
    bridges: Vec<BridgeView>,
}

#[derive(Serialize)]
struct BridgeView {
    name: String,
    target: &'static str,
    ready: bool,
    source: &'static str,
    transforms: Vec<&'static str>,
    /// The first; with several, `sinks` has them all.
    sink: &'static str,
    sinks: Vec<SinkView>,
    dead_letter: Option<&'static str>,
    file: String,
    tasks: Vec<TaskView>,
}

#[derive(Serialize)]
struct SinkView {
    name: &'static str,
    /// Only records go there for which a condition holds.
    conditional: bool,
}

#[derive(Serialize)]
struct TaskView {
    task: u32,
    state: &'static str,
    since: String,
    error: Option<String>,
    next_try: Option<String>,
    last_progress: Option<String>,
    epoch: u64,
    counts: CountsView,
    /// `counts.dead_lettered` by the part that refused them.
    dead_letters: BTreeMap<&'static str, u64>,
    /// Records that the source has not handed out yet, where it is a log; of all its partitions.
    lag: Option<u64>,
    /// Records that wait in its queues, where it reads some.
    queue_depth: Option<u64>,
    lost: Vec<LossView>,
}

/// What was gone at the source's broker before it was read.
#[derive(Serialize)]
struct LossView {
    reason: &'static str,
    records: u64,
    /// The last time in words.
    what: String,
    at: String,
}

/// `records_in - returned = records_out + filtered + dead_lettered + in_flight` in every answer (I6).
#[derive(Serialize)]
struct CountsView {
    records_in: u64,
    bytes_in: u64,
    records_out: u64,
    bytes_out: u64,
    filtered: u64,
    dropped: u64,
    dead_lettered: u64,
    returned: u64,
    in_flight: u64,
    in_flight_bytes: u64,
    batches: u64,
    commits: u64,
    reconnects: u64,
    stalls: u64,
}

// === impl BridgeView ===

impl BridgeView {
    fn of(bridge: &Bridge) -> Self {
        let definition = bridge.definition();
        let status = BridgeStatus { tasks: bridge.task_statuses(), ..bridge.status() };
        Self {
            name: status.name.to_string(),
            target: target(status.target),
            ready: status.is_ready(),
            source: definition.source.plugin.name,
            transforms: definition.transforms.iter().map(|part| part.plugin.name).collect(),
            sink: definition.sinks.first().map_or("", |branch| branch.sink.plugin.name),
            sinks: definition.sinks.iter().map(SinkView::of).collect(),
            dead_letter: definition.errors.dead_letter.as_ref().map(DeadLetterTarget::name),
            file: definition.file.display().to_string(),
            tasks: status.tasks.into_iter().map(TaskView::of).collect(),
        }
    }
}

impl SinkView {
    fn of(branch: &Branch) -> Self {
        Self { name: branch.sink.plugin.name, conditional: branch.when.is_some() }
    }
}

impl TaskView {
    fn of(task: TaskStatus) -> Self {
        Self {
            task: task.id,
            state: task.state.as_str(),
            since: timestamp(task.since),
            error: task.error.as_deref().map(str::to_owned),
            next_try: task.next_try.map(timestamp),
            last_progress: task.last_progress.map(timestamp),
            epoch: task.epoch,
            counts: CountsView::of(task.counts),
            dead_letters: task.dead_letters.iter().collect(),
            lag: task.lag.get().iter().map(|partition| partition.records).reduce(|a, b| a + b),
            queue_depth: task.depth.get().iter().map(|queue| queue.records).reduce(|a, b| a + b),
            lost: task.lost.get().into_iter().map(LossView::of).collect(),
        }
    }
}

impl LossView {
    fn of(loss: Loss) -> Self {
        let Loss { reason, records, what, at } = loss;
        Self { reason, records, what: what.to_string(), at: timestamp(at) }
    }
}

impl CountsView {
    fn of(counts: Counts) -> Self {
        // Taken apart by name, so that a new count cannot be forgotten here.
        let Counts {
            records_in,
            bytes_in,
            records_out,
            bytes_out,
            filtered,
            dropped,
            dead_lettered,
            returned,
            in_flight,
            in_flight_bytes,
            batches,
            commits,
            reconnects,
            stalls,
        } = counts;
        Self {
            records_in,
            bytes_in,
            records_out,
            bytes_out,
            filtered,
            dropped,
            dead_lettered,
            returned,
            in_flight,
            in_flight_bytes,
            batches,
            commits,
            reconnects,
            stalls,
        }
    }
}

const fn target(target: Target) -> &'static str {
    match target {
        Target::Running => "running",
        Target::Paused => "paused",
        Target::Stopped => "stopped",
    }
}

/// To the millisecond: enough for people, and the same width each time.
pub(super) fn timestamp(time: SystemTime) -> String {
    match jiff::Timestamp::try_from(time) {
        Ok(time) => format!("{time:.3}"),
        // A clock before the year -9999 or after 9999.
        Err(_) => "unknown".to_owned(),
    }
}
