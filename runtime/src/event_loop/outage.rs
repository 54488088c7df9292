//! How long the sink has been out of reach while records are held for it.
//!
//! A broker does not wait for ever: RabbitMQ closes a channel whose deliveries are unacknowledged for half an hour. So
//! what is held goes back before that, and nothing is taken until the sink answers again.

use std::time::Duration;

use tokio::time::Instant;

/// The clock of one incarnation.
#[derive(Debug)]
pub(super) struct Outage {
    /// `None`: it keeps what it holds.
    give_back_after: Option<Duration>,
    since: Option<Instant>,
}

impl Outage {
    pub(super) const fn new(give_back_after: Option<Duration>) -> Self {
        Self { give_back_after, since: None }
    }

    /// Something was committed: not everything is held up.
    pub(super) const fn committed(&mut self) {
        self.since = None;
    }

    /// How things are now. Returns for how long it has lasted, when that is too long. A sink that comes and goes without
    /// an outcome in between has been out of reach all that time.
    pub(super) fn lasts(&mut self, held: usize, down: bool) -> Option<Duration> {
        if held == 0 {
            self.since = None;
        }
        if !down || held == 0 {
            return None;
        }
        let lasted = self.since.get_or_insert_with(Instant::now).elapsed();
        (lasted >= self.give_back_after?).then_some(lasted)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn counts_while_records_are_held_and_nothing_is_settled() {
        let mut outage = Outage::new(Some(10 * MINUTE));
        assert_eq!(outage.lasts(0, true), None);
        advance(20 * MINUTE).await;
        assert_eq!(outage.lasts(1, true), None, "nothing was held before");
        advance(9 * MINUTE).await;
        assert_eq!(outage.lasts(1, false), None, "up, for a moment");
        assert_eq!(outage.lasts(1, true), None);
        advance(MINUTE).await;
        assert_eq!(outage.lasts(1, false), None, "up");
        assert_eq!(outage.lasts(1, true), Some(10 * MINUTE), "down again without an outcome in between");
        outage.committed();
        assert_eq!(outage.lasts(1, true), None);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_limit_it_never_ends() {
        let mut outage = Outage::new(None);
        outage.lasts(1, true);
        advance(10_000 * MINUTE).await;
        assert_eq!(outage.lasts(1, true), None);
    }
}
