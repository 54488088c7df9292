//! Notices that nothing moves although everything says that it could.
//!
//! Three ways to stand still, each with a clock of its own:
//! - *settling*: records are in flight, sink and dead letter are reachable, and no outcome comes;
//! - *holding*: outcomes come, but not that of one batch, and everything behind it in its lane cannot be committed;
//! - *giving*: nothing is in flight, there is credit, the broker says that records wait, and none comes.
//!
//! A stall ends the incarnation. One that comes again without anything moved in between is given twice the time, up to
//! an hour: it may be no fault (a standby consumer of a queue with a single active one rightly gets nothing), and each
//! restart can cost what is held a delivery. The clocks outlive an incarnation for that.

use std::time::Duration;

use tokio::time::Instant;

/// The longest that repeated stalls are waited for, unless the time-out itself is longer.
const LONGEST: Duration = Duration::from_secs(3600);

/// The clocks of a task.
#[derive(Debug)]
pub(super) struct Stall {
    /// `None`: it never looks.
    timeout: Option<Duration>,
    settling: Clock,
    holding: Clock,
    /// When this incarnation began.
    begun: Instant,
    giving: Clock,
    /// Looks at the broker's backlog, one after the other, that found some.
    found: u32,
    next_look: Instant,
}

#[derive(Debug)]
struct Clock {
    /// Since when it stands still.
    since: Instant,
    /// How often that ended an incarnation since anything moved.
    strikes: u32,
}

impl Stall {
    pub(super) fn new(timeout: Option<Duration>) -> Self {
        let now = Instant::now();
        let clock = || Clock { since: now, strikes: 0 };
        let (settling, holding, giving) = (clock(), clock(), clock());
        Self { timeout, settling, holding, begun: now, giving, found: 0, next_look: now }
    }

    /// A new incarnation: what counts is what it does.
    pub(super) fn begin(&mut self) {
        let now = Instant::now();
        (self.begun, self.settling.since, self.holding.since) = (now, now, now);
        self.restart_giving();
    }

    /// An outcome came.
    pub(super) fn settled(&mut self) {
        self.settling.moved();
    }

    /// Records came; `first` when nothing was in flight before.
    pub(super) fn received(&mut self, first: bool) {
        if first {
            self.settling.since = Instant::now();
        }
        self.giving.moved();
        self.restart_giving();
    }

    /// Whether outcomes have been missing for too long, and for how long. `possible`: some should come.
    pub(super) fn settles_not(&mut self, possible: bool) -> Option<Duration> {
        let timeout = self.timeout?;
        if !possible {
            self.settling.since = Instant::now();
        }
        let still = self.settling.since.elapsed();
        (still >= self.settling.patience(timeout)).then(|| self.settling.strike(still))
    }

    /// Whether the batch that is in flight for longest, since `oldest`, is held up for too long, and for how long. `possible`:
    /// its outcome should come.
    pub(super) fn holds(&mut self, oldest: Option<Instant>, possible: bool) -> Option<Duration> {
        let timeout = self.timeout?;
        let Some(oldest) = oldest.filter(|_| possible) else {
            self.holding.since = Instant::now();
            return None;
        };
        if oldest > self.begun + timeout {
            self.holding.strikes = 0; // what was held up before came again at once, and has gone through
        }
        self.holding.since = self.holding.since.max(oldest);
        let still = self.holding.since.elapsed();
        (still >= self.holding.patience(timeout)).then(|| self.holding.strike(still))
    }

    /// Whether it is time to ask the broker for its backlog. `possible`: the source could give records, if there are any.
    pub(super) fn wants_look(&mut self, possible: bool) -> bool {
        if !possible {
            self.restart_giving();
        }
        possible && self.timeout.is_some() && Instant::now() >= self.next_look
    }

    /// The broker was asked: so many records wait. Returns for how long none came, if that is too long.
    pub(super) fn looked(&mut self, backlog: u64) -> Option<Duration> {
        let patience = self.giving.patience(self.timeout?);
        let still = self.giving.since.elapsed();
        self.found = if backlog > 0 { self.found + 1 } else { 0 };
        self.next_look = Instant::now() + patience / 4;
        // Two looks, so that what came to the queue just now is no reason.
        (self.found >= 2 && still >= patience).then(|| self.giving.strike(still))
    }

    fn restart_giving(&mut self) {
        let now = Instant::now();
        self.giving.since = now;
        self.found = 0;
        self.next_look = now + self.timeout.map_or(Duration::ZERO, |timeout| self.giving.patience(timeout) * 3 / 4);
    }
}

impl Clock {
    fn moved(&mut self) {
        *self = Self { since: Instant::now(), strikes: 0 };
    }

    fn patience(&self, timeout: Duration) -> Duration {
        timeout.saturating_mul(1 << self.strikes.min(16)).min(LONGEST.max(timeout))
    }

