//! How long to wait before the next try: doubling, capped, with jitter so that a hundred bridges do not knock at a
//! restarted broker together.
//!
//! Who or what can mend it decides: a broker comes back by itself, a missing queue is perhaps being made just now, and a
//! wrong password is wrong for as long as nobody changes it.

use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

use gantry_sdk::ErrorKind;

/// The longest pause for what is missing: whoever makes it is waiting for the bridge.
const LONGEST_FOR_MISSING: Duration = Duration::from_secs(60);

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

    /// The pause after an error of that kind: between half and the whole of the doubled one; the longest for what only a
    /// person can mend.
    pub(super) fn after(&mut self, kind: ErrorKind) -> Duration {
        match kind {
            ErrorKind::Disconnected | ErrorKind::Internal => self.double(self.max),
            ErrorKind::Missing => self.double(self.max.min(LONGEST_FOR_MISSING)),
            ErrorKind::Config | ErrorKind::Refused => {
                self.attempts = 0;
                jittered(self.max)
            }
        }
    }

    fn double(&mut self, max: Duration) -> Duration {
        let doubled = self.initial.saturating_mul(1 << self.attempts.min(20));
        self.attempts = self.attempts.saturating_add(1);
        jittered(doubled.min(max))
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

    const SECOND: Duration = Duration::from_secs(1);

    /// The whole pauses of which these are at least the half.
    fn check(backoff: &mut Backoff, kind: ErrorKind, wholes: &[u32]) {
        for whole in wholes {
            let (pause, whole) = (backoff.after(kind), SECOND * *whole);
            assert!(pause >= whole / 2 && pause <= whole, "{kind:?}: {pause:?} of {whole:?}");
        }
    }

    #[test]
    fn doubles_up_to_the_cap_and_starts_again() {
        let mut backoff = Backoff::new((SECOND, SECOND * 10));
        check(&mut backoff, ErrorKind::Disconnected, &[1, 2, 4, 8, 10, 10]);
        backoff.reset();
        check(&mut backoff, ErrorKind::Internal, &[1, 2]);
        check(&mut backoff, ErrorKind::Refused, &[10, 10]);
        check(&mut backoff, ErrorKind::Config, &[10]);
    }

    #[test]
    fn what_is_missing_is_tried_again_soon_and_once_a_minute_at_least() {
        let doubling = [1, 2, 4, 8, 16, 32, 60, 60];
        check(&mut Backoff::new((SECOND, SECOND * 60)), ErrorKind::Missing, &doubling);
        check(&mut Backoff::new((SECOND, SECOND * 3600)), ErrorKind::Missing, &doubling);
        check(&mut Backoff::new((SECOND, SECOND * 5)), ErrorKind::Missing, &[1, 2, 4, 5, 5]);
    }

    #[test]
    fn never_overflows() {
        let mut backoff = Backoff::new((SECOND, SECOND * 60));
        for _ in 0..1000 {
            assert!(backoff.after(ErrorKind::Disconnected) <= SECOND * 60);
        }
    }
}
