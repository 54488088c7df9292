//! One bridge under supervision: its tasks, and what is wanted of them.

use std::{sync::Arc, time::Duration};

use futures_util::future::select_all;
use gantry_sdk::Shared;
use tokio::{
    sync::watch,
    task::AbortHandle,
    time::{Instant, timeout_at},
};

use crate::{
    assignment::{Assignment, Wanted},
    budget::Budget,
    definition::Definition,
    memory::Memory,
    observer::Observer,
    status::{BridgeStatus, Progress, Target, TaskState, TaskStatus},
    task::Task,
};

/// What closing may take after the drain: each of its parts has a deadline of its own, and this is more than all of them.
const CLOSING: Duration = Duration::from_secs(45);

/// How long a task that was cancelled may take to notice: until the end of what it computes just now.
const CANCELLING: Duration = Duration::from_secs(5);

/// One bridge under supervision.
#[derive(Debug)]
pub struct Bridge {
    definition: Arc<Definition>,
    life: Arc<Life>,
}

/// What runs; shared when only the wording of the definition changes.
#[derive(Debug)]
struct Life {
    tasks: Vec<Handle>,
    target: watch::Sender<Target>,
}

#[derive(Debug)]
struct Handle {
    progress: Arc<Progress>,
    /// The task holds the other end for as long as it lives.
    wanted: watch::Sender<Wanted>,
    /// For the task of that number in a successor of the bridge.
    memory: Memory,
    running: AbortHandle,
}

/// Which tasks to restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    /// All of them.
    All,
    /// Those that failed.
    OnlyFailed,
    /// One, by its number.
    Task(u32),
}

impl Bridge {
    /// Spawns its tasks. It takes over from the one that it replaces what a person wants of it, and what its parts remember.
    pub(super) fn start(
        definition: Arc<Definition>,
        before: Option<&Self>,
        drain: Duration,
        budget: &Budget,
        observer: &dyn Observer,
        shared: &Shared,
    ) -> Self {
        let target = before.map_or(Target::Running, Self::target);
        let spawn = |id| {
            let progress = Arc::new(Progress::new(id));
            let first = Wanted { target, restarts: 0, tries: 0, exit: false, drain };
            let (sender, wanted) = watch::channel(first);
            let observer = observer.task(&definition.name, id);
            let memory = Memory::after(before.and_then(|before| before.memory_of(id)), definition.sinks.len());
            let task = Task::new(Assignment {
                id,
                definition: definition.clone(),
                progress: progress.clone(),
                observer,
                share: Arc::new(budget.join()),
                memory: memory.clone(),
                shared: shared.clone(),
                wanted,
            });
            Handle { progress, wanted: sender, memory, running: tokio::spawn(task.run()).abort_handle() }
        };
        let tasks = (0..definition.tasks).map(spawn).collect();
        Self { life: Arc::new(Life { tasks, target: watch::Sender::new(target) }), definition }
    }

    fn memory_of(&self, task: u32) -> Option<&Memory> {
        self.life.tasks.get(task as usize).map(|task| &task.memory)
    }

    /// The same bridge with another wording of the same definition.
    pub(super) fn redefined(&self, definition: Arc<Definition>) -> Self {
        Self { definition, life: self.life.clone() }
    }

    /// What it is.
    pub fn definition(&self) -> &Arc<Definition> {
        &self.definition
    }

    /// What a person wants of it.
    pub(super) fn target(&self) -> Target {
        *self.life.target.borrow()
    }

    /// How it is. A stopped bridge has no tasks, as in Kafka Connect.
    pub fn status(&self) -> BridgeStatus {
        let target = self.target();
        let mut tasks = self.task_statuses();
        if target == Target::Stopped && tasks.iter().all(|task| task.state == TaskState::Stopped) {
            tasks.clear();
        }
        BridgeStatus { name: self.definition.name.clone(), target, tasks }
    }

