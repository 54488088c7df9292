//! How many bytes all tasks of the process may hold together (I4).
//!
//! # Contract
//! - One half is divided evenly among all tasks: a [`Share`] that nobody can take away. The other half is a pool for
//!   whoever is busy. So a bridge whose sink is down can fill its share and the pool, and never starves another.
//! - What is held never exceeds the whole, but by one record a task: nobody knows a record's size before it is there. A
//!   task that holds nothing may always take one record, however full everything is.
//! - Shares follow the number of tasks, so what a task holds may be more than its share after tasks were added. It keeps
//!   it, counted against the pool, and takes no more until there is room.
//! - What a poll may bring is reserved before it begins, and what it did not bring goes back with the next look at the
//!   room. A task that has not filled its share reserves only of it, so idle tasks hold nothing of the pool.
//!
//! One short lock for each poll and for each settled batch, never across an await.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

/// The bytes that all tasks may hold. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Budget {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Changes when bytes come back. Only those who were refused listen.
    freed: watch::Sender<()>,
}

#[derive(Debug)]
struct State {
    limit: usize,
    next: u64,
    /// What each live task holds, by the task's key.
    tasks: BTreeMap<u64, Holding>,
    /// What all of them hold.
    held: usize,
    /// What they hold beyond their shares.
    borrowed: usize,
}

#[derive(Debug, Clone, Copy, Default)]
struct Holding {
    /// In flight.
    taken: usize,
    /// Set aside for a poll that goes on.
    reserved: usize,
}

/// There is no room, and how to learn that there is some again.
#[derive(Debug, Clone)]
pub(super) struct Refused(watch::Receiver<()>);

/// One task's part in the budget. What it holds goes back when it is dropped.
#[derive(Debug)]
pub(super) struct Share {
    key: u64,
    shared: Arc<Shared>,
}

// === impl Budget ===

impl Budget {
    /// A budget of that many bytes.
    pub fn new(limit: usize) -> Self {
        let state = State { limit, next: 0, tasks: BTreeMap::new(), held: 0, borrowed: 0 };
        Self { shared: Arc::new(Shared { state: Mutex::new(state), freed: watch::Sender::new(()) }) }
    }

    /// The bytes that all tasks may hold together.
    pub fn limit(&self) -> usize {
        self.shared.state().limit
    }

    /// Changes the limit. What is held stays held; less is taken from now on, or more.
    pub fn set_limit(&self, limit: usize) {
        self.shared.change(|state| {
            state.limit = limit;
            state.count();
        });
    }

    /// A part in it for one more task.
    pub(super) fn join(&self) -> Share {
        let mut key = 0;
        self.shared.change(|state| {
            key = state.next;
            state.next += 1;
            state.tasks.insert(key, Holding::default());
            state.count();
        });
        Share { key, shared: self.shared.clone() }
    }

    /// What all tasks hold now.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.shared.state().held
    }
}

// === impl Share ===

impl Share {
    /// Sets aside how many of the `wanted` bytes one poll may bring, in place of what was set aside before.
    pub(super) fn reserve(&self, wanted: usize) -> Result<usize, Refused> {
        self.with(|state, key| {
            state.set(key, |holding| holding.reserved = 0);
            let room = state.room(key).min(wanted);
            if room == 0 {
                // Under the lock: nothing can come back between the refusal and listening for it.
                return Err(Refused(self.shared.freed.subscribe()));
            }
            state.set(key, |holding| holding.reserved = room);
            Ok(room) // I4
        })
    }

    /// A poll brought that many bytes.
    pub(super) fn take(&self, bytes: usize) {
        self.with(|state, key| {
            state.set(key, |holding| *holding = Holding { taken: holding.taken + bytes, reserved: 0 });
        });
    }

    /// That many bytes are not in flight any more.
    pub(super) fn give_back(&self, bytes: usize) {
        self.with(|state, key| state.set(key, |holding| holding.taken = holding.taken.saturating_sub(bytes)));
    }

    /// There is no poll for now: nothing need be set aside.
    pub(super) fn rest(&self) {
        self.with(|state, key| state.set(key, |holding| holding.reserved = 0));
    }

    /// What a source may buffer by itself: an even part of the whole, so that all buffers together stay below it.
    pub(super) fn even_part(&self) -> usize {
        let state = self.shared.state();
        (state.limit / state.tasks.len().max(1)).max(1)
    }

    fn with<T>(&self, change: impl FnOnce(&mut State, u64) -> T) -> T {
        self.shared.change(|state| change(state, self.key))
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.with(|state, key| {
            state.tasks.remove(&key);
            state.count();
        });
    }
}

// === impl Refused ===

impl Refused {
    /// Returns when bytes have come back since the refusal.
    pub(super) async fn freed(mut self) {
        if self.0.changed().await.is_err() {
            // Nobody is left to give anything back.
            std::future::pending().await
        }
    }
}

// === impl Shared ===

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is a few additions; none panics half-way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, and wakes those who wait when there may be more room than before.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state();
        let before = (state.limit, state.tasks.len(), state.held, state.borrowed);
        let done = change(&mut state);
        let is_freer = state.limit > before.0
            || state.tasks.len() < before.1
            || state.held < before.2
            || state.borrowed < before.3;
        drop(state);
        if is_freer && self.freed.receiver_count() > 0 {
            self.freed.send_replace(());
        }
        done
    }
}

// === impl State ===

impl State {
    /// What every task may hold, come what may.
    fn share(&self) -> usize {
        self.limit / 2 / self.tasks.len().max(1)
    }

    const fn pool(&self) -> usize {
        self.limit - self.limit / 2
    }

    fn taken(&self, key: u64) -> usize {
        self.tasks.get(&key).map_or(0, |holding| holding.taken)
    }

    /// How much a task that has nothing set aside may take now.
    fn room(&self, key: u64) -> usize {
        let taken = self.taken(key);
        let own = match self.share().saturating_sub(taken) {
            0 => self.pool().saturating_sub(self.borrowed),
            left => left,
        };
        let whole = self.limit.saturating_sub(self.held);
        // One record at least for a task that holds none.
        own.min(whole).max(usize::from(taken == 0))
    }

    /// Changes what one task holds, and the sums with it.
    fn set(&mut self, key: u64, change: impl FnOnce(&mut Holding)) {
        let share = self.share();
        let Some(holding) = self.tasks.get_mut(&key) else { return };
        let before = *holding;
        change(holding);
        let after = *holding;
        self.held = self.held - before.whole() + after.whole();
        self.borrowed = self.borrowed - before.beyond(share) + after.beyond(share);
    }

    /// Counts the sums anew: shares have changed.
    fn count(&mut self) {
        let share = self.share();
        self.held = self.tasks.values().map(Holding::whole).sum();
        self.borrowed = self.tasks.values().map(|holding| holding.beyond(share)).sum();
    }
}

// === impl Holding ===

impl Holding {
    const fn whole(&self) -> usize {
        self.taken + self.reserved
    }

    const fn beyond(&self, share: usize) -> usize {
        self.whole().saturating_sub(share)
    }
}

#[cfg(test)]
mod tests;
