//! Pause, resume, stop, restart. Each is idempotent, ignores its body and answers before it has happened.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use gantry_runtime::{Bridge, Restart, Target};

use super::{
    super::{
        App,
        error::Refusal,
        wire::{Pairs, is_true, task_number},
    },
    entities::ConnectorStateInfo,
};

pub(super) async fn pause(State(app): State<App>, Path(name): Path<String>) -> Result<StatusCode, Refusal> {
    set_target(&app, &name, Target::Paused).map(|()| StatusCode::ACCEPTED)
}

pub(super) async fn resume(State(app): State<App>, Path(name): Path<String>) -> Result<StatusCode, Refusal> {
    set_target(&app, &name, Target::Running).map(|()| StatusCode::ACCEPTED)
}

pub(super) async fn stop(State(app): State<App>, Path(name): Path<String>) -> Result<StatusCode, Refusal> {
    set_target(&app, &name, Target::Stopped).map(|()| StatusCode::NO_CONTENT)
}

fn set_target(app: &App, name: &str, target: Target) -> Result<(), Refusal> {
    if !app.bridges.set_target(name, target) {
        return Err(Refusal::not_found(format!("Unknown connector {name}")));
    }
    let done = match target {
        Target::Running => "resumed",
        Target::Paused => "paused",
        Target::Stopped => "stopped",
    };
    tracing::info!(bridge = name, "{done} by REST");
    Ok(())
}

/// 204 for the bare form, 202 with the state for the others, as KIP-745 has it.
pub(super) async fn restart(
    State(app): State<App>,
    Path(name): Path<String>,
    Query(query): Query<Pairs>,
) -> Result<Response, Refusal> {
    let bridge = find(&app, &name)?;
    let is_set = |key: &str| query.iter().rev().find(|(own, _)| own == key).is_some_and(|(_, value)| is_true(value));
    let (include_tasks, only_failed) = (is_set("includeTasks"), is_set("onlyFailed"));
    let which = if include_tasks && !only_failed { Restart::All } else { Restart::OnlyFailed };
    // Before the restart: its tasks keep the trace that they had.
    let status = bridge.status();
    let tasks = bridge.restart(which);
    tracing::info!(bridge = name, ?tasks, "restarted by REST");
    if !include_tasks && !only_failed {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let state = ConnectorStateInfo::of(bridge.definition(), &status, &app.worker_id);
    Ok((StatusCode::ACCEPTED, Json(state.restarting(!only_failed, &tasks))).into_response())
}

pub(super) async fn restart_task(
    State(app): State<App>,
    Path((name, task)): Path<(String, String)>,
) -> Result<StatusCode, Refusal> {
    let task = task_number(&task)?;
    let bridge = find(&app, &name)?;
    if task >= bridge.definition().tasks {
        return Err(Refusal::not_found(format!("Unknown task: {name}-{task}")));
    }
    if bridge.status().target == Target::Stopped {
        return Err(Refusal::conflict(format!("Connector {name} is stopped; resume it to start its tasks")));
    }
    bridge.restart(Restart::Task(task));
    tracing::info!(bridge = name, task, "restarted by REST");
    Ok(StatusCode::NO_CONTENT)
}

fn find(app: &App, name: &str) -> Result<Arc<Bridge>, Refusal> {
    app.bridges.get(name).ok_or_else(|| Refusal::not_found(format!("Unknown connector: {name}")))
}
