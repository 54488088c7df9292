//! The source of a task, open: a new one, or one that outlived an incarnation.

use std::{panic::AssertUnwindSafe, time::Duration};

use futures_util::FutureExt as _;
use gantry_sdk::{Health, Result, Source};
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};

use super::{
    context::context,
    deadline::{CLOSE_DEADLINE, within_deadline},
};
use crate::{
    assignment::{Assignment, Wanted},
    watchdog::Watchdog,
};

/// A source that is kept open is given up when its sink has been away for so long: what it holds of a broker, a member's
/// partitions above all, others may want.
const KEPT: Duration = Duration::from_secs(30);

/// A source, open.
pub(super) struct Inlet {
    pub(super) source: Box<dyn Source>,
    pub(super) health: Health,
}

/// A source that outlived an incarnation which another part ended. It has given back what it held.
pub(super) struct Rested {
    inlet: Inlet,
    since: Instant,
}

impl Inlet {
    /// Takes the one that was kept, or opens a new one. `None`: something else is wanted meanwhile.
    pub(super) async fn take_or_open(
        kept: &mut Option<Rested>,
        task: &Assignment,
        wanted: &mut watch::Receiver<Wanted>,
        watchdog: &Watchdog,
    ) -> Result<Option<Self>> {
        match kept.take() {
            Some(Rested { inlet, .. }) => Ok(Some(inlet)),
            None => Self::open(task, wanted, watchdog).await,
        }
    }

    async fn open(
        task: &Assignment,
        wanted: &mut watch::Receiver<Wanted>,
        watchdog: &Watchdog,
    ) -> Result<Option<Self>> {
        let (part, health) = (&task.definition.source, Health::new());
        let mut source = part.make(|options| (part.plugin.create)(options, context(task, part, &health, false)))?;
        watchdog.report("opening the source");
        let opened = {
            let opening = source.open();
            tokio::pin!(opening);
            tokio::select! {
                opened = &mut opening => Some(opened),
                // A source takes as soon as it is open, perhaps before it says so. Dropped then, what it took would go back after
                // the next one has taken what follows (I5): so it is waited for, and closed.
                _ = wanted.changed() => {
                    let _ = timeout(CLOSE_DEADLINE, opening).await;
                    None
                }
            }
        };
        if let Some(Ok(())) = opened {
            return Ok(Some(Self { source, health }));
        }
        within_deadline(source.close()).await;
        match opened {
            Some(Err(error)) => Err(error),
            _ => Ok(None),
        }
    }

    /// Gives back what it holds; keeps the rest of it in `kept` if that can be, else closes it.
    pub(super) async fn rest(mut self, kept: &mut Option<Rested>, watchdog: &Watchdog) {
        watchdog.report("giving back to the source");
        match timeout(CLOSE_DEADLINE, self.source.give_back()).await {
            Ok(Ok(true)) => *kept = Some(Rested { inlet: self, since: Instant::now() }),
            Ok(Ok(false) | Err(_)) | Err(_) => self.close(watchdog).await,
        }
    }

    pub(super) async fn close(mut self, watchdog: &Watchdog) {
        watchdog.report("closing the source");
        within_deadline(self.source.close()).await;
    }
}

impl Rested {
    /// Closes the one that is kept, if it has been for too long.
    pub(super) async fn close_if_stale(kept: &mut Option<Self>, watchdog: &Watchdog) {
        if kept.as_ref().is_some_and(|rested| rested.since.elapsed() > KEPT) {
            Self::close(kept, watchdog).await;
        }
    }

    /// Closes the one that is kept, if there is one. A panic in a connector ends here.
    pub(super) async fn close(kept: &mut Option<Self>, watchdog: &Watchdog) {
        let Some(Self { inlet, .. }) = kept.take() else { return };
        if AssertUnwindSafe(inlet.close(watchdog)).catch_unwind().await.is_err() {
            tracing::debug!("closing panicked");
        }
    }
}
