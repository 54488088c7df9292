//! Where an event loop is heading: what a person wants, what the connectors say of their brokers, and the clock.
//!
//! It holds nothing that a call into a connector needs, so it steers on while such a call is under way.

use std::time::Duration;

use tokio::{
    sync::watch,
    time::{Instant, Interval, MissedTickBehavior, interval, sleep_until},
};
use tracing::{info, warn};

use super::{conditions::Conditions, ending::IncarnationEnd, lasting::Lasting};
use crate::{
    assignment::{Assignment, Wanted},
    liveness::{Flow, Snapshot, Watchdog},
    status::{Target, TaskState},
};

/// How often it looks at the clock, however busy or idle the event loop is.
const LOOK: Duration = Duration::from_secs(1);

/// Where the event loop is heading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Course {
    /// It moves records.
    Running,
    /// It takes nothing new and lets go through what is here, until then at most.
    Pausing {
        /// Then it is paused with what it still holds.
        until: Instant,
    },
    /// It moves nothing.
    Paused,
    /// It takes nothing new, lets go through what is here, and ends: then at the latest.
    Draining {
        /// Then what it still holds stays at its source.
        until: Instant,
    },
}

/// Something to look at that is no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Notice {
    /// Something else may be wanted.
    Wanted,
    /// A connector says something else of its broker.
    Condition,
    /// Time has passed.
    Tick,
}

pub(super) struct Control<'t> {
    task: &'t Assignment,
    pub(super) lasting: &'t mut Lasting,
    pub(super) watchdog: &'t Watchdog,
    pub(super) conditions: Conditions,
    /// Records that are not committed yet, as of the last event.
    pub(super) held: usize,
    course: Course,
    wanted: watch::Receiver<Wanted>,
    /// Restarts that were wanted before this incarnation began.
    restarts: u64,
    ticks: Interval,
    looked: Instant,
}

impl<'t> Control<'t> {
    pub(super) fn new(
        task: &'t Assignment,
        lasting: &'t mut Lasting,
        watchdog: &'t Watchdog,
        conditions: Conditions,
        restarts: u64,
    ) -> Self {
        let mut ticks = interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        lasting.liveness.begin();
        Self {
            task,
            lasting,
            watchdog,
            conditions,
            held: 0,
            course: Course::Running,
            wanted: task.wanted.clone(),
            restarts,
            ticks,
            looked: Instant::now(),
        }
    }

    pub(super) const fn course(&self) -> Course {
        self.course
    }

    pub(super) const fn is_draining(&self) -> bool {
        matches!(self.course, Course::Draining { .. })
    }

    /// It runs now: everything is open.
    pub(super) fn set_off(&mut self, epoch: u64) -> Result<(), IncarnationEnd> {
        let complaint = self.conditions.check()?;
        self.task.progress.enter(TaskState::Running, complaint);
        if !self.lasting.failures.is_on() {
            info!(bridge = %self.task.definition.name, task = self.task.id, epoch, "running");
        }
        self.tell_that_it_works();
        Ok(())
    }

    /// What must be looked at now, without waiting: an event loop that is never idle must not miss it.
    pub(super) fn due(&self) -> Option<Notice> {
        if !self.is_draining() && self.wanted.has_changed().unwrap_or(true) {
            Some(Notice::Wanted)
        } else if self.conditions.have_changed() {
            Some(Notice::Condition)
        } else {
            (self.looked.elapsed() >= LOOK).then_some(Notice::Tick)
        }
    }

    /// Returns when there is something to look at. Cancel-safe.
    pub(super) async fn wait(&mut self) -> Notice {
        let draining = self.is_draining();
        let deadline = self.deadline();
        tokio::select! {
            biased;
            _ = self.wanted.changed(), if !draining => Notice::Wanted,
            () = self.conditions.changed() => Notice::Condition,
            _ = self.ticks.tick() => Notice::Tick,
            () = sleep_until(deadline.unwrap_or(self.looked)), if deadline.is_some() => Notice::Tick,
        }
    }

    /// Acts on it. An error when the event loop must end for it.
    pub(super) fn take(&mut self, notice: Notice) -> Result<(), IncarnationEnd> {
        match notice {
            Notice::Wanted => {
                self.turn_to_what_is_wanted();
                Ok(())
            }
            Notice::Condition => self.complain(),
            Notice::Tick => self.look(),
        }
    }

