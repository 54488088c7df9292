//! One assignment of one partition: its own queue of librdkafka's, what of it was handed out, what is settled.
//!
//! Messages of a partition do not go through the consumer's queue. So a partition that nobody takes from stands still by
//! itself, without `pause`, which would throw away what was read ahead; and the consumer's own queue can be served all the
//! time, however long there is no credit.
//!
//! The source takes from it, the member's thread ends it. Each new assignment is a new lane with a new number: what is
//! still in flight of an older one changes nothing (I3).

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytestring::ByteString;
use gantry_sdk::{Lane, Limits, Record};
use rdkafka::{Message as _, consumer::base_consumer::PartitionQueue, error::KafkaError};
use tokio::sync::Notify;

use super::{
    convert::Converter,
    events::{Consumer, Events},
    place::Place,
};

/// A lane, shared by the source and the member's thread.
pub(super) struct PartitionLane {
    pub id: Lane,
    pub topic: ByteString,
    pub partition: i32,
    /// Which topic of that name it is.
    pub topic_id: Option<Arc<str>>,
    /// There may be something in the queue. Set by librdkafka when it puts something into the empty queue.
    ready: Arc<AtomicBool>,
    state: Mutex<State>,
}

struct State {
    /// `None` when the lane has ended.
    queue: Option<PartitionQueue<Events>>,
    /// It is being taken away: nothing more is handed out.
    leaving: bool,
    /// The offset of the record that was handed out first.
    first: Option<i64>,
    /// The offset of the record that was handed out last.
    handed: Option<i64>,
    /// The offset of the last record up to which all are settled.
    settled: Option<i64>,
    /// The offset to read next by what the group knows.
    committed: Option<i64>,
    /// Where it begins, when that has to be committed before anything else is.
    begin: Option<i64>,
    /// Offsets that are gone, from the first to the one behind the last.
    gone: Option<(i64, i64)>,
    /// The end of the partition, as it was heard of last.
    end: Option<i64>,
}

/// What was taken.
pub(super) struct Taken {
    pub records: Vec<Record>,
    /// The offset of the last one.
    pub last: i64,
    /// What came behind them.
    pub error: Option<KafkaError>,
}

impl PartitionLane {
    /// Takes the partition's messages out of the consumer's queue; before it is assigned, so that none goes there.
    pub(super) fn open(
        id: u32,
        place: &Place,
        topic_id: Option<Arc<str>>,
        begin: Option<i64>,
        consumer: &Arc<Consumer>,
        wake: &Arc<Notify>,
    ) -> Option<Self> {
        let mut queue = consumer.split_partition_queue(&place.topic, place.partition)?;
        let lane = Self { topic_id, ..Self::without_queue(id, place) };
        let (ready, wake) = (Arc::clone(&lane.ready), Arc::clone(wake));
        // librdkafka holds a lock of the queue's: no lock of ours may be taken here.
        queue.set_nonempty_callback(move || {
            ready.store(true, Ordering::Release);
            wake.notify_one();
        });
        {
            let mut state = lane.lock();
            state.queue = Some(queue);
            state.begin = begin;
        }
        Some(lane)
    }

    pub(super) fn without_queue(id: u32, place: &Place) -> Self {
        let state = State {
            queue: None,
            leaving: false,
            first: None,
            handed: None,
            settled: None,
            committed: None,
            begin: None,
            gone: None,
            end: None,
        };
        Self {
            id: Lane(id),
            topic: place.topic.as_str().into(),
            partition: place.partition,
            topic_id: None,
            ready: Arc::new(AtomicBool::new(true)),
            state: Mutex::new(state),
        }
    }

    /// Takes what is there, up to the limits. `None` when nothing is.
    pub(super) fn take(&self, limits: Limits, converter: &mut Converter) -> Option<Taken> {
        // Before looking, so that what comes while we look is looked for again.
        if !self.ready.swap(false, Ordering::Acquire) {
            return None;
        }
        let mut state = self.lock();
        let State { queue: Some(queue), leaving: false, first, handed, .. } = &mut *state else { return None };
        let (mut records, mut bytes, mut error) = (Vec::new(), 0, None);
        loop {
            if records.len() >= limits.records || bytes >= limits.bytes {
                self.ready.store(true, Ordering::Release);
                break;
            }
            match queue.poll(Duration::ZERO) {
                None => break,
                // While partitions are reassigned librdkafka may read the last message of the others again.
                Some(Ok(message)) if handed.is_some_and(|handed| message.offset() <= handed) => {}
                Some(Ok(message)) => {
                    let record = converter.record(&message, &self.topic);
                    bytes += record.size();
                    records.push(record);
                    first.get_or_insert(message.offset());
                    *handed = Some(message.offset());
                }
                Some(Err(KafkaError::PartitionEOF(_))) => {}
                Some(Err(failed)) => {
                    error = Some(failed);
                    break;
                }
            }
        }
        let last = handed.unwrap_or(-1);
        (!records.is_empty() || error.is_some()).then_some(Taken { records, last, error })
    }

