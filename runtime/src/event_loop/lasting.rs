//! What outlives an incarnation of a task's data path.

use super::{inlet::Rested, outlets::Outlets, refusal_log::RefusalLog};
use crate::{
    definition::Definition,
    liveness::{Liveness, Watchdog},
    log_limiter::LogLimiter,
};

/// What outlives an incarnation.
pub(crate) struct Lasting {
    /// Open, and never used yet: only the source could not be opened.
    pub(super) outlets: Option<Outlets>,
    /// Open, and holds nothing: only another part failed.
    pub(super) source: Option<Rested>,
    pub(super) liveness: Liveness,
    /// Why incarnations end.
    pub(crate) failures: LogLimiter,
    /// What connectors complain of while they run.
    pub(super) complaints: LogLimiter,
    /// What was told of refused records.
    pub(super) refusal_log: RefusalLog,
}

impl Lasting {
    pub(crate) fn new(definition: &Definition) -> Self {
        Self {
            outlets: None,
            source: None,
            liveness: Liveness::new(definition.stall_timeout, definition.errors.give_back_after),
            failures: LogLimiter::default(),
            complaints: LogLimiter::default(),
            refusal_log: RefusalLog::default(),
        }
    }

    /// Closes what was kept open for the next try.
    pub(crate) async fn let_go(&mut self, watchdog: &Watchdog) {
        Outlets::close_kept(&mut self.outlets, watchdog).await;
        Rested::close(&mut self.source, watchdog).await;
    }
}
