//! What the connectors of a task say of their brokers between calls.

use std::sync::Arc;

use futures_util::future::select_all;
use gantry_sdk::{Error, Health, health::Condition};
use tokio::sync::watch;

use super::ending::IncarnationEnd;

/// The conditions of the source and of all outlets.
pub(super) struct Conditions {
    source: watch::Receiver<Condition>,
    outlets: Vec<(Arc<str>, watch::Receiver<Condition>)>,
}

impl Conditions {
    /// Of the source, and of outlets by name.
    pub(super) fn new<'o>(source: &Health, outlets: impl Iterator<Item = (&'o Arc<str>, &'o Health)>) -> Self {
        let outlets = outlets.map(|(name, health)| (name.clone(), health.subscribe())).collect();
        Self { source: source.subscribe(), outlets }
    }

    /// Whether one of them has changed since the last [`check`](Self::check).
    pub(super) fn have_changed(&self) -> bool {
        let changed = |receiver: &watch::Receiver<Condition>| receiver.has_changed().unwrap_or(false);
        changed(&self.source) || self.outlets.iter().any(|(_, receiver)| changed(receiver))
    }

    /// Returns when one of them changes. Never returns when none can change any more. Cancel-safe.
    pub(super) async fn changed(&mut self) {
        // Most bridges have one sink, and perhaps a dead letter: for them nothing is allocated.
        let (first, second, others) = match self.outlets.as_mut_slice() {
            [] => (None, None, Vec::new()),
            [(_, first)] => (Some(first), None, Vec::new()),
            [(_, first), (_, second), others @ ..] => {
                let mut changes = Vec::with_capacity(others.len());
                for (_, receiver) in others {
                    changes.push(Box::pin(change_of(Some(receiver))));
                }
                (Some(first), Some(second), changes)
            }
        };
        tokio::select! {
            () = change_of(Some(&mut self.source)) => {}
            () = change_of(first) => {}
            () = change_of(second) => {}
            _ = select_all_of(others) => {}
        }
    }

    /// What there is to complain of now; an error when one of them will never work again.
    pub(super) fn check(&mut self) -> Result<Option<Arc<str>>, IncarnationEnd> {
        let mut complaints = Vec::new();
        let outlets = self.outlets.iter_mut().map(|(name, receiver)| (&**name, receiver));
        for (name, receiver) in std::iter::once(("source", &mut self.source)).chain(outlets) {
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

    /// Why not everything can be settled now: which outlet is out of reach, and the reason.
    pub(super) fn out_of_reach(&self) -> Option<(Arc<str>, Arc<str>)> {
        self.outlets.iter().find_map(|(name, receiver)| Some((name.clone(), reason_of(&receiver.borrow())?)))
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

async fn change_of(receiver: Option<&mut watch::Receiver<Condition>>) {
    let changed = match receiver {
        Some(receiver) => receiver.changed().await.is_ok(),
        None => false,
    };
    if !changed {
        std::future::pending::<()>().await;
    }
}

/// Like [`select_all`]; never returns when there are none.
async fn select_all_of<F: Future<Output = ()> + Unpin>(futures: Vec<F>) {
    if futures.is_empty() {
        std::future::pending::<()>().await;
    }
    select_all(futures).await;
}
