//! What the parts of all bridges of a process have in common.
//!
//! A connector keeps there what it opens once for many: its connections, by what leads to them. Each type is there once, and is the
//! business of the connector that brought it; the runtime only hands it to every part that it makes.

use std::{
    any::{Any, TypeId},
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

/// Given to every source and sink of a process; cheap to clone, usable from any thread.
#[derive(Clone, Default)]
pub struct Shared {
    values: Arc<Mutex<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>>,
}

impl Shared {
    /// The one value of that type.
    pub fn get_or_default<T: Any + Send + Sync + Default>(&self) -> Arc<T> {
        // A value is set as a whole: usable whatever panicked while holding it.
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        let value = values.entry(TypeId::of::<T>()).or_insert_with(|| Arc::<T>::default()).clone();
        // It was put there under its own type.
        value.downcast().unwrap_or_default()
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn each_type_is_there_once_for_everybody() {
        let shared = Shared::default();
        let another = shared.clone();
        another.get_or_default::<AtomicU64>().store(7, Ordering::Relaxed);
        assert_eq!(*shared.get_or_default::<String>(), "");
        assert_eq!(shared.get_or_default::<AtomicU64>().load(Ordering::Relaxed), 7);
        assert_eq!(Shared::default().get_or_default::<AtomicU64>().load(Ordering::Relaxed), 0, "another process's");
    }
}