    /// How its tasks are, stopped ones as well: counts go on being served.
    pub fn task_statuses(&self) -> Vec<TaskStatus> {
        self.life.tasks.iter().map(|task| task.progress.snapshot()).collect()
    }

    /// What a person wants of it from now on. Returns at once.
    pub(crate) fn set_target(&self, target: Target) {
        self.life.target.send_replace(target);
        for task in &self.life.tasks {
            task.wanted.send_if_modified(|wanted| {
                let changed = wanted.target != target;
                wanted.target = target;
                changed
            });
        }
    }

    /// How long its drain may take. Tells nobody: a task that waits for something else to be wanted must go on waiting.
    pub(super) fn set_drain(&self, drain: Duration) {
        for task in &self.life.tasks {
            task.wanted.send_if_modified(|wanted| {
                wanted.drain = drain;
                false
            });
        }
    }

    /// Restarts tasks: drains, closes and opens them again. Returns which; none of a stopped bridge.
    pub fn restart(&self, which: Restart) -> Vec<u32> {
        if self.target() == Target::Stopped {
            return Vec::new();
        }
        let is_meant = |task: &&Handle| {
            let status = task.progress.snapshot();
            match which {
                Restart::All => true,
                Restart::OnlyFailed => status.state == TaskState::Failed,
                Restart::Task(id) => status.id == id,
            }
        };
        self.life
            .tasks
            .iter()
            .filter(is_meant)
            .map(|task| {
                task.wanted.send_modify(|wanted| wanted.restarts += 1);
                task.progress.snapshot().id
            })
            .collect()
    }

    /// Makes those of its tasks that wait for their next try do it now. Returns whether there was one.
    pub(super) fn try_now(&self) -> bool {
        let waiting = self.life.tasks.iter().filter(|task| task.progress.snapshot().next_try.is_some());
        waiting.map(|task| task.wanted.send_modify(|wanted| wanted.tries += 1)).count() > 0
    }

    /// Returns when its source is exhausted and everything is delivered.
    pub(super) async fn finished(&self) {
        for task in &self.life.tasks {
            task.progress.wait_until_finished().await;
        }
    }

    /// Returns when one of its tasks has failed: the bridge's name.
    pub(super) async fn failed(&self) -> Arc<str> {
        select_all(self.life.tasks.iter().map(|task| Box::pin(task.progress.wait_until_failed()))).await;
        self.definition.name.clone()
    }

    /// Ends its tasks for good: they drain, give back what is left and disconnect. Returns when they are gone: whether
    /// everything in flight was settled in time. Dropped half-way and called again, it waits on.
    pub(super) async fn end(&self) -> bool {
        for task in &self.life.tasks {
            task.wanted.send_modify(|wanted| wanted.exit = true);
        }
        let drain = self.life.tasks.first().map_or(Duration::ZERO, |task| task.wanted.borrow().drain);
        let ended = self.gone_within(drain + CLOSING).await;
        if !ended {
            tracing::warn!(bridge = %self.definition.name, "does not end: cancelling its tasks");
            self.life.tasks.iter().for_each(|task| task.running.abort());
            self.gone_within(CANCELLING).await;
        }
        ended && self.life.tasks.iter().all(|task| task.progress.is_drained())
    }

    /// Whether all tasks are gone within that time.
    async fn gone_within(&self, time: Duration) -> bool {
        let deadline = Instant::now() + time;
        for task in &self.life.tasks {
            if timeout_at(deadline, task.wanted.closed()).await.is_err() {
                return false;
            }
        }
        true
    }

    /// Tells who heard of its tasks that they have ended for good.
    pub(super) fn forget(&self, observer: &dyn Observer) {
        self.life.tasks.iter().for_each(|task| observer.forget(&self.definition.name, task.progress.snapshot().id));
    }
}

#[cfg(test)]
impl Bridge {
    /// Hears what its first task hears.
    pub(crate) fn listen(&self) -> watch::Receiver<Wanted> {
        self.life.tasks[0].wanted.subscribe()
    }
}