    fn strike(&mut self, still: Duration) -> Duration {
        self.strikes += 1;
        still
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    /// Minutes until records in flight without an outcome are a stall.
    async fn minutes_without_an_outcome(stall: &mut Stall) -> u64 {
        stall.begin();
        for minutes in 1.. {
            advance(MINUTE).await;
            if stall.settles_not(true).is_some() {
                return minutes;
            }
        }
        unreachable!("it counts for ever")
    }

    #[tokio::test(start_paused = true)]
    async fn a_repeated_stall_is_given_twice_the_time_up_to_an_hour() {
        let mut stall = Stall::new(Some(5 * MINUTE));
        for expected in [5, 10, 20, 40, 60, 60] {
            assert_eq!(minutes_without_an_outcome(&mut stall).await, expected);
        }
        stall.settled();
        assert_eq!(minutes_without_an_outcome(&mut stall).await, 5);
        stall.received(true);
        assert_eq!(minutes_without_an_outcome(&mut stall).await, 10, "records that come are no outcomes");
    }

    #[tokio::test(start_paused = true)]
    async fn an_unreachable_sink_does_not_count_as_a_stall() {
        let mut stall = Stall::new(Some(MINUTE));
        for _ in 0..100 {
            advance(MINUTE).await;
            assert_eq!(stall.settles_not(false), None);
        }
        advance(MINUTE / 2).await;
        assert_eq!(stall.settles_not(true), None);
        advance(MINUTE / 2).await;
        assert_eq!(stall.settles_not(true), Some(MINUTE));
    }

    /// Minutes until a batch that came at once is held up for too long, while others come and go.
    async fn minutes_held(stall: &mut Stall) -> u64 {
        stall.begin();
        let oldest = Instant::now();
        for minutes in 1.. {
            advance(MINUTE).await;
            stall.settled();
            assert_eq!(stall.settles_not(true), None);
            if stall.holds(Some(oldest), true).is_some() {
                return minutes;
            }
        }
        unreachable!("it counts for ever")
    }

    #[tokio::test(start_paused = true)]
    async fn one_batch_that_is_never_settled_is_a_stall_whatever_others_do() {
        let mut stall = Stall::new(Some(5 * MINUTE));
        for expected in [5, 10, 20, 40, 60, 60] {
            assert_eq!(minutes_held(&mut stall).await, expected);
        }
        for _ in 0..100 {
            advance(MINUTE).await;
            assert_eq!(stall.holds(Some(Instant::now()), true), None, "what goes through is young");
        }
        assert_eq!(minutes_held(&mut stall).await, 5);
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_is_held_up_only_while_its_outcome_could_come() {
        let mut stall = Stall::new(Some(MINUTE));
        let oldest = Some(Instant::now());
        for _ in 0..100 {
            advance(MINUTE).await;
            assert_eq!((stall.holds(oldest, false), stall.holds(None, true)), (None, None));
        }
        advance(MINUTE / 2).await;
        assert_eq!(stall.holds(oldest, true), None);
        advance(MINUTE / 2).await;
        assert_eq!(stall.holds(oldest, true), Some(MINUTE));
    }

    /// Looks every second; returns the seconds until it is a stall and how often the broker was asked.
    async fn seconds_without_a_record(stall: &mut Stall, backlog: impl Fn(u64) -> u64) -> Option<(u64, u32)> {
        stall.begin();
        let mut asked = 0;
        for second in 1..5_000 {
            advance(Duration::from_secs(1)).await;
            if stall.wants_look(true) {
                asked += 1;
                if stall.looked(backlog(second)).is_some() {
                    return Some((second, asked));
                }
            }
        }
        None
    }

    #[tokio::test(start_paused = true)]
    async fn a_backlog_at_two_looks_a_quarter_apart_and_no_record_is_a_stall() {
        let mut stall = Stall::new(Some(100 * Duration::from_secs(1)));
        assert_eq!(seconds_without_a_record(&mut stall, |_| 7).await, Some((100, 2)));
        assert_eq!(seconds_without_a_record(&mut stall, |_| 7).await, Some((200, 2)), "then twice the time");
        stall.received(true);
        assert_eq!(seconds_without_a_record(&mut stall, |second| second / 90).await, Some((125, 3)));
        assert_eq!(seconds_without_a_record(&mut stall, |_| 0).await, None, "an empty queue is no stall");
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_timeout_nothing_is_a_stall() {
        let mut stall = Stall::new(None);
        advance(10_000 * MINUTE).await;
        assert!(stall.settles_not(true).is_none() && stall.holds(Some(Instant::now() - MINUTE), true).is_none());
        assert!(!stall.wants_look(true) && stall.looked(9).is_none());
    }
}
