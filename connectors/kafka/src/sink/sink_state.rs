//! What the sink and its poll thread share.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use gantry_sdk::{Error, Result};
use rdkafka::{error::KafkaError, producer::Producer as _};

use super::{delivery::Delivery, events::Producer, transaction_claim::Claim, writer::Writer};
use crate::{client::ClientState, error};

/// The producer and all that is known of it.
pub(super) struct SinkState {
    pub writer: Writer,
    pub delivery: Arc<Delivery>,
    pub client_state: Arc<ClientState>,
    /// Health is watched: opening is over.
    pub watching: AtomicBool,
    pub stopping: AtomicBool,
    /// While a transactional id is opened. The last field: an opening that fails gives it back when the producer has ended.
    pub claim: Mutex<Option<Claim>>,
}

impl SinkState {
    pub(super) fn producer(&self) -> &Producer {
        &self.writer.producer
    }

    /// Whether nobody waits for anything any more.
    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// An error when nobody waits for anything any more.
    pub(super) fn wanted(&self) -> Result<()> {
        if self.is_stopping() { Err(closing()) } else { Ok(()) }
    }

    /// Keeps the claim until it is released, or the producer has ended.
    pub(super) fn hold(&self, claim: Claim) {
        *self.claim.lock().unwrap_or_else(PoisonError::into_inner) = Some(claim);
    }

    pub(super) fn release(&self) {
        self.claim.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Whether nothing is on its way, so that no event is awaited.
    pub(super) fn is_idle(&self) -> bool {
        self.watching.load(Ordering::Relaxed)
            && self.producer().in_flight_count() == 0
            && self.delivery.transaction().is_none()
            && !self.delivery.is_recovering()
    }

    /// Serves events for that long.
    pub(super) fn poll(&self, time: Duration) {
        self.producer().poll(time);
    }

    /// Why nobody answered, as well as librdkafka has said it so far.
    pub(super) fn silence(&self, error: &KafkaError) -> String {
        let trouble = self.client_state.errors();
        trouble.refusal.or(trouble.transport).unwrap_or_else(|| error::plain(error))
    }
}

pub(super) fn closing() -> Error {
    Error::disconnected("the sink is closing")
}
