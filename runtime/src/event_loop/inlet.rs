//! The source of a task, open: a new one, or one that outlived an incarnation.

use std::{panic::AssertUnwindSafe, time::Duration};

use futures_util::FutureExt as _;
use gantry_sdk::{Checkpoints, Context, Health, Lost, Result, Source};
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
    liveness::Watchdog,
};

/// A source that is kept open is given up when its sink has been away for so long: what it holds of a broker, a member's
/// partitions above all, others may want.
const KEPT: Duration = Duration::from_secs(30);

/// A source, open.
pub(super) struct Inlet {
    pub(super) source: Box<dyn Source>,
    pub(super) health: Health,
    /// Where it is said what will not come again.
    pub(super) lost: Lost,
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
        stored: Checkpoints,
        wanted: &mut watch::Receiver<Wanted>,
        watchdog: &Watchdog,
    ) -> Result<Option<Self>> {
        match kept.take() {
            Some(Rested { inlet, .. }) => Ok(Some(inlet)),
            None => Self::open(task, stored, wanted, watchdog).await,
        }
    }

    async fn open(
        task: &Assignment,
        stored: Checkpoints,
        wanted: &mut watch::Receiver<Wanted>,
        watchdog: &Watchdog,
    ) -> Result<Option<Self>> {
        let (part, health) = (&task.definition.source, Health::new());
        let mut opening = part.make(|options| {
            let context =
                Context { stored: stored.clone(), ..context(task, part, &health, task.memory.source(), false) };
            (part.plugin.create)(options, context)
        })?;
        watchdog.report("opening the source");
        let lost = task.progress.lost();
        tokio::select! {
            source = &mut opening => Ok(Some(Self { source: source?, health, lost })),
            // A source takes as soon as it is open, perhaps before it says so. Dropped then, what it took would go back after
            // the next one has taken what follows (I5): so it is waited for, and closed.
            _ = wanted.changed() => {
                if let Ok(Ok(source)) = timeout(CLOSE_DEADLINE, opening).await {
                    Self { source, health, lost }.close(watchdog).await;
                }
                Ok(None)
            }
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

    pub(super) async fn close(self, watchdog: &Watchdog) {
        watchdog.report("closing the source");
        let Some(closed) = within_deadline(self.source.close()).await else { return };
        if closed.lost > 0 {
            let what = format!("{} records were not settled when the source was closed", closed.lost);
            if self.lost.report(closed.reason, closed.lost, what.clone()) {
                tracing::warn!("{what}, and do not come again: {}", closed.reason);
            }
        }
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
