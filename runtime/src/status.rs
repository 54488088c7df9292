//! What a bridge says of itself: to the control port, to `gantry status`, to the live line.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use gantry_sdk::{Depth, Lag, Lost};
use tokio::sync::Notify;

use crate::stages::ByStage;

/// What a person wants of a bridge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Target {
    /// Move records.
    Running,
    /// Keep connections, move nothing.
    Paused,
    /// Give everything back, connect to nothing.
    Stopped,
}

/// Where a task is in its life; drawn in docs/architecture.md.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TaskState {
    /// Connecting for the first time.
    Starting,
    /// Moving records, or waiting for some.
    Running,
    /// Connected, moving nothing because a person said so.
    Paused,
    /// Something ended; it will be tried again soon.
    BackingOff,
    /// Something only a person can mend; it is tried again slowly.
    Failed,
    /// Giving back what is in flight.
    Stopping,
    /// Connected to nothing because a person said so.
    Stopped,
    /// A finite source is exhausted and everything is delivered.
    Finished,
}

impl TaskState {
    /// All states, for metrics.
    pub const ALL: [Self; 8] = [
        Self::Starting,
        Self::Running,
        Self::Paused,
        Self::BackingOff,
        Self::Failed,
        Self::Stopping,
        Self::Stopped,
        Self::Finished,
    ];

    /// The word for people, metrics and the native API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::BackingOff => "backing_off",
            Self::Failed => "failed",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Finished => "finished",
        }
    }

    /// Kafka Connect's word; clients know no others.
    pub const fn as_connect(self) -> &'static str {
        match self {
            Self::Starting | Self::Stopping | Self::Stopped => "UNASSIGNED",
            Self::Running | Self::Finished => "RUNNING",
            Self::Paused => "PAUSED",
            Self::BackingOff => "RESTARTING",
            Self::Failed => "FAILED",
        }
    }
}

/// What became of records, since the process started. One snapshot is consistent:
/// `records_in - records_returned = records_out + filtered + dead_lettered + in_flight` holds in each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Records that the source gave, redeliveries counted again.
    pub records_in: u64,
    /// Their bytes.
    pub bytes_in: u64,
    /// Records of the source of which the sink confirmed all that became of them.
    pub records_out: u64,
    /// Their bytes as the source gave them.
    pub bytes_out: u64,
    /// Records dropped by an explicit rule.
    pub filtered: u64,
    /// Of those, the ones that were refused and that the bridge tolerates to lose.
    pub dropped: u64,
    /// Records whose dead letter is confirmed.
    pub dead_lettered: u64,
    /// Records given back to the source unsettled; it will deliver them again.
    pub returned: u64,
    /// Records that the source gave and nobody settled yet.
    pub in_flight: u64,
    /// Their bytes.
    pub in_flight_bytes: u64,
    /// Batches that the source gave.
    pub batches: u64,
    /// Commits to the source.
    pub commits: u64,
    /// Times that the task started again after an error.
    pub reconnects: u64,
    /// Times that it did because nothing moved although it could.
    pub stalls: u64,
}

/// How one task is.
#[derive(Debug, Clone)]
pub struct TaskStatus {
    /// Its number in the bridge.
    pub id: u32,
    /// Where it is in its life.
    pub state: TaskState,
    /// Since when.
    pub since: SystemTime,
    /// The last error, while it matters: in `BackingOff` and `Failed`, or what a connector complains of while running. Before it
    /// the step that takes long just now, which makes a task that runs not ready.
    pub error: Option<Arc<str>>,
    /// When it tries again; `None` while it does not wait for that.
    pub next_try: Option<SystemTime>,
    /// When a record was last settled; `None` if never.
    pub last_progress: Option<SystemTime>,
    /// The lanes' incarnation.
    pub epoch: u64,
    /// What became of records.
    pub counts: Counts,
    /// Those of `counts.dead_lettered` by the part that refused them.
    pub dead_letters: ByStage,
    /// How far the source is behind, where it is a log.
    pub lag: Lag,
    /// How much waits in the source's queues, where it reads some.
    pub depth: Depth,
    /// What was gone at the source's broker before it was read. It stays, and does not make the task less ready: nothing
    /// can be done about it any more.
    pub lost: Lost,
}

/// How a bridge is.
#[derive(Debug, Clone)]
pub struct BridgeStatus {
    /// Its name.
    pub name: Arc<str>,
    /// What a person wants of it.
    pub target: Target,
    /// Its tasks, by number; none while stopped.
    pub tasks: Vec<TaskStatus>,
}

impl BridgeStatus {
    /// Whether it does what is wanted of it: every task of a bridge that should run does run.
    pub fn is_ready(&self) -> bool {
        self.target != Target::Running || self.tasks.iter().all(TaskStatus::is_ready)
    }
}

impl TaskStatus {
    /// Changes the counts, with these dead letters: the sum and the stages never differ.
    fn settle(&mut self, dead_letters: &ByStage, change: impl FnOnce(&mut Counts)) {
        change(&mut self.counts);
        self.counts.dead_lettered += dead_letters.total();
        self.dead_letters.add_all(dead_letters);
    }