    /// Everything up to there is settled (I1).
    pub(super) fn settle(&self, offset: i64) {
        let mut state = self.lock();
        if state.queue.is_some() && state.settled.is_none_or(|settled| settled < offset) {
            state.settled = Some(offset); // I2
        }
    }

    /// Nothing more is handed out.
    pub(super) fn leave(&self) {
        self.lock().leaving = true;
    }

    /// Ends it: nothing more is handed out, and nothing more is settled (I3).
    pub(super) fn end(&self) {
        let queue = {
            let mut state = self.lock();
            state.leaving = true;
            state.queue.take()
        };
        drop(queue);
    }

    pub(super) fn has_ended(&self) -> bool {
        self.lock().queue.is_none()
    }

    /// Whether it is being taken away, or has ended.
    pub(super) fn is_leaving(&self) -> bool {
        self.lock().leaving
    }

    /// Whether it ever handed out a record.
    pub(super) fn has_given(&self) -> bool {
        self.lock().handed.is_some()
    }

    /// Whether everything that was handed out is settled.
    pub(super) fn is_settled(&self) -> bool {
        let state = self.lock();
        state.handed == state.settled
    }

    /// Where to read again what was handed out and is not settled; `None` when nothing is, or when it is another's soon.
    pub(super) fn unsettled(&self) -> Option<i64> {
        let state = self.lock();
        let is_unsettled = state.handed != state.settled && !state.leaving;
        state.settled.map(|settled| settled + 1).or(state.first).filter(|_| is_unsettled)
    }

    /// What was handed out and is not settled counts as never handed out: it is read again.
    pub(super) fn rewind(&self) {
        let mut state = self.lock();
        state.handed = state.settled;
        self.ready.store(true, Ordering::Release);
    }

    /// The offset behind what was handed out.
    pub(super) fn next_offset(&self) -> Option<i64> {
        self.lock().handed.map(|handed| handed + 1)
    }

    /// The offset that is handed out next, as far as it is known.
    pub(super) fn expected(&self) -> Option<i64> {
        let state = self.lock();
        let reached = state.gone.map(|(_, to)| to);
        state.handed.map(|handed| handed + 1).or(state.begin).max(reached)
    }

    /// The partition ended there when it was last heard of.
    pub(super) fn heard_of_end(&self, end: i64) {
        self.lock().end = Some(end).filter(|end| *end >= 0);
    }

    /// Records that are known to be there and were never handed out.
    pub(super) fn unread(&self) -> u64 {
        let state = self.lock();
        let next = state.handed.map(|handed| handed + 1).or(state.begin);
        let unread = state.end.zip(next).map_or(0, |(end, next)| end.saturating_sub(next));
        u64::try_from(unread).unwrap_or(0)
    }

    /// These offsets are gone, `to` not among them.
    pub(super) fn skip(&self, from: i64, to: i64) {
        self.lock().gone = Some((from, to));
    }

    /// What the group should know and does not yet: the offset to read next. What is gone cannot be settled, so it holds up
    /// nothing once everything before it is.
    pub(super) fn uncommitted(&self) -> Option<i64> {
        let state = self.lock();
        let next = state.settled.map(|settled| settled + 1).or(state.begin);
        let wanted = match (next, state.gone) {
            (Some(next), Some((from, to))) if next >= from => next.max(to),
            (None, Some((_, to))) if state.handed.is_none() => to,
            (next, _) => next?,
        };
        state.committed.is_none_or(|committed| committed < wanted).then_some(wanted) // I2
    }

    /// The group knows.
    pub(super) fn committed(&self, offset: i64) {
        self.lock().committed = Some(offset);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Numbers and a queue: usable whatever panicked while holding them.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
