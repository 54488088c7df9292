//! What an instance of a connector has learned, for the one that comes after it.
//!
//! # The contract
//! - It is of one part: the source, a sink or the dead letter of one task of a bridge. The part's instances have it one after the
//!   other: over reconnects, restarts, a stop, and a reload that changes the bridge. The options may be others then, and so may
//!   the broker: what is kept here says what it is about.
//! - It lives as long as the process, at most: one that starts anew knows nothing, and a bridge that is removed takes it along.
//!   Nothing that must hold across processes may lean on it.
//! - It is small, and bounded by what the options name: nobody else tidies it up. It never holds a secret.
//! - Of what type it is, is the connector's own business. The runtime only carries it.

use std::{
    any::Any,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

/// Given to a source or a sink when it is made; cheap to clone, usable from any thread.
#[derive(Clone, Default)]
pub struct Remembered {
    value: Arc<Mutex<Option<Arc<dyn Any + Send + Sync>>>>,
}

impl Remembered {
    /// What the instances before this one have left, or a first value. There is one a part: another type than the last one begins
    /// anew, and what the last one left is forgotten.
    pub fn get_or_default<T: Any + Send + Sync + Default>(&self) -> Arc<T> {
        // A value is set as a whole: usable whatever panicked while holding it.
        let mut value = self.value.lock().unwrap_or_else(PoisonError::into_inner);
        let left = value.clone().and_then(|left| left.downcast::<T>().ok());
        left.unwrap_or_else(|| {
            let first = Arc::<T>::default();
            *value = Some(first.clone());
            first
        })
    }
}

impl fmt::Debug for Remembered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remembered").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn what_one_leaves_the_next_one_finds() {
        let task = Remembered::default();
        task.get_or_default::<AtomicU64>().store(7, Ordering::Relaxed);
        assert_eq!(task.get_or_default::<AtomicU64>().load(Ordering::Relaxed), 7);
        assert_eq!(Remembered::default().get_or_default::<AtomicU64>().load(Ordering::Relaxed), 0, "another part's");
    }

    #[test]
    fn another_type_begins_anew() {
        let task = Remembered::default();
        let first = task.get_or_default::<AtomicU64>();
        first.store(7, Ordering::Relaxed);
        assert_eq!(*task.get_or_default::<String>(), "");
        assert_eq!(task.get_or_default::<AtomicU64>().load(Ordering::Relaxed), 0, "what was before is forgotten");
        assert_eq!(first.load(Ordering::Relaxed), 7, "who holds it still has it");
    }
}
