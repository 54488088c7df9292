//! Where a consumer of a stream goes on when it starts again.
//!
//! A stream keeps its messages whatever is acknowledged, and its consumer starts where it asks to (`x-stream-offset`). So what
//! is settled is remembered, for the task's next source in this process: that one goes on behind it (I1). A new process knows
//! nothing, and starts where the person said. So does one that is told to start elsewhere.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use gantry_sdk::{Record, Value};
use lapin::types::{AMQPValue, FieldTable};

use crate::source::memory::{QueueMemory, Reading, Upto};

/// The argument of a consumer, and the header of each message of a stream.
const OFFSET: &str = "x-stream-offset";

/// The place of one consumer in one stream.
#[derive(Debug)]
pub(super) struct Place {
    queue: Arc<str>,
    memory: Arc<QueueMemory>,
    /// Where this instance began, until its first message came.
    began: Option<Upto>,
    /// The last tags of batches that are with the runtime, with the offset behind each; at most as many as are on their way.
    batches: VecDeque<(u64, i64)>,
}

impl Place {
    /// Where a consumer with these arguments goes on, which it is told in them. `None` where no place was asked for.
    pub(super) fn recall(queue: &str, memory: Arc<QueueMemory>, arguments: &mut FieldTable) -> Option<Self> {
        let asked = arguments.inner().get(OFFSET)?.clone();
        let mut known = memory.lock();
        let last = known.place.as_ref().filter(|reading| reading.asked == asked).map(|reading| reading.upto);
        let from = match last {
            Some(Upto::Next(next)) => Some(AMQPValue::LongLongInt(next)),
            // "next" and "last" would be others now, and "first" or a number is the same.
            Some(Upto::Since(seconds)) if moves(&asked) => Some(AMQPValue::Timestamp(seconds)),
            Some(Upto::Since(_)) | None => None,
        };
        if let Some(from) = from {
            arguments.insert(OFFSET.into(), from);
        }
        let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let upto = last.unwrap_or_else(|| Upto::Since(now()));
        known.place = Some(Reading { asked, upto });
        drop(known);
        Some(Self { queue: queue.into(), memory, began: Some(upto), batches: VecDeque::new() })
    }

    /// These go to the runtime; `tag` is the last one's.
    pub(super) fn hand_out(&mut self, records: &[Record], tag: u64) {
        let (first, last) = (records.first().and_then(offset), records.last().and_then(offset));
        if let Some(first) = first
            && let Some(began) = self.began.take()
        {
            self.begin(began, first);
        }
        if let Some(last) = last {
            self.batches.push_back((tag, last + 1));
        }
    }

    /// Everything up to that tag is settled.
    pub(super) fn settle(&mut self, tag: u64) {
        let mut next = None;
        while let Some((_, behind)) = self.batches.front().filter(|(last, _)| *last <= tag) {
            next = Some(*behind);
            self.batches.pop_front();
        }
        if let Some(next) = next {
            self.remember(Upto::Next(next));
        }
    }

    /// There is no such stream: one of the same name that comes later is another, of which nothing has been read.
    pub(super) fn begin_anew(&self) {
        self.remember(Upto::Next(0));
    }

    fn begin(&self, began: Upto, first: i64) {
        match began {
            Upto::Since(_) => self.remember(Upto::Next(first)),
            Upto::Next(expected) if first > expected => tracing::warn!(
                queue = &*self.queue,
                from = expected,
                to = first - 1,
                "the stream has removed messages before they were read"
            ),
            Upto::Next(_) => {}
        }
    }

    fn remember(&self, upto: Upto) {
        if let Some(reading) = &mut self.memory.lock().place {
            reading.upto = upto;
        }
    }
}

/// Whether that came from a stream.
pub(super) fn is_of_a_stream(record: &Record) -> bool {
    record.headers.get(OFFSET).is_some()
}

/// Whether it means another place later.
fn moves(asked: &AMQPValue) -> bool {
    matches!(asked, AMQPValue::LongString(text) if text.as_bytes() != b"first")
}

fn offset(record: &Record) -> Option<i64> {
    match record.headers.get(OFFSET) {
        Some(Value::I64(offset)) => Some(*offset),
        _ => None,
    }
}
