//! Starts, steers, changes and ends the bridges of the process. The one place that spawns tasks of the data path.
//!
//! # Contract
//! - Who looks sees a snapshot; nothing here waits for a bridge but [`Bridges::apply`] and [`Bridges::shutdown`].
//! - [`Bridges::apply`] touches no bridge that means the same. What a person wants of a bridge survives its change, and so does
//!   what its parts remember: the successor of the same name has it, task by task. It goes with a bridge that is removed; one of
//!   that name which a later reload adds begins anew.
//! - A bridge that ends is there until its last task is gone: it shows how its drain goes, and can be looked at.
//! - Nothing starts before all that ends has ended: the old reader of a queue has given back what it held before a new
//!   one takes it up, also when the bridge goes by another name now.

mod bridge;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::future::{join_all, select_all};
use gantry_sdk::Shared;
use tokio::sync::watch;

use crate::{budget::Budget, definition::Definition, difference::Difference, observer::Observer, status::Target};

pub use bridge::{Bridge, Restart};

/// All bridges of the process. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Bridges {
    set: Arc<watch::Sender<Set>>,
}

#[derive(Debug)]
struct Set {
    bridges: BTreeMap<Arc<str>, Arc<Bridge>>,
    /// How long each may take to settle what is in flight when it stops.
    drain: Duration,
    /// How many bytes all of them may hold together.
    budget: Budget,
    observer: Arc<dyn Observer>,
    /// What connectors keep for all of them.
    shared: Shared,
}

impl Bridges {
    /// Starts every bridge. `drain` is how long each may take to settle what is in flight when it stops, `budget` how
    /// many bytes all of them may hold together; `observer` hears what their tasks do.
    pub fn start(
        definitions: Vec<Arc<Definition>>,
        drain: Duration,
        budget: Budget,
        observer: Arc<dyn Observer>,
    ) -> Self {
        let mut set = Set { bridges: BTreeMap::new(), drain, budget, observer, shared: Shared::default() };
        definitions.into_iter().for_each(|definition| set.start(definition));
        Self { set: Arc::new(watch::Sender::new(set)) }
    }

    /// All of them, by name.
    pub fn all(&self) -> Vec<Arc<Bridge>> {
        self.set.borrow().bridges.values().cloned().collect()
    }

    /// The one of that name.
    pub fn get(&self, name: &str) -> Option<Arc<Bridge>> {
        self.set.borrow().bridges.get(name).cloned()
    }

    /// What a person wants of a bridge from now on; a successor of it, too. Returns at once: whether there is one of that
    /// name.
    pub fn set_target(&self, name: &str, target: Target) -> bool {
        let mut found = false;
        // Under the lock of the set: a bridge that is being replaced must not take the wish with it.
        self.set.send_if_modified(|set| {
            if let Some(bridge) = set.bridges.get(name) {
                bridge.set_target(target);
                found = true;
            }
            false
        });
        found
    }

    /// How long each may take to drain, from the next stop on; one that drains already keeps its deadline.
    pub fn set_drain(&self, drain: Duration) {
        self.set.send_if_modified(|set| {
            set.drain = drain;
            set.bridges.values().for_each(|bridge| bridge.set_drain(drain));
            false
        });
    }

    /// How many bytes all of them may hold together.
    pub fn budget(&self) -> Budget {
        self.set.borrow().budget.clone()
    }

    /// How many bytes all of them may hold together, from now on.
    pub fn set_budget(&self, limit: usize) {
        self.set.borrow().budget.set_limit(limit);
    }

    /// Ends what is removed or changed, then starts what is changed or added. Returns those that ended with records
    /// unsettled: they stayed with their source. Dropped half-way, it has started nothing.
    pub async fn apply(&self, difference: Difference) -> Vec<Arc<str>> {
        let Difference { added, changed, removed, same } = difference;
        let names = changed.iter().map(|definition| &definition.name).chain(&removed);
        let ending: Vec<_> = names.filter_map(|name| self.get(name)).collect();
        let undrained = end_all(&ending).await;
        let observer = self.set.borrow().observer.clone();
        ending.iter().for_each(|bridge| bridge.forget(&*observer));
        self.set.send_modify(|set| {
            removed.iter().for_each(|name| drop(set.bridges.remove(name)));
            same.into_iter().for_each(|definition| set.redefine(definition));
            changed.into_iter().chain(added).for_each(|definition| set.start(definition));
        });
        undrained
    }

    /// Makes those of these bridges that wait for their next try do it now. Returns which. One that was stopped by a
    /// refused record does not wait, and is left alone: each try costs the record a delivery.
    pub fn try_now<'n>(&self, names: impl Iterator<Item = &'n Arc<str>>) -> Vec<Arc<str>> {
        names.filter(|name| self.get(name).is_some_and(|bridge| bridge.try_now())).cloned().collect()
    }

    /// Returns when there are bridges, every one has a finite source, and all of it is delivered. Never while one goes on
    /// or while there is none: a reload may bring some.
    pub async fn finished(&self) {
        let mut set = self.set.subscribe();
        loop {
            let bridges: Vec<_> = set.borrow_and_update().bridges.values().cloned().collect();
            let all = async {
                if bridges.is_empty() {
                    std::future::pending().await
                }
                for bridge in &bridges {
                    bridge.finished().await;
                }
            };
            tokio::select! {
                () = all => return,
                changed = set.changed() => if changed.is_err() { return },
            }
        }
    }

    /// Returns when a bridge has failed: its name. It waits for bridges that a reload brings as well.
    pub async fn failed(&self) -> Arc<str> {
        let mut set = self.set.subscribe();
        loop {
            let bridges: Vec<_> = set.borrow_and_update().bridges.values().cloned().collect();
            let any = async {
                if bridges.is_empty() {
                    std::future::pending().await
                }
                let (name, ..) = select_all(bridges.iter().map(|bridge| Box::pin(bridge.failed()))).await;
                name
            };
            tokio::select! {
                name = any => return name,
                changed = set.changed() => if changed.is_err() { std::future::pending().await },
            }
        }
    }

    /// Stops everything: drains, gives back what is left, disconnects. Returns whether everything in flight was
    /// settled in time.
    pub async fn shutdown(&self) -> bool {
        end_all(&self.all()).await.is_empty()
    }
}

/// Ends these at the same time. Returns those that left records unsettled.
async fn end_all(bridges: &[Arc<Bridge>]) -> Vec<Arc<str>> {
    let drained = join_all(bridges.iter().map(|bridge| bridge.end())).await;
    let left = bridges.iter().zip(drained).filter(|(_, drained)| !drained);
    left.map(|(bridge, _)| bridge.definition().name.clone()).collect()
}

impl Set {
    /// In the place of the one of that name, if there is one: it has ended.
    fn start(&mut self, definition: Arc<Definition>) {
        let (name, before) = (definition.name.clone(), self.bridges.get(&definition.name).map(|before| &**before));
        let bridge = Bridge::start(definition, before, self.drain, &self.budget, &*self.observer, &self.shared);
        self.bridges.insert(name, Arc::new(bridge));
    }

    /// The same bridge, perhaps written elsewhere or otherwise: what is shown follows, what runs is not touched.
    fn redefine(&mut self, definition: Arc<Definition>) {
        if let Some(bridge) = self.bridges.get_mut(&definition.name) {
            *bridge = Arc::new(bridge.redefined(definition));
        }
    }
}
