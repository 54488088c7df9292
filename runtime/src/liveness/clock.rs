//! For how long something has stood still, and how often that was too long.

use std::time::Duration;

use tokio::time::Instant;

/// The longest that a clock which runs out again and again is waited for, unless its limit itself is longer.
const LONGEST: Duration = Duration::from_secs(3600);

/// The clock of one rule.
#[derive(Debug)]
pub(super) struct Clock {
    /// `None`: it never runs out.
    limit: Option<Duration>,
    /// Since when it stands still; `None`: from the next look on.
    since: Option<Instant>,
    /// How often it ran out since anything moved.
    strikes: u32,
}

impl Clock {
    pub(super) const fn new(limit: Option<Duration>) -> Self {
        Self { limit, since: None, strikes: 0 }
    }

    pub(super) const fn limit(&self) -> Option<Duration> {
        self.limit
    }

    /// Something moved: it counts from now, and what was is forgiven.
    pub(super) fn moved(&mut self) {
        self.restart();
        self.forgive();
    }

    /// It counts from now.
    pub(super) fn restart(&mut self) {
        self.since = Some(Instant::now());
    }

    /// It counts from the next look on, and what was is forgiven.
    pub(super) const fn reset(&mut self) {
        self.since = None;
        self.forgive();
    }

    pub(super) const fn forgive(&mut self) {
        self.strikes = 0;
    }

    /// What it counts began then at the earliest.
    pub(super) fn not_before(&mut self, begun: Instant) {
        self.since = self.since.max(Some(begun));
    }

    /// How long it may stand still now: twice as long after each time that was too long.
    pub(super) fn patience(&self) -> Option<Duration> {
        let limit = self.limit?;
        Some(limit.saturating_mul(1 << self.strikes.min(16)).min(LONGEST.max(limit)))
    }

    /// For how long it has stood still, if that is too long.
    pub(super) fn runs_out(&mut self) -> Option<Duration> {
        let still = self.since.get_or_insert_with(Instant::now).elapsed();
        let too_long = still >= self.patience()?;
        self.strikes += u32::from(too_long);
        too_long.then_some(still)
    }
}
