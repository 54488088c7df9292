//! What a source will never hand out, because it was gone at its broker before it was read.
//!
//! Sums, not events: nothing queues up. A loss is no error, for nothing can be done about it any more and what follows is
//! read; but it is never silent.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime},
};

/// How long nothing more is told of what goes on for the same reason.
const QUIET: Duration = Duration::from_secs(60);

/// What was lost for one reason, since the process started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// One word, for metrics.
    pub reason: &'static str,
    /// How many records, as far as it is known: in a log the offsets that are missing, of which some may never have been
    /// records.
    pub records: u64,
    /// The last time in words for people: where, which range, what happened.
    pub what: Arc<str>,
    /// When that was noticed.
    pub at: SystemTime,
}

/// Given to a source when it is made; cheap to clone, usable from any thread.
#[derive(Debug, Clone, Default)]
pub struct Lost {
    losses: Arc<Mutex<BTreeMap<&'static str, Entry>>>,
}

#[derive(Debug)]
struct Entry {
    loss: Loss,
    told: Instant,
}

impl Lost {
    /// So many more records are lost, for that reason. `true`: it is time to write a line about it. That is the first time,
    /// and then once a minute.
    pub fn report(&self, reason: &'static str, records: u64, what: impl Into<Arc<str>>) -> bool {
        let (what, at, now) = (what.into(), SystemTime::now(), Instant::now());
        let mut losses = self.lock();
        let Some(entry) = losses.get_mut(reason) else {
            losses.insert(reason, Entry { loss: Loss { reason, records, what, at }, told: now });
            return true;
        };
        entry.loss = Loss { reason, records: entry.loss.records.saturating_add(records), what, at };
        let due = now.duration_since(entry.told) >= QUIET;
        if due {
            entry.told = now;
        }
        due
    }

    /// What is lost so far, by reason.
    pub fn get(&self) -> Vec<Loss> {
        self.lock().values().map(|entry| entry.loss.clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, Entry>> {
        // Sums and texts: usable whatever panicked while holding them.
        self.losses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_add_up_by_reason_and_the_last_one_is_shown() {
        let lost = Lost::default();
        assert!(lost.report("retention", 70, "orders/0: 0 to 69"));
        assert!(!lost.report("retention", 5, "orders/1: 3 to 7"), "told a moment ago");
        assert!(lost.report("truncated", 0, "orders/0"));
        let losses: Vec<_> =
            lost.get().into_iter().map(|loss| (loss.reason, loss.records, loss.what.to_string())).collect();
        let expected = [("retention", 75, "orders/1: 3 to 7".to_owned()), ("truncated", 0, "orders/0".to_owned())];
        assert_eq!(losses, expected);
    }
}
