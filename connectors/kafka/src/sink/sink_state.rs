//! What the sink and its poll thread share.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rdkafka::error::KafkaError;

use super::{delivery::Delivery, events::Producer, writer::Writer};
use crate::{client::ClientState, error};

/// The producer and all that is known of it.
pub(super) struct SinkState {
    pub writer: Writer,
    pub delivery: Arc<Delivery>,
    pub client_state: Arc<ClientState>,
    /// Health is watched: opening is over.
    pub watching: AtomicBool,
    pub stopping: AtomicBool,
}

impl SinkState {
    pub(super) fn producer(&self) -> &Producer {
        &self.writer.producer
    }

    /// Whether nobody waits for anything any more.
    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
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
