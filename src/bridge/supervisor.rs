//! Starts, steers and ends the tasks of all bridges. The one place that spawns tasks of the data path.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{sync::watch, task::JoinSet};

use super::{
    definition::Definition,
    status::{BridgeStatus, Progress, Target, TaskState},
    task::{Task, Wanted},
};
use crate::telemetry::metrics::TaskMetrics;

/// All bridges of the process. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Bridges {
    bridges: Arc<BTreeMap<Arc<str>, Arc<Bridge>>>,
    tasks: Arc<Mutex<JoinSet<()>>>,
    drain: Duration,
}

/// One bridge under supervision.
#[derive(Debug)]
pub struct Bridge {
    definition: Arc<Definition>,
    tasks: Vec<Handle>,
    target: watch::Sender<Target>,
}

#[derive(Debug)]
struct Handle {
    progress: Arc<Progress>,
    wanted: watch::Sender<Wanted>,
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

// === impl Bridges ===

impl Bridges {
    /// Starts every bridge. `drain` is how long each may take to settle what is in flight when it stops.
    pub fn start(definitions: Vec<Arc<Definition>>, drain: Duration) -> Self {
        let mut tasks = JoinSet::new();
        let start = |definition: Arc<Definition>| {
            (definition.name.clone(), Arc::new(Bridge::start(definition, drain, &mut tasks)))
        };
        let bridges = definitions.into_iter().map(start).collect();
        Self { bridges: Arc::new(bridges), tasks: Arc::new(Mutex::new(tasks)), drain }
    }

    /// All of them, by name.
    pub fn all(&self) -> Vec<Arc<Bridge>> {
        self.bridges.values().cloned().collect()
    }

    /// The one of that name.
    pub fn get(&self, name: &str) -> Option<Arc<Bridge>> {
        self.bridges.get(name).cloned()
    }

    /// Returns when every bridge has a finite source and has delivered all of it. Never for bridges that go on.
    pub async fn finished(&self) {
        for bridge in self.bridges.values() {
            for task in &bridge.tasks {
                task.progress.wait_until_finished().await;
            }
        }
    }

    /// Stops everything: drains, gives back what is left, disconnects. Returns whether everything in flight was
    /// settled in time.
    pub async fn shutdown(&self) -> bool {
        for bridge in self.bridges.values() {
            bridge.tasks.iter().for_each(|task| task.wanted.send_modify(|wanted| wanted.exit = true));
        }
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        // Draining has its own deadline, and so has each close after it.
        let deadline = self.drain + Duration::from_secs(35);
        let ended = tokio::time::timeout(deadline, async { while tasks.join_next().await.is_some() {} }).await.is_ok();
        ended && self.bridges.values().flat_map(|bridge| &bridge.tasks).all(|task| task.progress.is_drained())
    }
}

// === impl Bridge ===

impl Bridge {
    fn start(definition: Arc<Definition>, drain: Duration, tasks: &mut JoinSet<()>) -> Self {
        let spawn = |id| {
            let progress = Arc::new(Progress::new(id));
            let first = Wanted { target: Target::Running, restarts: 0, exit: false };
            let (sender, wanted) = watch::channel(first);
            let metrics = TaskMetrics::new(&definition.name, id);
            let task = Task { id, definition: definition.clone(), progress: progress.clone(), metrics, wanted, drain };
            tasks.spawn(task.run());
            Handle { progress, wanted: sender }
        };
        let handles = (0..definition.tasks).map(spawn).collect();
        Self { tasks: handles, target: watch::Sender::new(Target::Running), definition }
    }

    /// What it is.
    pub fn definition(&self) -> &Definition {
        &self.definition
    }

    /// How it is. A stopped bridge has no tasks, as in Kafka Connect.
    pub fn status(&self) -> BridgeStatus {
        let target = *self.target.borrow();
        let mut tasks: Vec<_> = self.tasks.iter().map(|task| task.progress.snapshot()).collect();
        if target == Target::Stopped && tasks.iter().all(|task| task.state == TaskState::Stopped) {
            tasks.clear();
        }
        BridgeStatus { name: self.definition.name.clone(), target, tasks }
    }

    /// How its tasks are, stopped ones as well: counts go on being served.
    pub fn task_statuses(&self) -> Vec<super::TaskStatus> {
        self.tasks.iter().map(|task| task.progress.snapshot()).collect()
    }

    /// What a person wants of it from now on. Returns at once.
    pub fn set_target(&self, target: Target) {
        self.target.send_replace(target);
        for task in &self.tasks {
            task.wanted.send_if_modified(|wanted| {
                let changed = wanted.target != target;
                wanted.target = target;
                changed
            });
        }
    }

    /// Restarts tasks: drains, closes and opens them again. Returns which; none of a stopped bridge.
    pub fn restart(&self, which: Restart) -> Vec<u32> {
        if *self.target.borrow() == Target::Stopped {
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
        self.tasks
            .iter()
            .filter(is_meant)
            .map(|task| {
                task.wanted.send_modify(|wanted| wanted.restarts += 1);
                task.progress.snapshot().id
            })
            .collect()
    }
}
