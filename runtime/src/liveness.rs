//! Notices that nothing moves: every rule for it, each with a clock of its own.
//!
//! | rule | is broken when | for |
//! |---|---|---|
//! | *out of reach* | records are held, an outlet is out of reach, and nothing is committed | `errors.give_back_after` |
//! | *settling* | records are in flight, every outlet is reachable, and no outcome comes | `stall_timeout` |
//! | *holding* | outcomes come, but not that of one batch, and everything behind it in its lane cannot be committed | `stall_timeout` |
//! | *giving* | nothing is in flight, there is credit, the broker says that records wait, and none comes | `stall_timeout` |
//! | *unanswered* | the source does not say how much waits | [`ANSWER`] |
//! | *silent* | the event loop shows no sign of life: an await that never returns cannot tell of itself | `stall_timeout` and [`GRACE`] |
//!
//! A broken rule ends the incarnation. Settling, holding and giving that are broken again without anything moved in between
//! are given twice the time, up to an hour: it may be no fault (a standby consumer of a queue with a single active one rightly
//! gets nothing), and each restart can cost what is held a delivery. Their clocks outlive an incarnation for that.
//!
//! A step that takes more than ten seconds breaks no rule, and is told while it goes on ([`slow_steps`]).
//!
//! Out of reach: a broker does not wait for ever (RabbitMQ closes a channel whose deliveries are unacknowledged for half an
//! hour). So what is held goes back before that, and nothing is taken until the outlet answers again.
//!
//! [`broken`] what is said of it · [`clock`] how long, and how often · [`watchdog`] the sign of life · [`slow_steps`] what takes long

mod broken;
mod clock;
mod slow_steps;
#[cfg(test)]
mod tests;
mod watchdog;

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use self::clock::Clock;

pub(super) use self::{broken::Broken, slow_steps::SlowSteps, watchdog::Watchdog};

/// A source that does not say in that time how much waits for it has lost its broker.
pub(super) const ANSWER: Duration = Duration::from_secs(30);
/// An event loop without a stall time-out is dropped when it has shown no sign of life for so long.
const SILENCE: Duration = Duration::from_secs(300);
/// What an event loop is given beyond its stall time-out, within which it notices most stalls itself.
const GRACE: Duration = Duration::from_secs(30);

/// How things are at a tick.
#[derive(Debug)]
pub(super) struct Snapshot {
    /// Records that are not committed yet.
    pub(super) held: usize,
    /// Which outlet is out of reach, and the reason.
    pub(super) out_of_reach: Option<(Arc<str>, Arc<str>)>,
    /// It takes nothing new and ends soon, whatever moves.
    pub(super) draining: bool,
    /// `None` while a call into the source is under way: one that never returns is silent.
    pub(super) flow: Option<Flow>,
}

/// What can be seen between calls.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flow {
    /// Since when the batch is in flight that waits for longest.
    pub(super) oldest: Option<Instant>,
    /// Nothing is in flight, and the source could give records, if there are any.
    pub(super) gives: bool,
}

/// The clocks of a task.
#[derive(Debug)]
pub(super) struct Liveness {
    out_of_reach: Clock,
    settling: Clock,
    holding: Clock,
    giving: Clock,
    /// When this incarnation began.
    begun: Instant,
    /// Looks at the broker's backlog, one after the other, that found some.
    found: u32,
    next_look: Instant,
}

impl Liveness {
    /// Without a time-out no rule is broken that has it.
    pub(super) fn new(stall_timeout: Option<Duration>, give_back_after: Option<Duration>) -> Self {
        let now = Instant::now();
        let [settling, holding, giving] = std::array::from_fn(|_| Clock::new(stall_timeout));
        Self {
            out_of_reach: Clock::new(give_back_after),
            settling,
            holding,
            giving,
            begun: now,
            found: 0,
            next_look: now,
        }
    }

    /// A new incarnation: what counts is what it does.
    pub(super) fn begin(&mut self) {
        self.begun = Instant::now();
        self.out_of_reach.reset();
        self.settling.restart();
        self.holding.restart();
        self.restart_giving();
    }

    /// An outcome came.
    pub(super) fn settled(&mut self) {
        self.settling.moved();
    }

    /// Something was committed: not everything is held up.
    pub(super) const fn committed(&mut self) {
        self.out_of_reach.reset();
    }

    /// Records came; `first` when nothing was in flight before.
    pub(super) fn received(&mut self, first: bool) {
        if first {
            self.settling.restart();
        }
        self.giving.moved();
        self.restart_giving();
    }

    /// Holds the rules against how things are. Returns whether it is time to ask the source how much [waits](Self::waiting).
    pub(super) fn check(&mut self, seen: &Snapshot) -> Result<bool, Broken> {
        if seen.draining {
            return Ok(false);
        }
        self.check_reach(seen)?;
        let Some(flow) = seen.flow else { return Ok(false) };
        if seen.held > 0 && seen.out_of_reach.is_none() {
            self.check_outcomes(seen.held, flow.oldest)?;
        } else {
            self.settling.restart();
            self.holding.restart();
        }
        if !flow.gives {
            self.restart_giving();
        }
        Ok(flow.gives && self.giving.patience().is_some() && Instant::now() >= self.next_look)
    }

    /// The source was asked: so many records wait.
    pub(super) fn waiting(&mut self, waiting: u64) -> Result<(), Broken> {
        self.found = if waiting > 0 { self.found + 1 } else { 0 };
        self.next_look = Instant::now() + self.giving.patience().unwrap_or_default() / 4;
        // Two looks, so that what came to the queue just now is no reason.
        if self.found >= 2
            && let Some(still) = self.giving.runs_out()
        {
            return Err(Broken::Giving { waiting, still });
        }
        Ok(())
    }

    /// An outlet that comes and goes without a commit in between has been out of reach all that time.
    fn check_reach(&mut self, seen: &Snapshot) -> Result<(), Broken> {
        let held = seen.held;
        if held == 0 {
            self.out_of_reach.reset();
        } else if let Some((part, reason)) = &seen.out_of_reach
            && let Some(still) = self.out_of_reach.runs_out()
        {
            return Err(Broken::OutOfReach { part: part.clone(), reason: reason.clone(), held, still });
        }
        Ok(())
    }

    fn check_outcomes(&mut self, held: usize, oldest: Option<Instant>) -> Result<(), Broken> {
        if let Some(still) = self.settling.runs_out() {
            return Err(Broken::Settling { held, still });
        }
        let Some(oldest) = oldest else {
            self.holding.restart();
            return Ok(());
        };
        let came_after = oldest.saturating_duration_since(self.begun);
        if self.holding.limit().is_some_and(|limit| came_after > limit) {
            self.holding.forgive(); // what was held up before came again at once, and has gone through
        }
        self.holding.not_before(oldest);
        self.holding.runs_out().map_or(Ok(()), |still| Err(Broken::Holding { held, still }))
    }

    fn restart_giving(&mut self) {
        self.giving.restart();
        self.found = 0;
        self.next_look = Instant::now() + self.giving.patience().unwrap_or_default() * 3 / 4;
    }
}

/// Returns when the event loop has shown no sign of life for too long.
pub(super) async fn silence(watchdog: &Watchdog, stall_timeout: Option<Duration>) -> Broken {
    let still = stall_timeout.map_or(SILENCE, |timeout| timeout.saturating_add(GRACE));
    let (_, doing) = watchdog.silent_for(still).await;
    Broken::Silent { doing, still }
}
