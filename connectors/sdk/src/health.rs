//! How a connector tells the runtime what it sees of its broker between calls.
//!
//! State, not events: the last word counts, nothing queues up, nothing is lost.

use std::sync::Arc;

use tokio::sync::watch;

use crate::ErrorKind;

/// A connector's own view of its connection.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Condition {
    /// Nothing to complain of.
    #[default]
    Up,
    /// The client library is without its broker and keeps trying; records wait.
    Down(Arc<str>),
    /// The broker asked us to hold back (`Connection.Blocked`, throttling).
    Blocked(Arc<str>),
    /// This instance will never work again: the runtime must close it and open a new one, as the kind of error says.
    Failed(ErrorKind, Arc<str>),
}

/// Given to a connector when it is made; cheap to clone, usable from any thread, never blocks.
#[derive(Debug, Clone)]
pub struct Health {
    sender: watch::Sender<Condition>,
}

impl Default for Health {
    fn default() -> Self {
        Self::new()
    }
}

impl Health {
    /// A new one, [`Condition::Up`].
    pub fn new() -> Self {
        Self { sender: watch::Sender::new(Condition::Up) }
    }

    /// Says how things are. A failed instance stays failed.
    pub fn set(&self, condition: Condition) {
        self.sender.send_if_modified(|current| {
            if *current == condition || matches!(current, Condition::Failed(..)) {
                return false;
            }
            *current = condition;
            true
        });
    }

    /// How things are.
    pub fn get(&self) -> Condition {
        self.sender.borrow().clone()
    }

    /// To wait for changes; the runtime's side.
    pub fn subscribe(&self) -> watch::Receiver<Condition> {
        self.sender.subscribe()
    }
}
