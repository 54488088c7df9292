//! What `/v1/bridges` answers, as far as it is shown.

use jiff::Timestamp;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
pub(super) struct Overview {
    pub at: Timestamp,
    pub bridges: Vec<Bridge>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Bridge {
    pub name: String,
    pub target: String,
    pub ready: bool,
    pub tasks: Vec<Task>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Task {
    pub task: u32,
    pub state: String,
    pub error: Option<String>,
    pub next_try: Option<Timestamp>,
    pub last_progress: Option<Timestamp>,
    pub counts: Counts,
    pub lag: Option<u64>,
    pub queue_depth: Option<u64>,
    #[serde(default)]
    pub lost: Vec<Loss>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Loss {
    pub records: u64,
    pub what: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Counts {
    pub records_in: u64,
    pub records_out: u64,
    #[serde(default)]
    pub filtered: u64,
    pub dead_lettered: u64,
    pub in_flight: u64,
    #[serde(default)]
    pub stalls: u64,
}