    /// Looks at a tick whether something that should move stands still; `flow` is `None` while a call is under way. Returns
    /// whether the source is to be asked how much waits.
    pub(super) fn check(&mut self, flow: Option<Flow>) -> Result<bool, IncarnationEnd> {
        let (out_of_reach, draining) = (self.conditions.out_of_reach(), self.is_draining());
        Ok(self.lasting.liveness.check(&Snapshot { held: self.held, out_of_reach, draining, flow })?)
    }

    /// Everything that was here has gone through.
    pub(super) fn pause(&mut self) {
        self.course = Course::Paused;
        let complaint = self.task.progress.error();
        self.task.progress.enter(TaskState::Paused, complaint);
    }

    /// Whether not everything can be settled now.
    fn is_out_of_reach(&self) -> bool {
        self.conditions.out_of_reach().is_some()
    }

    fn turn_to_what_is_wanted(&mut self) {
        // Nobody can want anything any more: the service ends.
        let orphaned = self.wanted.has_changed().is_err();
        let wanted = *self.wanted.borrow_and_update();
        let until = Instant::now() + wanted.drain;
        let progress = &self.task.progress;
        match (self.course, wanted.target) {
            (Course::Draining { .. }, _) => {}
            _ if orphaned || wanted.exit || wanted.restarts != self.restarts => self.drain(until),
            (_, Target::Stopped) => self.drain(until),
            (Course::Running, Target::Paused) => self.course = Course::Pausing { until },
            (Course::Pausing { .. } | Course::Paused, Target::Running) => {
                self.course = Course::Running;
                progress.enter(TaskState::Running, progress.error());
            }
            (Course::Running, Target::Running) | (Course::Pausing { .. } | Course::Paused, Target::Paused) => {}
        }
    }

    fn drain(&mut self, until: Instant) {
        self.course = Course::Draining { until };
        self.task.progress.enter(TaskState::Stopping, None);
    }

    const fn deadline(&self) -> Option<Instant> {
        match self.course {
            Course::Pausing { until } | Course::Draining { until } => Some(until),
            Course::Running | Course::Paused => None,
        }
    }

    /// Shows what connectors complain of, and tells it once.
    fn complain(&mut self) -> Result<(), IncarnationEnd> {
        let complaint = self.conditions.check()?;
        if let Some(line) = complaint.as_ref().and_then(|complaint| self.lasting.complaints.failed(complaint)) {
            warn!(bridge = %self.task.definition.name, task = self.task.id, "{line}");
        }
        self.task.progress.complain(complaint);
        self.tell_that_it_works();
        Ok(())
    }

    fn tell_that_it_works(&mut self) {
        let (bridge, task) = (&self.task.definition.name, self.task.id);
        if let Some(recovered) = self.lasting.failures.works() {
            info!(%bridge, task, "running again {}", recovered.after("failed attempt"));
        }
        let complains = self.is_out_of_reach() || !self.conditions.source_is_up();
        if !complains && let Some(recovered) = self.lasting.complaints.works() {
            info!(%bridge, task, "everything is reachable again {}", recovered.after("interruption"));
        }
    }

    /// A look at the clock.
    fn look(&mut self) -> Result<(), IncarnationEnd> {
        let now = Instant::now();
        self.looked = now;
        match self.course {
            Course::Draining { until } if now >= until => return Err(IncarnationEnd::Wanted),
            Course::Draining { .. } => return Ok(()),
            Course::Pausing { until } if now >= until => self.pause(),
            Course::Pausing { .. } | Course::Paused | Course::Running => {}
        }
        self.tell_that_it_works();
        Ok(())
    }
}

/// Waits for a call into the source, so that nothing else of the event loop can go on meanwhile. Steers all the same, and leaves
/// the call when the event loop must end. A call that never returns is the watchdog's.
pub(super) async fn run_controlled<T>(
    control: &mut Control<'_>,
    doing: &'static str,
    call: impl Future<Output = T>,
) -> Result<T, IncarnationEnd> {
    control.watchdog.report(doing);
    tokio::pin!(call);
    loop {
        let notice = tokio::select! {
            biased;
            done = &mut call => return Ok(done),
            notice = control.wait() => notice,
        };
        control.take(notice)?;
        if notice == Notice::Tick {
            control.check(None)?;
        }
    }
}
