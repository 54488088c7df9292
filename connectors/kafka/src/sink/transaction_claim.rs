//! One opening at a time in this process for each transactional id.
//!
//! An opening that nobody waits for any more may still be in one of librdkafka's calls, and librdkafka goes on with what a call has
//! begun for as long as its producer lives. A successor that did not wait could be fenced by it. So an opening holds a claim from
//! before it fences others until the stored positions are read; one that fails holds it until its producer has ended.

use std::{
    collections::BTreeSet,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use gantry_sdk::{Error, Result};

/// Between two looks whether it is still wanted.
const LOOK: Duration = Duration::from_millis(100);

/// The transactional ids that are being opened.
static CLAIMED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
/// One of them is free again.
static RELEASED: Condvar = Condvar::new();

/// The right to open under a transactional id; given back when it is dropped.
#[derive(Debug)]
pub(in crate::sink) struct Claim(String);

impl Claim {
    /// Waits until no other opening has this id, for as long as it is wanted, and at most until `deadline`. Blocks.
    pub(in crate::sink) fn take(id: &str, deadline: Instant, wanted: impl Fn() -> Result<()>) -> Result<Self> {
        let mut claimed = lock();
        loop {
            wanted()?;
            if claimed.insert(id.to_owned()) {
                return Ok(Self(id.to_owned()));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Error::disconnected(format!(
                    "an earlier opening under the transactional id \"{id}\" has not ended yet"
                )));
            }
            let woken = RELEASED.wait_timeout(claimed, LOOK.min(left));
            claimed = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        lock().remove(&self.0);
        RELEASED.notify_all();
    }
}

fn lock() -> MutexGuard<'static, BTreeSet<String>> {
    // A set of names: usable whatever panicked while holding it.
    CLAIMED.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    fn take(id: &str, patience: Duration) -> Result<Claim> {
        Claim::take(id, Instant::now() + patience, || Ok(()))
    }

    #[test]
    fn a_successor_waits_until_the_claim_is_given_back() {
        let first = take("waits", LONG).unwrap();
        let other = take("other", Duration::ZERO).unwrap();
        let error = take("waits", LOOK).unwrap_err();
        assert!(error.chain().contains("has not ended yet"), "{}", error.chain());
        let second = thread::spawn(|| take("waits", LONG).unwrap());
        assert!(!second.is_finished());
        drop(first);
        drop(second.join().unwrap());
        drop(other);
        take("waits", Duration::ZERO).unwrap();
    }

    #[test]
    fn one_that_nobody_waits_for_any_more_takes_none() {
        let unwanted = || Err(Error::disconnected("the sink is closing"));
        let deadline = Instant::now() + LONG;
        assert!(Claim::take("unwanted", deadline, unwanted).is_err());
        let held = take("unwanted", Duration::ZERO).unwrap();
        let begun = Instant::now();
        assert!(Claim::take("unwanted", deadline, unwanted).is_err());
        assert!(begun.elapsed() < LONG);
        drop(held);
    }
}
