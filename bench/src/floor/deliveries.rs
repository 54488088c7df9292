//! What is on its way to Kafka, counted with an integer a batch.

use std::{
    collections::VecDeque,
    process::exit,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use rdkafka::{
    ClientContext,
    producer::{DeliveryResult, ProducerContext},
};
use tokio::sync::Notify;

/// Batches of a queue that can be in flight: no less than messages can.
const SLOTS: usize = 2048;
/// Added to a batch's count while it may still grow, so that it does not look complete too early.
const OPEN: u32 = 1 << 31;

/// What is in flight of one queue, shared with the callback.
pub(crate) struct Deliveries {
    /// Messages of each slot's batch that Kafka has not confirmed.
    left: [AtomicU32; SLOTS],
    /// A batch is complete.
    pub(crate) settled: Notify,
}

impl Deliveries {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { left: std::array::from_fn(|_| AtomicU32::new(0)), settled: Notify::new() })
    }
}

/// The batches of one queue.
pub(crate) struct Batches {
    deliveries: Arc<Deliveries>,
    /// The number of the queue.
    queue: usize,
    /// In flight, in order: slot and last delivery tag.
    batches: VecDeque<(usize, u64)>,
    /// The slot of the next batch.
    next: usize,
}

impl Batches {
    pub(crate) const fn new(deliveries: Arc<Deliveries>, queue: usize) -> Self {
        Self { deliveries, queue, batches: VecDeque::new(), next: 0 }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// Begins a batch; what its messages are to be sent with.
    pub(crate) fn begin(&mut self) -> usize {
        self.deliveries.left[self.next].store(OPEN, Ordering::Release);
        self.queue * SLOTS + self.next
    }

    /// Ends it. Says whether everything of it is confirmed already.
    pub(crate) fn end(&mut self, last: u64, count: u32) -> bool {
        let slot = self.next;
        self.next = (slot + 1) % SLOTS;
        self.batches.push_back((slot, last));
        let more = OPEN - count;
        self.deliveries.left[slot].fetch_sub(more, Ordering::AcqRel) == more
    }

    /// The last delivery tag of all batches that are complete without a gap.
    pub(crate) fn complete(&mut self) -> Option<u64> {
        let mut upto = None;
        while let Some(&(slot, last)) = self.batches.front()
            && self.deliveries.left[slot].load(Ordering::Acquire) == 0
        {
            upto = Some(last);
            self.batches.pop_front();
        }
        upto
    }
}

/// Counts confirmations; runs on the producer's polling thread.
pub(crate) struct Callback(pub(crate) Vec<Arc<Deliveries>>);

impl ClientContext for Callback {}

impl ProducerContext for Callback {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, place: usize) {
        if let Err((error, _)) = result {
            eprintln!("producing: {error}");
            exit(1);
        }
        let deliveries = &self.0[place / SLOTS];
        if deliveries.left[place % SLOTS].fetch_sub(1, Ordering::AcqRel) == 1 {
            deliveries.settled.notify_one();
        }
    }
}
