//! One task a source, until SIGTERM or the first error.

use anyhow::{Context as _, Result, bail};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
    task::JoinSet,
};

/// Says that no more is to be taken.
pub(crate) struct Stop(watch::Receiver<()>);

impl Stop {
    /// Returns when it is said.
    pub(crate) async fn asked(&mut self) {
        // An error says that nobody will ask any more, which is the same.
        let _ = self.0.changed().await;
    }
}

/// Runs all of them. On worker threads: the main thread is not one, and waking it costs more.
pub(crate) async fn run<T, F>(tasks: impl IntoIterator<Item = T>, start: impl Fn(T, Stop) -> F) -> Result<()>
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    let (stop, stopped) = watch::channel(());
    let mut running = JoinSet::new();
    for task in tasks {
        running.spawn(start(task, Stop(stopped.clone())));
    }
    tokio::select! {
        _ = terminate.recv() => {}
        Some(ended) = running.join_next() => {
            ended.context("running")??;
            bail!("a task has ended");
        }
    }
    drop(stop);
    while let Some(ended) = running.join_next().await {
        ended.context("running")??;
    }
    Ok(())
}
