//! What the connectors of a task say of their brokers between calls.

use std::sync::Arc;

use futures_util::future::select_all;
use gantry_sdk::{Error, Health, health::Condition};
use tokio::sync::watch;
use tracing::{info, warn};

use super::End;

/// The conditions of source, sink and dead letter.
pub(super) struct Conditions {
    parts: [(&'static str, watch::Receiver<Condition>); 3],
    last: Option<Arc<str>>,
}

impl Conditions {
    pub(super) fn new(parts: [(&'static str, &Health); 3]) -> Self {
        Self { parts: parts.map(|(name, health)| (name, health.subscribe())), last: None }
    }

    /// Returns when one of them changes. Never returns when none can change any more.
    pub(super) async fn changed(&mut self) {
        let changes = self.parts.iter_mut().map(|(_, receiver)| {
            Box::pin(async {
                if receiver.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            })
        });
        select_all(changes).await;
    }

    /// What there is to complain of now; an error when one of them will never work again.
    pub(super) fn check(&mut self) -> Result<Option<Arc<str>>, End> {
        let failed = self.parts.iter().find_map(|(_, receiver)| match &*receiver.borrow() {
            Condition::Failed(reason) => Some(reason.clone()),
            _ => None,
        });
        if let Some(reason) = failed {
            return Err(End::Failed(Error::disconnected(reason.as_ref())));
        }
        let complaint = self.complaint();
        if complaint != self.last {
            match &complaint {
                Some(complaint) => warn!("{complaint}"),
                None => info!("everything is reachable again"),
            }
            self.last.clone_from(&complaint);
        }
        Ok(complaint)
    }

    /// What there is to complain of now.
    pub(super) fn complaint(&self) -> Option<Arc<str>> {
        let complaints = self.parts.iter().filter_map(|(name, receiver)| match &*receiver.borrow() {
            Condition::Down(reason) => Some(format!("{name} unreachable: {reason}")),
            Condition::Blocked(reason) => Some(format!("{name} blocked by its broker: {reason}")),
            Condition::Up | Condition::Failed(_) => None,
        });
        let text = complaints.collect::<Vec<_>>().join("; ");
        (!text.is_empty()).then(|| text.into())
    }
}
