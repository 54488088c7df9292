//! What the connectors of a task say of their brokers between calls.

use std::sync::Arc;

use gantry_sdk::{Error, Health, health::Condition};
use tokio::sync::watch;

use super::ending::IncarnationEnd;

/// The conditions of source, sink and dead letter.
pub(super) struct Conditions {
    source: watch::Receiver<Condition>,
    sink: watch::Receiver<Condition>,
    dead_letter: watch::Receiver<Condition>,
}

impl Conditions {
    pub(super) fn new(source: &Health, sink: &Health, dead_letter: &Health) -> Self {
        Self { source: source.subscribe(), sink: sink.subscribe(), dead_letter: dead_letter.subscribe() }
    }

    /// Whether one of them has changed since the last [`check`](Self::check).
    pub(super) fn have_changed(&self) -> bool {
        let changed = |receiver: &watch::Receiver<Condition>| receiver.has_changed().unwrap_or(false);
        changed(&self.source) || changed(&self.sink) || changed(&self.dead_letter)
    }

    /// Returns when one of them changes. Never returns when none can change any more. Cancel-safe.
    pub(super) async fn changed(&mut self) {
        tokio::select! {
            () = change_of(&mut self.source) => {}
            () = change_of(&mut self.sink) => {}
            () = change_of(&mut self.dead_letter) => {}
        }
    }

    /// What there is to complain of now; an error when one of them will never work again.
    pub(super) fn check(&mut self) -> Result<Option<Arc<str>>, IncarnationEnd> {
        let mut complaints = Vec::new();
        let parts = [("source", &mut self.source), ("sink", &mut self.sink), ("dead letter", &mut self.dead_letter)];
        for (name, receiver) in parts {
            match &*receiver.borrow_and_update() {
                Condition::Up => {}
                Condition::Down(reason) => complaints.push(format!("{name} unreachable: {reason}")),
                Condition::Blocked(reason) => complaints.push(format!("{name} blocked by its broker: {reason}")),
                Condition::Failed(kind, reason) => {
                    return Err(IncarnationEnd::Failed(Error::new(*kind, reason.as_ref())));
                }
            }
        }
        Ok((!complaints.is_empty()).then(|| complaints.join("; ").into()))
    }

    /// Why nothing can be settled now: which of sink and dead letter is out of reach, and the reason.
    pub(super) fn out_of_reach(&self) -> Option<(&'static str, Arc<str>)> {
        let reason = |receiver: &watch::Receiver<Condition>| reason_of(&receiver.borrow());
        let sink = reason(&self.sink).map(|reason| ("sink", reason));
        sink.or_else(|| Some(("dead letter", reason(&self.dead_letter)?)))
    }

    /// Whether the source has nothing to complain of.
    pub(super) fn source_is_up(&self) -> bool {
        *self.source.borrow() == Condition::Up
    }
}

/// Why a connector cannot be used now.
pub(super) fn reason_of(condition: &Condition) -> Option<Arc<str>> {
    match condition {
        Condition::Up => None,
        Condition::Down(reason) | Condition::Blocked(reason) | Condition::Failed(_, reason) => Some(reason.clone()),
    }
}

async fn change_of(receiver: &mut watch::Receiver<Condition>) {
    if receiver.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}
