//! What the handlers share.

use std::sync::Arc;

use gantry_runtime::Bridges;
use tokio::sync::Semaphore;

use crate::reload::Reloads;

/// What every handler sees.
#[derive(Debug, Clone)]
pub(super) struct App {
    pub(super) bridges: Bridges,
    pub(super) reloads: Reloads,
    /// How many more may wait for a reload.
    pub(super) reload_room: Arc<Semaphore>,
    /// Kafka Connect's name for this process: the address that it listens on.
    pub(super) worker_id: Arc<str>,
}
