//! Kafka Connect's REST API over the bridges: the paths, codes and field names that its clients know.
//!
//! A bridge is shown as a *connector*. What differs, because bridges come from files:
//!
//! - Creating, changing and deleting are refused, with the file that owns the bridge.
//! - There is no connector instance apart from its tasks, so a restart without `includeTasks` restarts the tasks that
//!   failed, which is what its callers hope for, and leaves the others alone.
//!
//! [`entities`] are the shapes; [`config_map`] flattens YAML into Connect's text map; the others are the handlers.

mod change;
mod config_map;
mod connector_type;
mod entities;
mod lifecycle;
mod read;

use axum::{
    Router,
    routing::{get, post, put},
};

use super::App;

pub(super) use config_map::of as config_map;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/", get(read::server))
        .route("/connector-plugins", get(read::plugins))
        .route("/connectors", get(read::connectors).post(change::create))
        .route("/connectors/{connector}", get(read::info).delete(change::delete))
        .route("/connectors/{connector}/config", get(read::config).put(change::replace).patch(change::patch))
        .route("/connectors/{connector}/status", get(read::status))
        .route("/connectors/{connector}/topics", get(read::topics))
        .route("/connectors/{connector}/tasks", get(read::tasks))
        .route("/connectors/{connector}/tasks/{task}/status", get(read::task_status))
        .route("/connectors/{connector}/tasks/{task}/restart", post(lifecycle::restart_task))
        .route("/connectors/{connector}/pause", put(lifecycle::pause))
        .route("/connectors/{connector}/resume", put(lifecycle::resume))
        .route("/connectors/{connector}/stop", put(lifecycle::stop))
        .route("/connectors/{connector}/restart", post(lifecycle::restart))
}
