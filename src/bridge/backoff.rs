//! How long to wait before the next try: doubling, capped, with jitter so that a hundred bridges do not knock at a
//! restarted broker together.

use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

/// Pauses between attempts.
#[derive(Debug)]
pub(super) struct Backoff {
    initial: Duration,
    max: Duration,
    attempts: u32,
}

impl Backoff {
    pub(super) const fn new((initial, max): (Duration, Duration)) -> Self {
        Self { initial, max, attempts: 0 }
    }

    /// The attempt worked: the next pause is short again.
    pub(super) const fn reset(&mut self) {
        self.attempts = 0;
    }

    /// The next pause: between half and the whole of the doubled one.
    pub(super) fn next(&mut self) -> Duration {
        let doubled = self.initial.saturating_mul(1 << self.attempts.min(20));
        self.attempts = self.attempts.saturating_add(1);
        jittered(doubled.min(self.max))
    }

    /// The pause for what only a person can mend: the longest.
    pub(super) fn slow(&mut self) -> Duration {
        self.attempts = 0;
        jittered(self.max)
    }
}

fn jittered(pause: Duration) -> Duration {
    // The standard library's per-process random keys are random enough to spread bridges, and need no crate.
    let random = RandomState::new().hash_one(()) % 1000;
    pause / 2 + pause.mul_f64(random as f64 / 2000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_cap_and_starts_again() {
        let mut backoff = Backoff::new((Duration::from_secs(1), Duration::from_secs(10)));
        for whole in [1, 2, 4, 8, 10, 10] {
            let (pause, whole) = (backoff.next(), Duration::from_secs(whole));
            assert!(pause >= whole / 2 && pause <= whole, "{pause:?} of {whole:?}");
        }
        backoff.reset();
        assert!(backoff.next() <= Duration::from_secs(1));
        assert!(backoff.slow() >= Duration::from_secs(5));
    }

    #[test]
    fn never_overflows() {
        let mut backoff = Backoff::new((Duration::from_secs(1), Duration::from_secs(60)));
        for _ in 0..1000 {
            assert!(backoff.next() <= Duration::from_secs(60));
        }
    }
}
