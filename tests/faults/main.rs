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
mod disk;
mod limits;
mod processes;
mod restarts;
mod reverse;
mod scene;
mod unreadable;
mod wires;

use scene::{Scene, Setup};
use tokio::sync::Mutex;

/// Only one test may break the brokers at a time.
static BROKERS: Mutex<()> = Mutex::const_new(());

/// `scripts/brokers ACTION NAME`: really down, or really up, when it returns.
///
/// A queue is there before RabbitMQ is killed, for certain: one that was declared within the last two seconds RabbitMQ 3.10
/// may forget, because Mnesia writes its log late.
async fn brokers(action: &str, name: &str) {
    if (action, name) == ("kill", "rabbitmq") {
        support::brokers::rabbitmqctl(&["eval", "mnesia:sync_log()."]).await;
    }
    support::brokers::run(&[action, name]).await;
}