    /// Whether it does what a task is there for.
    pub fn is_ready(&self) -> bool {
        matches!(self.state, TaskState::Running | TaskState::Finished) && self.error.is_none()
    }
}

/// The task's side of its status: written by the task, read by anyone.
#[derive(Debug)]
pub struct Progress {
    status: Mutex<TaskStatus>,
    /// The step that takes long, for as long as it goes on.
    slow_step: Mutex<Option<Arc<str>>>,
    finished: Notify,
    failed: Notify,
    /// The last stop ended with records unsettled.
    undrained: AtomicBool,
}

impl Progress {
    /// A task that has not started yet.
    pub fn new(id: u32) -> Self {
        let status = TaskStatus {
            id,
            state: TaskState::Starting,
            since: SystemTime::now(),
            error: None,
            next_try: None,
            last_progress: None,
            epoch: 0,
            counts: Counts::default(),
            dead_letters: ByStage::default(),
            lag: Lag::default(),
            depth: Depth::default(),
            lost: Lost::default(),
        };
        Self {
            status: Mutex::new(status),
            slow_step: Mutex::default(),
            finished: Notify::new(),
            failed: Notify::new(),
            undrained: AtomicBool::new(false),
        }
    }

    /// One consistent snapshot.
    pub fn snapshot(&self) -> TaskStatus {
        let mut status = self.lock().clone();
        if let Some(step) = &*self.slow_step.lock().unwrap_or_else(PoisonError::into_inner) {
            status.error = Some(match status.error {
                Some(error) => format!("{step}; before that: {error}").into(),
                None => step.clone(),
            });
        }
        status
    }

    /// The last error, and no step that takes long: what goes on into another state.
    pub fn error(&self) -> Option<Arc<str>> {
        self.lock().error.clone()
    }

    /// A step takes long, as it is shown from now on; `None`: none does.
    pub fn set_slow_step(&self, step: Option<Arc<str>>) {
        *self.slow_step.lock().unwrap_or_else(PoisonError::into_inner) = step;
    }

    /// Where the source says how far it is behind.
    pub fn lag(&self) -> Lag {
        self.lock().lag.clone()
    }

    /// Where the source says how much waits in its queues.
    pub fn depth(&self) -> Depth {
        self.lock().depth.clone()
    }

    /// Where the source says what was gone before it was read.
    pub fn lost(&self) -> Lost {
        self.lock().lost.clone()
    }

    /// A new state, with the reason when there is one to tell.
    pub fn enter(&self, state: TaskState, error: Option<Arc<str>>) {
        self.change_to(state, error, None);
    }

    /// The same for a state that it will leave by itself: it tries again after that time.
    pub fn wait(&self, state: TaskState, error: Arc<str>, pause: Duration) {
        self.change_to(state, Some(error), SystemTime::now().checked_add(pause));
    }

    fn change_to(&self, state: TaskState, error: Option<Arc<str>>, next_try: Option<SystemTime>) {
        let mut status = self.lock();
        if status.state != state {
            status.since = SystemTime::now();
        }
        status.state = state;
        status.error = error;
        status.next_try = next_try;
        match state {
            TaskState::Finished => self.finished.notify_one(),
            TaskState::Failed => self.failed.notify_one(),
            _ => {}
        }
    }

    /// Returns when the task has finished. For one waiter.
    pub async fn wait_until_finished(&self) {
        while self.snapshot().state != TaskState::Finished {
            self.finished.notified().await;
        }
    }

    /// Returns when the task has failed. For one waiter.
    pub async fn wait_until_failed(&self) {
        while self.snapshot().state != TaskState::Failed {
            self.failed.notified().await;
        }
    }

    /// How a stop ended: whether records were left unsettled.
    pub fn drained(&self, left: usize) {
        self.undrained.store(left > 0, Ordering::Relaxed);
    }

    /// Whether the last stop left nothing unsettled.
    pub fn is_drained(&self) -> bool {
        !self.undrained.load(Ordering::Relaxed)
    }

    /// What a connector complains of while the task runs; `None` when it is over.
    pub fn complain(&self, error: Option<Arc<str>>) {
        self.lock().error = error;
    }

    /// A new incarnation of the lanes. How the last one stopped does not matter any more.
    pub fn begin_epoch(&self, epoch: u64) {
        self.undrained.store(false, Ordering::Relaxed);
        let mut status = self.lock();
        status.epoch = epoch;
        status.next_try = None;
    }

    /// Changes the counts in one step, so that no scrape sees half of it.
    pub fn count(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut self.lock().counts);
    }

    /// The same for records that were settled just now, these dead letters among them.
    pub fn settled(&self, dead_letters: &ByStage, change: impl FnOnce(&mut Counts)) {
        let mut status = self.lock();
        status.settle(dead_letters, change);
        status.last_progress = Some(SystemTime::now());
    }

    /// The same for records that go back to their source, but for these, which are dead letters there.
    pub fn returned(&self, rejected: &ByStage, change: impl FnOnce(&mut Counts)) {
        self.lock().settle(rejected, change);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, TaskStatus> {
        // Nothing in here panics half-way; if it did, stale numbers are better than none.
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
