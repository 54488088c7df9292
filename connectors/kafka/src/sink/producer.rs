//! A librdkafka producer, alone or shared by many sinks: what is known of it, and its end.
//!
//! librdkafka takes records back from a whole producer only. So a producer that is shared never mends what one of its sinks has got into:
//! it *breaks up* ([`ProducerState::break_up`]), and each sink goes on with another.

use std::{
    ops::Deref,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    thread::{self, Thread},
    time::{Duration, Instant},
};

use gantry_sdk::{ErrorKind, Result};
use rdkafka::{
    config::FromClientConfigAndContext as _,
    error::KafkaError,
    producer::{Producer as _, PurgeConfig},
};
use tokio::sync::{Semaphore, watch};

use super::{
    delivery::Reach,
    events::{Events, Producer},
    members::{Member, Members},
    producer_spec::ProducerSpec,
    transaction_claim::Claim,
    transaction_state::TransactionState,
};
use crate::{client::ClientState, error};

/// Questions to the cluster by one producer at a time. Each takes a thread, and the cluster answers one after the other.
const QUESTIONS: usize = 8;

/// How far a producer's life is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// It may be written to.
    Serving,
    /// It has broken up, and no record comes back from it any more.
    Drained,
    /// librdkafka's threads have ended.
    Ended,
}

/// How the last attempt to reach the cluster by a producer went.
#[derive(Debug, Default)]
pub(super) struct Reached {
    /// It went well.
    pub at: Option<Instant>,
    pub failed: Option<Failed>,
}

/// An attempt that did not.
#[derive(Debug)]
pub(super) struct Failed {
    pub at: Instant,
    pub kind: ErrorKind,
    pub reason: String,
}

/// The producer and all that is known of it.
pub(super) struct ProducerState {
    /// There until it is dropped.
    producer: Option<Producer>,
    pub client_state: Arc<ClientState>,
    pub members: Arc<Members>,
    pub spec: ProducerSpec,
    /// It takes over from one that broke up: nothing was asked of it yet.
    pub is_successor: bool,
    /// Who serves it.
    thread: OnceLock<Thread>,
    stage: watch::Sender<Stage>,
    /// Held by who reaches for the cluster while others wait.
    pub reached: tokio::sync::Mutex<Reached>,
    pub questions: Semaphore,
    /// While a transactional id is opened. An opening that fails gives it back when the producer has ended.
    claim: Mutex<Option<Claim>>,
}

// === impl ProducerState ===

impl ProducerState {
    /// Makes one; nobody serves it yet. Blocks for a moment: certificates are read.
    pub(super) fn new(
        spec: ProducerSpec,
        transaction: Option<Arc<TransactionState>>,
        is_successor: bool,
    ) -> Result<Self> {
        let client_state = Arc::new(ClientState::new(Arc::clone(&spec.who)));
        let base_context = spec.connection.base_context(Arc::clone(&client_state));
        let members = Arc::<Members>::default();
        let events = Events { members: Arc::clone(&members), transaction, base_context };
        let producer = Producer::from_config_and_context(&spec.config, events)
            .map_err(|error| error::client_error("creating the producer", &error))?;
        Ok(Self {
            producer: Some(producer),
            client_state,
            members,
            spec,
            is_successor,
            thread: OnceLock::new(),
            stage: watch::Sender::new(Stage::Serving),
            reached: tokio::sync::Mutex::default(),
            questions: Semaphore::new(QUESTIONS),
            claim: Mutex::default(),
        })
    }

    /// Whether other sinks may write by it.
    pub(super) const fn is_shared(&self) -> bool {
        self.spec.shared
    }

    /// Whether it takes records. One that has broken up takes none.
    pub(super) fn is_open(&self) -> bool {
        !self.members.is_closed()
    }

    /// One sink has got into trouble, or the producer itself: it takes nobody in any more, what is not sent comes back, and its thread
    /// [halts and moves](super::break_up) all of its sinks. Does not wait. Of a producer that is not shared there is nothing to break up.
    pub(super) fn break_up(&self) {
        if !self.is_shared() || !self.members.close() {
            return;
        }
        self.take_back_now(Reach::Queued);
        self.wake();
    }

    /// Takes records back. Does not wait: so what is sent meanwhile may be among them.
    pub(super) fn take_back_now(&self, reach: Reach) {
        let queued = PurgeConfig::default().queue().non_blocking();
        self.purge(match reach {
            Reach::Queued => queued,
            Reach::Everything => queued.inflight(),
        });
    }

    /// Takes records back; from what is not sent it waits for that, on the thread that serves the producer.
    pub(super) fn take_back(&self, reach: Reach) {
        match reach {
            Reach::Queued => self.purge(PurgeConfig::default().queue()),
            Reach::Everything => self.take_back_now(reach),
        }
    }

    /// This thread serves it from now on.
    pub(super) fn serve_here(&self) {
        let _ = self.thread.set(thread::current());
    }

    /// Whether this thread serves it.
    pub(super) fn is_served_here(&self) -> bool {
        self.thread.get().is_some_and(|thread| thread.id() == thread::current().id())
    }

    /// Something is on its way, or somebody has left: its thread rests no longer.
    pub(super) fn wake(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    /// Everything that it had came back.
    pub(super) fn is_drained(&self) {
        self.stage.send_replace(Stage::Drained);
    }

    /// To wait for its end.
    pub(super) fn stage(&self) -> watch::Receiver<Stage> {
        self.stage.subscribe()
    }

    /// Whether nothing is on its way, so that no event is awaited.
    pub(super) fn is_idle(&self) -> bool {
        let rests = |member: &Arc<dyn Member>| {
            let delivery = member.delivery();
            delivery.is_watched() && delivery.transaction().is_none() && !delivery.is_recovering()
        };
        self.in_flight_count() == 0 && self.members.all().iter().all(rests)
    }

    /// Serves events for that long.
    pub(super) fn serve(&self, time: Duration) {
        self.poll(time);
    }

    /// Why nobody answered, as well as librdkafka has said it so far.
    pub(super) fn silence(&self, error: &KafkaError) -> String {
        let trouble = self.client_state.errors();
        trouble.refusal.or(trouble.transport).unwrap_or_else(|| error::plain(error))
    }

    /// Keeps the claim until it is released, or the producer has ended.
    pub(super) fn hold(&self, claim: Claim) {
        *self.claim.lock().unwrap_or_else(PoisonError::into_inner) = Some(claim);
    }

    pub(super) fn release(&self) {
        self.claim.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl Deref for ProducerState {
    type Target = Producer;

    fn deref(&self) -> &Producer {
        self.producer.as_ref().expect("it is there until it is dropped")
    }
}

impl Drop for ProducerState {
    /// The end of a producer waits for librdkafka's threads, so it is on a thread that may.
    fn drop(&mut self) {
        let claim = self.claim.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        let (producer, stage) = (self.producer.take(), self.stage.clone());
        let end = move || {
            drop(producer);
            drop(claim);
            stage.send_replace(Stage::Ended);
        };
        if self.is_served_here() {
            end();
        } else {
            // Where no thread can be had it ends here.
            let _ = thread::Builder::new().name("kafka end".to_owned()).spawn(end);
        }
    }
}
