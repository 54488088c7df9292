//! Which broker to try first: the one that failed longest ago, or never.
//!
//! A reconnect is a new instance that knows nothing of the one before, so what failed is remembered for the whole process, by
//! host and port. Brokers that never failed stay in the order they were written. Other bridges gain by it: they do
//! not wait for a broker that is known to be down.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

/// At most [`MOST`], by broker, and by address where a broker has several.
static LAST_FAILURE: Mutex<Option<HashMap<String, Instant>>> = Mutex::new(None);

/// More are not remembered: a name may lead to ever new addresses.
const MOST: usize = 1_000;

/// A connection to it failed or was lost.
pub(crate) fn note(endpoint: &str) {
    let mut failures = lock();
    let failures = failures.get_or_insert_default();
    if failures.len() < MOST || failures.contains_key(endpoint) {
        failures.insert(endpoint.to_owned(), Instant::now());
    }
}

/// Sorts by the last failure; what never failed comes first, in the order given.
pub(crate) fn sort<T>(brokers: &mut [T], endpoint: impl Fn(&T) -> String) {
    let failures = lock();
    brokers
        .sort_by_cached_key(|broker| failures.as_ref().and_then(|failures| failures.get(&endpoint(broker)).copied()));
}

fn lock() -> MutexGuard<'static, Option<HashMap<String, Instant>>> {
    LAST_FAILURE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_that_failed_last_is_tried_last() {
        // Names of this test's own: the memory is the process's.
        let mut brokers = ["turn1:1", "turn2:1", "turn3:1"];
        let sorted = |brokers: &mut [&'static str]| sort(brokers, |broker| (*broker).to_owned());
        sorted(&mut brokers);
        assert_eq!(brokers, ["turn1:1", "turn2:1", "turn3:1"]);
        note("turn1:1");
        sorted(&mut brokers);
        assert_eq!(brokers, ["turn2:1", "turn3:1", "turn1:1"]);
        note("turn2:1");
        sorted(&mut brokers);
        assert_eq!(brokers, ["turn3:1", "turn1:1", "turn2:1"]);
    }
}
