//! What the source and its member's thread share.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use gantry_sdk::{Error, PartitionLag};
use tokio::sync::{Notify, oneshot};

use super::{IsolationLevel, commits::Lanes, lag::Standing, lane::PartitionLane, plan::Plan};

/// No statistics came yet.
const UNKNOWN: u64 = u64::MAX;

pub(super) struct MemberState {
    wake: Arc<Notify>,
    stopping: AtomicBool,
    /// Records that wait at the brokers.
    backlog: AtomicU64,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// Lanes that the source has not seen yet.
    arrivals: Vec<Arc<PartitionLane>>,
    failure: Option<Error>,
    /// Somebody waits for everything to be rewound, and for whether that worked.
    rewind: Option<oneshot::Sender<bool>>,
}

impl MemberState {
    pub(super) fn new() -> Self {
        Self {
            wake: Arc::default(),
            stopping: AtomicBool::new(false),
            backlog: AtomicU64::new(UNKNOWN),
            inner: Mutex::default(),
        }
    }

    /// To be told when there may be something to take, and to tell so.
    pub(super) fn wake(&self) -> &Arc<Notify> {
        &self.wake
    }

    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// This instance has ended. The first reason is the one to tell.
    pub(super) fn fail(&self, error: Error) {
        self.lock().failure.get_or_insert(error);
        self.wake.notify_one();
    }

    pub(super) fn take_failure(&self) -> Option<Error> {
        self.lock().failure.take()
    }

    /// What is not settled is to be read again. The receiver says whether it will be.
    pub(super) fn rewind(&self) -> oneshot::Receiver<bool> {
        let (rewound, when_rewound) = oneshot::channel();
        self.lock().rewind = Some(rewound);
        when_rewound
    }

    pub(super) fn wants_rewind(&self) -> Option<oneshot::Sender<bool>> {
        self.lock().rewind.take()
    }

    pub(super) fn arrive(&self, lanes: Vec<Arc<PartitionLane>>) {
        self.lock().arrivals.extend(lanes);
        self.wake.notify_one();
    }

    pub(super) fn take_arrivals(&self) -> Vec<Arc<PartitionLane>> {
        std::mem::take(&mut self.lock().arrivals)
    }

    /// Records that wait at the brokers, as far as it is known.
    pub(super) fn backlog(&self) -> Option<u64> {
        Some(self.backlog.load(Ordering::Relaxed)).filter(|backlog| *backlog != UNKNOWN)
    }

    /// librdkafka said where it is.
    pub(super) fn say_lag(&self, plan: &Plan, lanes: &Lanes, standings: &[Standing]) {
        let committed_only = plan.options.isolation_level == IsolationLevel::ReadCommitted;
        for standing in standings {
            if let Some(lane) = lanes.get(&standing.place) {
                lane.heard_of_end(standing.high);
            }
        }
        let ours = standings.iter().filter_map(|standing| Some((standing, lanes.get(&standing.place)?)));
        let lag = |(standing, lane): (&Standing, &Arc<PartitionLane>)| {
            let records = standing.lag(lane.next_offset(), committed_only)?;
            Some(PartitionLag { topic: lane.topic.clone(), partition: lane.partition, records })
        };
        let mut lags: Vec<_> = ours.filter_map(lag).collect();
        lags.sort_by(|a, b| (&a.topic, a.partition).cmp(&(&b.topic, b.partition)));
        self.backlog.store(lags.iter().map(|lag| lag.records).sum(), Ordering::Relaxed);
        plan.context.lag.set(lags);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Lists: usable whatever panicked while holding them.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
