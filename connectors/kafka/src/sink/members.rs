//! The sinks on one producer, each under a number that its records carry.
//!
//! A number is used again only when none of its records can come back: a sink that leaves while librdkafka has some of its own closes
//! the producer to others first.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::delivery::Delivery;

/// A number has 8 bits.
const MOST: usize = 256;

/// What a producer's poll thread asks of a sink.
pub(super) trait Member: Send + Sync {
    /// Where the reports on its records go.
    fn delivery(&self) -> &Arc<Delivery>;

    /// On a producer of its own, after a refused batch: does what can be done now.
    fn recover(&self);

    /// This producer ends, and all that it had of the sink came back: goes on with another. Nothing else of the old producer waits
    /// for that.
    fn move_on(self: Arc<Self>);
}

/// The sinks on one producer.
#[derive(Default)]
pub(super) struct Members {
    inner: RwLock<Inner>,
}

#[derive(Default)]
struct Inner {
    places: Vec<Option<Arc<dyn Member>>>,
    /// Nobody comes any more.
    closed: bool,
}

impl Members {
    /// Takes one in that `make` makes for a number; `None` when there is no room, or nobody is taken in any more.
    pub(super) fn join<M: Member + 'static>(&self, make: &mut dyn FnMut(u8) -> Arc<M>) -> Option<Arc<M>> {
        let mut inner = self.write();
        if inner.closed {
            return None;
        }
        let free = inner.places.iter().position(Option::is_none);
        let place = free.unwrap_or(inner.places.len());
        let number = u8::try_from(place).ok().filter(|_| place < MOST)?;
        let member = make(number);
        if free.is_none() {
            inner.places.push(None);
        }
        inner.places[place] = Some(member.clone());
        Some(member)
    }

    /// Lets one go.
    pub(super) fn leave(&self, number: u8) {
        let left = self.write().places.get_mut(usize::from(number)).and_then(Option::take);
        drop(left);
    }

    /// Takes nobody in any more; `false` when it was closed before.
    pub(super) fn close(&self) -> bool {
        !std::mem::replace(&mut self.write().closed, true)
    }

    /// Takes nobody in any more, if nobody is there.
    pub(super) fn close_if_empty(&self) -> bool {
        let mut inner = self.write();
        let empty = inner.places.iter().all(Option::is_none);
        inner.closed |= empty;
        empty
    }

    pub(super) fn is_closed(&self) -> bool {
        self.read().closed
    }

    pub(super) fn is_empty(&self) -> bool {
        self.read().places.iter().all(Option::is_none)
    }

    /// Who is there.
    pub(super) fn all(&self) -> Vec<Arc<dyn Member>> {
        self.read().places.iter().flatten().cloned().collect()
    }

    /// Where the reports on that sink's records go. Nothing is locked when it is used.
    pub(super) fn delivery(&self, number: u8) -> Option<Arc<Delivery>> {
        let inner = self.read();
        inner.places.get(usize::from(number))?.as_ref().map(|member| Arc::clone(member.delivery()))
    }

    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        // Places: usable whatever panicked while holding them.
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Members {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Members").finish_non_exhaustive()
    }
}
