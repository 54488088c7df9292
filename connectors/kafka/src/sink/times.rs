//! Which timestamps a topic takes.
//!
//! Since Kafka 3.6 a topic refuses what is more than an hour ahead of its broker's clock. The broker judges: this machine's
//! clock may be the wrong one. A record that it refuses for its time alone is sent with the time of sending, and keeps its own
//! in a header. From then on the same is done beforehand, by the topic's settings and by what was refused so far.

use std::{
    sync::atomic::{AtomicBool, AtomicI64, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

/// How far from its broker's clock a time may be for a topic, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds {
    pub ahead: i64,
    pub behind: i64,
}

impl Bounds {
    /// Any time will do.
    pub(super) const NONE: Self = Self { ahead: i64::MAX, behind: i64::MAX };
    /// Kafka's own, where nobody changed them.
    pub(super) const USUAL: Self = Self { ahead: 3_600_000, behind: i64::MAX };
}

/// What is known of times that are refused.
#[derive(Debug)]
pub(super) struct Times {
    /// The broker has refused one.
    wary: AtomicBool,
    ahead: AtomicI64,
    behind: AtomicI64,
    /// The clock of this machine, as it was when it was looked at last.
    now: AtomicI64,
    told: AtomicBool,
}

impl Times {
    pub(super) fn new() -> Self {
        let Bounds { ahead, behind } = Bounds::USUAL;
        Self {
            wary: AtomicBool::new(false),
            ahead: AtomicI64::new(ahead),
            behind: AtomicI64::new(behind),
            now: AtomicI64::new(now()),
            told: AtomicBool::new(false),
        }
    }

    /// The topic's own bounds.
    pub(super) fn bound(&self, bounds: Bounds) {
        self.ahead.store(bounds.ahead, Ordering::Relaxed);
        self.behind.store(bounds.behind, Ordering::Relaxed);
    }

    /// Looks at the clock: once for many records.
    pub(super) fn tick(&self) {
        if self.wary.load(Ordering::Relaxed) {
            self.now.store(now(), Ordering::Relaxed);
        }
    }

    /// Whether that time would be refused, as far as it is known.
    pub(super) fn is_refused(&self, time: i64) -> bool {
        if !self.wary.load(Ordering::Relaxed) {
            return false;
        }
        let ahead = time.saturating_sub(self.now.load(Ordering::Relaxed));
        let (most, least) = (self.ahead.load(Ordering::Relaxed), self.behind.load(Ordering::Relaxed));
        ahead > most || ahead.saturating_neg() > least
    }

    /// The broker has refused that time.
    pub(super) fn refused(&self, time: i64) {
        self.wary.store(true, Ordering::Relaxed);
        self.tick();
        let ahead = time.saturating_sub(self.now.load(Ordering::Relaxed));
        let bound = if ahead > 0 { &self.ahead } else { &self.behind };
        // That one and what is farther away.
        bound.fetch_min(ahead.saturating_abs().saturating_sub(1).max(0), Ordering::Relaxed);
    }

    /// Whether it is to be told: once.
    pub(super) fn is_news(&self) -> bool {
        !self.told.load(Ordering::Relaxed) && !self.told.swap(true, Ordering::Relaxed)
    }
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_refused_before_the_broker_has_refused_something() {
        const HOUR: i64 = 3_600_000;
        let (times, now) = (Times::new(), now());
        assert!(!times.is_refused(i64::MAX));
        times.refused(now + 100 * HOUR);
        for (ahead, refused) in [(-1_000 * HOUR, false), (0, false), (HOUR / 2, false), (2 * HOUR, true)] {
            assert_eq!(times.is_refused(now + ahead), refused, "{ahead}");
        }
        assert!(times.is_refused(i64::MAX));
        times.refused(now + HOUR / 4);
        assert!(times.is_refused(now + HOUR / 2), "it takes less than was known");
        times.refused(now - 48 * HOUR);
        assert!(times.is_refused(now - 49 * HOUR) && !times.is_refused(now - 47 * HOUR));
        assert_eq!([times.is_news(), times.is_news()], [true, false]);
    }
}
