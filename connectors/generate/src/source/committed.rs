//! What is remembered of the queues that generators play: by the process, or by the sink.
//!
//! A source that reconnects is a new instance; a real broker would remember for it, so the process does as long as it lives.
//! For exactly once the sink remembers, and the process does not: what it remembered could be ahead of what the sink has.

use std::{
    collections::HashMap,
    sync::{
        Arc, LazyLock, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use gantry_sdk::{Context, Error, Result};

type Queues = HashMap<(Arc<str>, u32), Arc<AtomicU64>>;

/// One small entry for each task of each bridge that ever generated; never removed.
static QUEUES: LazyLock<Mutex<Queues>> = LazyLock::new(Mutex::default);

/// Who remembers the number of the last record of one queue that is settled; 0 for none.
#[derive(Debug)]
pub(super) enum Memory {
    /// This process.
    Process(Arc<AtomicU64>),
    /// The sink; what it had stored at the opening.
    Sink(u64),
}

impl Memory {
    /// That of this bridge's task.
    pub(super) fn of(context: &Context, lane_key: &str) -> Result<Self> {
        if !context.exactly_once {
            // A panic cannot leave the map half changed.
            let mut queues = QUEUES.lock().unwrap_or_else(PoisonError::into_inner);
            return Ok(Self::Process(queues.entry((context.bridge.clone(), context.task)).or_default().clone()));
        }
        match context.stored.get(lane_key) {
            None => Ok(Self::Sink(0)),
            Some(position) => position.as_u64().map(Self::Sink).ok_or_else(|| {
                Error::config(format!(
                    "the sink has stored {position:?} for {lane_key}, which is not the number of a generated record: \
                     another source stored it; give the bridge another name"
                ))
            }),
        }
    }

    pub(super) fn last_settled(&self) -> u64 {
        match self {
            Self::Process(number) => number.load(Ordering::Acquire),
            Self::Sink(number) => *number,
        }
    }

    /// Only ever grows, whoever calls (I2).
    pub(super) fn settled(&self, number: u64) {
        if let Self::Process(own) = self {
            own.fetch_max(number, Ordering::AcqRel);
        }
    }
}
