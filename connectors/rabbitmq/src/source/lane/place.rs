//! Where a consumer of a stream goes on when it starts again.
//!
//! A stream keeps its messages whatever is acknowledged, and its consumer starts where it asks to (`x-stream-offset`). So what
//! is settled is remembered here, for the next instance in this process: that one goes on behind it (I1). A new process
//! knows nothing, and starts where the person said.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use gantry_sdk::{Record, Value};
use lapin::types::{AMQPValue, FieldTable};

/// The argument of a consumer, and the header of each message of a stream.
const OFFSET: &str = "x-stream-offset";

/// More streams than this are not remembered: reloads may bring ever new ones.
const MOST: usize = 10_000;

/// What is known of a place in a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    /// Nothing has come yet. When the first consumer began, in seconds since 1970.
    Since(u64),
    /// The next message that is not settled.
    Next(i64),
}

/// By consumer, queue, and what the person said.
type Key = (String, String, String);

static MEMORY: Mutex<Option<HashMap<Key, Known>>> = Mutex::new(None);

/// The place of one consumer in one stream.
#[derive(Debug)]
pub(super) struct Place {
    key: Key,
    /// Where this instance began, until its first message came.
    expected: Option<i64>,
    seen: bool,
    /// The last tags of batches that are with the runtime, with the offset behind each; at most as many as are on their way.
    batches: VecDeque<(u64, i64)>,
}

impl Place {
    /// Where a consumer with these arguments goes on, which it is told in them. `None` where no place was asked for.
    pub(super) fn recall(consumer: &str, queue: &str, arguments: &mut FieldTable) -> Option<Self> {
        let asked = arguments.inner().get(OFFSET)?.clone();
        let key = (consumer.to_owned(), queue.to_owned(), format!("{asked:?}"));
        let mut memory = lock();
        let memory = memory.get_or_insert_default();
        let expected = match memory.get(&key).copied() {
            Some(Known::Next(next)) => {
                arguments.insert(OFFSET.into(), AMQPValue::LongLongInt(next));
                Some(next)
            }
            // "next" and "last" would be others now, and "first" or a number is the same.
            Some(Known::Since(seconds)) => {
                if moves(&asked) {
                    arguments.insert(OFFSET.into(), AMQPValue::Timestamp(seconds));
                }
                None
            }
            None => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
                if memory.len() < MOST {
                    memory.insert(key.clone(), Known::Since(now));
                }
                None
            }
        };
        Some(Self { key, expected, seen: false, batches: VecDeque::new() })
    }

    /// These go to the runtime; `tag` is the last one's.
    pub(super) fn hand_out(&mut self, records: &[Record], tag: u64) {
        let (first, last) = (records.first().and_then(offset), records.last().and_then(offset));
        if let (false, Some(first)) = (self.seen, first) {
            self.begin(first);
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
            self.remember(Known::Next(next));
        }
    }

    /// There is no such stream: one of the same name that comes later is another, of which nothing has been read.
    pub(super) fn begin_anew(&self) {
        self.remember(Known::Next(0));
    }

    fn begin(&mut self, first: i64) {
        self.seen = true;
        match self.expected {
            None => self.remember(Known::Next(first)),
            Some(expected) if first > expected => tracing::warn!(
                queue = self.key.1,
                from = expected,
                to = first - 1,
                "the stream has removed messages before they were read"
            ),
            Some(_) => {}
        }
    }

    fn remember(&self, known: Known) {
        if let Some(own) = lock().as_mut().and_then(|memory| memory.get_mut(&self.key)) {
            *own = known;
        }
    }
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

fn lock() -> MutexGuard<'static, Option<HashMap<Key, Known>>> {
    MEMORY.lock().unwrap_or_else(PoisonError::into_inner)
}
