//! Whether the process lives, and whether its bridges do what is wanted of them.

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use gantry_runtime::{BridgeStatus, TaskStatus};
use serde::Serialize;

use super::{App, native::timestamp};

pub(super) fn routes() -> Router<App> {
    Router::new().route("/healthz", get(alive)).route("/readyz", get(ready)).route("/health", get(worker))
}

/// Looks at nothing, so that it never waits: a bridge that is down is no reason to kill the process.
async fn alive() -> impl IntoResponse {
    Json(Alive { status: "ok" })
}

/// Kafka Connect's `/health` (3.9 and later). The port opens when the bridges are started, so it is never `starting`.
async fn worker() -> impl IntoResponse {
    let message = "Worker has completed startup and is ready to handle requests.";
    Json(WorkerStatus { status: "healthy", message })
}

async fn ready(State(app): State<App>) -> Response {
    let statuses: Vec<_> = app.bridges.all().iter().map(|bridge| bridge.status()).collect();
    let readiness = Readiness::of(&statuses);
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(readiness)).into_response()
}

#[derive(Serialize)]
struct Alive {
    status: &'static str,
}

#[derive(Serialize)]
struct WorkerStatus {
    status: &'static str,
    message: &'static str,
}

#[derive(Serialize)]
struct Readiness<'a> {
    ready: bool,
    not_ready: Vec<NotReady<'a>>,
}

#[derive(Serialize)]
struct NotReady<'a> {
    bridge: &'a str,
    tasks: Vec<Hindrance<'a>>,
}

#[derive(Serialize)]
struct Hindrance<'a> {
    task: u32,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    /// When a record was last settled.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_progress: Option<String>,
}

// === impl Readiness ===

impl<'a> Readiness<'a> {
    fn of(statuses: &'a [BridgeStatus]) -> Self {
        let not_ready: Vec<_> = statuses.iter().filter(|status| !status.is_ready()).map(NotReady::of).collect();
        Self { ready: not_ready.is_empty(), not_ready }
    }
}

impl<'a> NotReady<'a> {
    fn of(status: &'a BridgeStatus) -> Self {
        let tasks = status.tasks.iter().filter(|task| !task.is_ready()).map(Hindrance::of).collect();
        Self { bridge: &status.name, tasks }
    }
}

impl<'a> Hindrance<'a> {
    fn of(task: &'a TaskStatus) -> Self {
        Self {
            task: task.id,
            state: task.state.as_str(),
            reason: task.error.as_deref(),
            last_progress: task.last_progress.map(timestamp),
        }
    }
}
