//! A steady rate: records fall due one by one, and what a stall has missed is not made up for in a burst.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// How much of a second's records may be due at once after a stall. A tenth: enough to ride out a slow tick, too little
/// to flood anyone.
const CATCH_UP: f64 = 0.1;

/// Counts which records are due. The first is due at once.
#[derive(Debug)]
pub(crate) struct Pace {
    per_second: f64,
    start: Instant,
    /// Records that were taken or missed since the start.
    gone: u64,
}

impl Pace {
    /// That many records a second, a positive number, from now on.
    pub(crate) fn new(per_second: f64) -> Self {
        Self { per_second, start: Instant::now(), gone: 0 }
    }

    /// Waits until a record is due; says how many are. Taking them is another step, so this is cancel-safe.
    pub(crate) async fn due(&mut self) -> u64 {
        loop {
            let due = (self.start.elapsed().as_secs_f64() * self.per_second) as u64 + 1;
            let waiting = due.saturating_sub(self.gone);
            if waiting > 0 {
                let most = ((self.per_second * CATCH_UP) as u64).max(1);
                self.gone += waiting.saturating_sub(most);
                return waiting.min(most);
            }
            let next = self.start + Duration::from_secs_f64(self.gone as f64 / self.per_second);
            // Rounding may put it a little before now; the timer's own grain is a millisecond.
            sleep_until(next.max(Instant::now() + Duration::from_millis(1))).await;
        }
    }

    /// That many of the due records are taken.
    pub(crate) const fn take(&mut self, records: u64) {
        self.gone += records;
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    /// Takes all that is due until the virtual clock has moved by `time`.
    async fn taken_in(pace: &mut Pace, time: Duration) -> u64 {
        let end = Instant::now() + time;
        let mut taken = 0;
        while let Ok(due) = tokio::time::timeout_at(end, pace.due()).await {
            pace.take(due);
            taken += due;
        }
        taken
    }

    #[tokio::test(start_paused = true)]
    async fn keeps_the_rate() {
        for (per_second, in_ten_seconds) in [(0.5, 5), (1.0, 10), (7.0, 70), (1000.0, 10_000), (250_000.0, 2_500_000)] {
            let taken = taken_in(&mut Pace::new(per_second), Duration::from_secs(10)).await;
            let off = taken.abs_diff(in_ten_seconds);
            // The timer's grain is a millisecond: that much may be due beyond the last whole one.
            assert!(off as f64 <= 1.0 + per_second / 500.0, "{per_second} a second gave {taken} in ten");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn does_not_make_up_for_a_stall_in_a_burst() {
        let mut pace = Pace::new(1000.0);
        assert_eq!(pace.due().await, 1);
        advance(Duration::from_secs(60)).await;
        assert_eq!(pace.due().await, 100);
        pace.take(100);
        let next = pace.due().await;
        assert!(next <= 2, "{next} more at once");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_taken_stays_due() {
        let mut pace = Pace::new(100.0);
        advance(Duration::from_millis(50)).await;
        assert_eq!(pace.due().await, 6);
        assert_eq!(pace.due().await, 6);
        pace.take(4);
        assert_eq!(pace.due().await, 2);
    }
}
