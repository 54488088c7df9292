//! Faults of real brokers, one after the other: they share the brokers that they break.
//!
//! Every test ends with the oracle: nothing lost, order kept, duplicates counted; and with the law of conservation.

#[path = "../support/mod.rs"]
mod support;

mod access;
mod clock;
mod cluster;
mod consumers;
mod delivery_limit;
mod limits;
mod processes;
mod restarts;
mod reverse;
mod scene;
mod unreadable;
mod wires;

use scene::{Scene, Setup, single_active_consumer};
use tokio::sync::Mutex;

/// Only one test may break the brokers at a time.
static BROKERS: Mutex<()> = Mutex::const_new(());

/// `scripts/brokers ACTION NAME`: really down, or really up, when it returns.
async fn brokers(action: &str, name: &str) {
    support::brokers::run(&[action, name]).await;
}
