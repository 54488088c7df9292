//! What a sink, its questions to the cluster and the thread that serves its producer share.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use gantry_sdk::{Error, ErrorKind, Result};

use super::{
    delivery::{Delivery, Reach},
    pool::Seat,
    producer::ProducerState,
    recovery::Recovery,
    sending::Sender,
    writer::Writer,
};

/// A sink, wherever it has its seat.
pub(super) struct SinkState {
    pub writer: Writer,
    pub delivery: Arc<Delivery>,
    /// The most bytes of several records in one batch.
    pub batch: usize,
    place: Mutex<Place>,
    stopping: AtomicBool,
    /// Held by who moves it to another producer.
    pub moving: Mutex<()>,
    /// What goes on after a refused batch; the poll thread's.
    recovery: Mutex<Option<Recovery>>,
}

struct Place {
    seat: Seat,
    /// It takes no other seat any more.
    left: bool,
}

impl SinkState {
    /// A sink on that seat.
    pub(super) fn new(writer: Writer, delivery: Arc<Delivery>, batch: usize, seat: Seat) -> Self {
        Self {
            writer,
            delivery,
            batch,
            place: Mutex::new(Place { seat, left: false }),
            stopping: AtomicBool::new(false),
            moving: Mutex::new(()),
            recovery: Mutex::default(),
        }
    }

    /// Where it sits now. Whoever sends has the right to (`Delivery::try_gate`), and while the sink is not halted it stays there.
    pub(super) fn seat(&self) -> Seat {
        self.place().seat.clone()
    }

    pub(super) fn producer(&self) -> Arc<ProducerState> {
        Arc::clone(&self.place().seat.producer)
    }

    /// Moves to that seat, and leaves the one before; the new one, if it has left for good.
    pub(super) fn take_seat(&self, seat: Seat) {
        let mut place = self.place();
        let empty = if place.left { seat } else { std::mem::replace(&mut place.seat, seat) };
        drop(place);
        empty.leave();
    }

    /// Leaves its producer for good; says which that was.
    pub(super) fn leave(&self) -> Arc<ProducerState> {
        let mut place = self.place();
        let seat = place.seat.clone();
        let first = !std::mem::replace(&mut place.left, true);
        drop(place);
        if first {
            seat.leave();
        }
        seat.producer
    }

    /// Takes records back from librdkafka; each comes back by a report. From a producer that others use it takes everybody's: it
    /// breaks up.
    pub(super) fn take_back(&self, reach: Reach) {
        let is_refused = || self.delivery.stopped().is_some_and(|failure| failure.cause == ErrorKind::Refused);
        if self.delivery.was_refused() || is_refused() {
            self.writer.plan.remember_trouble();
        }
        let producer = self.producer();
        if producer.is_shared() {
            producer.break_up();
        } else {
            producer.take_back(reach);
        }
    }

    /// A step of what goes on after a refused batch.
    pub(super) fn step_recovery(&self) {
        let seat = self.seat();
        if !seat.producer.is_served_here() {
            // It is about to come here.
            return;
        }
        let mut recovery = self.recovery.lock().unwrap_or_else(PoisonError::into_inner);
        let sender = Sender { writer: &self.writer, delivery: &self.delivery, seat: &seat };
        if recovery.get_or_insert_default().step(&sender) {
            *recovery = None;
        }
    }

    /// Nobody waits for anything any more.
    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Whether nobody waits for anything any more.
    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// An error when nobody waits for anything any more.
    pub(super) fn wanted(&self) -> Result<()> {
        if self.is_stopping() { Err(closing()) } else { Ok(()) }
    }

    fn place(&self) -> MutexGuard<'_, Place> {
        // Set as a whole, whatever panicked while holding it.
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn closing() -> Error {
    Error::disconnected("the sink is closing")
}
