//! The thread that serves librdkafka's events: delivery reports, errors, log lines.
//!
//! librdkafka calls nobody by itself; this thread asks it, and callbacks run here. It also sends again after a refused
//! batch ([`super::recovery`]) and keeps the sink's health true ([`super::watch`]).

use std::{
    sync::{Arc, atomic::Ordering},
    thread,
    time::Duration,
};

use gantry_sdk::{Error, Result};
use rdkafka::producer::Producer as _;

use super::{delivery::Reach, recovery, sink_state::SinkState, watch::Watch};

/// How long one look for events takes. Events are served as they come; it is also how long a stop may wait.
///
/// A little more than whole milliseconds: rdkafka asks librdkafka to wait for whole ones only (`BaseProducer::poll`), and spins through what is left
/// of the last.
const TURN: Duration = Duration::from_micros(50_100);

/// How long it rests while nothing is on its way. What librdkafka says meanwhile, of a broker that goes or comes, can wait.
const REST: Duration = Duration::from_secs(1);

/// A running poll_thread. Dropping it stops it soon; [`PollThread::join`] waits for that.
#[derive(Debug)]
pub(super) struct PollThread {
    thread: Option<thread::JoinHandle<()>>,
}

impl PollThread {
    /// Starts serving.
    pub(super) fn start(shared: Arc<SinkState>) -> Result<Self> {
        // Linux shows 15 bytes of it.
        let name = format!("kafka {}", shared.writer.plan.context.bridge).chars().take(15).collect();
        let thread = thread::Builder::new()
            .name(name)
            .spawn(move || serve(&shared))
            .map_err(|error| Error::internal(format!("starting the thread that serves librdkafka: {error}")))?;
        Ok(Self { thread: Some(thread) })
    }

    /// Ends its rest.
    pub(super) fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }

    /// Waits until the thread is over; it has to be told to stop first.
    pub(super) fn join(mut self) {
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(shared: &SinkState) {
    let mut watch = Watch::new();
    while !shared.stopping.load(Ordering::Relaxed) {
        if shared.is_idle() {
            thread::park_timeout(REST);
            shared.poll(Duration::ZERO);
        } else {
            shared.poll(TURN);
        }
        if shared.delivery.is_recovering() {
            recovery::run(shared);
        }
        if let Some(failure) = shared.delivery.transaction().and_then(|transaction| transaction.given_up()) {
            shared.delivery.stop(failure);
        }
        if shared.delivery.stopped().is_some() && shared.producer().in_flight_count() > 0 {
            // A record may have slipped in while the sink stopped; nobody would ever hear of it.
            shared.delivery.take_back(Reach::Everything);
        }
        if shared.watching.load(Ordering::Relaxed) {
            watch.look(shared);
        }
    }
}
