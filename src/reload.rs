//! Reload: the configuration is read again while bridges run, and what changed is put into effect.
//!
//! # Contract
//! - It is asked for by SIGHUP and by [`Reloads::ask`]; both do the same. One runs at a time; others wait for their turn,
//!   and read the files when it has come.
//! - All or nothing: with one error in the new configuration nothing changes, and the answer holds every error.
//! - It is stricter than a start ([`config::reload`] says where), because bridges may be running that work.
//! - Bridges that mean the same are not touched: their connections, epochs and counts go on. Those that wait for their
//!   next try do it now.
//! - What a process takes up only once is left as it is, and named in the answer.
//! - A stop does not wait for a reload: what ends already goes on ending, nothing more is started.

use std::{path::PathBuf, sync::Arc};

use gantry_runtime::{Bridges, Definition};
use gantry_sdk::config::Severity;
use serde::Serialize;
use tokio::{
    signal::unix::Signal,
    sync::{mpsc, oneshot},
};
use tracing::{error, info, warn};

use crate::config::{self, Control, Diagnostic, Settings};

/// How many may wait for their turn before asking itself waits.
const WAITING: usize = 16;

/// What a reload did.
#[derive(Debug, Clone, Serialize)]
pub struct Reloaded {
    /// Bridges that are new.
    pub started: Vec<String>,
    /// Bridges that are gone.
    pub stopped: Vec<String>,
    /// Bridges that mean something else now; their counts begin anew.
    pub restarted: Vec<String>,
    /// Bridges that were not touched.
    pub stayed: Vec<String>,
    /// Those of `stayed` that had failed and waited for their next try: they try now.
    pub tried_again: Vec<String>,
    /// Those of `stopped` and `restarted` that did not settle all in time: the rest stayed with its source.
    pub undrained: Vec<String>,
    /// Options that changed and that a process takes up only when it starts.
    pub needs_restart: Vec<&'static str>,
    /// What works, and will hurt.
    pub warnings: Vec<Diagnostic>,
}

/// Why a reload changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The new configuration is wrong: everything that was found.
    #[error("the new configuration is wrong: nothing was changed")]
    Wrong(Vec<Diagnostic>),
    /// Reading it went wrong in a way that nobody expected.
    #[error("reading the configuration panicked: nothing was changed; please report this as a bug")]
    Panicked,
    /// The process is stopping.
    #[error("gantry is stopping")]
    Stopping,
}

/// What comes of asking for a reload.
pub type Outcome = Result<Reloaded, Refused>;

/// Where to ask for a reload. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Reloads {
    requests: mpsc::Sender<oneshot::Sender<Outcome>>,
}

impl Reloads {
    /// Asks for a reload and returns when it has taken effect: when bridges that ended have drained. It goes on when
    /// this is dropped.
    pub async fn ask(&self) -> Outcome {
        let (sender, outcome) = oneshot::channel();
        self.requests.send(sender).await.map_err(|_| Refused::Stopping)?;
        outcome.await.unwrap_or(Err(Refused::Stopping))
    }
}

/// Carries out reloads.
#[derive(Debug)]
pub struct Reloader {
    files: Vec<PathBuf>,
    /// Those that the process started with.
    settings: Settings,
    bridges: Bridges,
    requests: mpsc::Receiver<oneshot::Sender<Outcome>>,
}

impl Reloader {
    /// For bridges that were loaded from these files, and started with these settings.
    pub fn new(files: Vec<PathBuf>, settings: Settings, bridges: Bridges) -> (Self, Reloads) {
        let (sender, requests) = mpsc::channel(WAITING);
        (Self { files, settings, bridges, requests }, Reloads { requests: sender })
    }

    /// Reloads whenever someone asks; returns when every bridge has finished. Dropped, it refuses whoever waits.
    pub async fn serve(mut self, mut hangup: Signal) {
        loop {
            // In this order: a reload that was asked for may bring bridges that go on.
            let reply = tokio::select! {
                biased;
                Some(reply) = self.requests.recv() => Some(reply),
                Some(()) = hangup.recv() => {
                    info!("SIGHUP");
                    None
                }
                () = self.bridges.finished() => return,
            };
            let outcome = self.reload().await;
            log(&outcome);
            if let Some(reply) = reply {
                // Whoever asked may have gone.
                let _ = reply.send(outcome);
            }
        }
    }

    async fn reload(&self) -> Outcome {
        let files = self.files.clone();
        let running: Vec<_> = self.bridges.all().iter().map(|bridge| bridge.definition().clone()).collect();
        // Reads files.
        let read = tokio::task::spawn_blocking(move || config::reload(&files, &running));
        let (loaded, difference) = read.await.map_err(|_| Refused::Panicked)?.map_err(Refused::Wrong)?;
        let names = |definitions: &[Arc<Definition>]| definitions.iter().map(|one| one.name.to_string()).collect();
        let mut reloaded = Reloaded {
            started: names(&difference.added),
            stopped: difference.removed.iter().map(ToString::to_string).collect(),
            restarted: names(&difference.changed),
            stayed: names(&difference.same),
            tried_again: Vec::new(),
            undrained: Vec::new(),
            needs_restart: needs_restart(&self.settings, &loaded.settings),
            warnings: loaded.warnings,
        };
        // At once: what ends may take long to drain.
        let tried_again = self.bridges.try_now(difference.same.iter().map(|definition| &definition.name));
        reloaded.tried_again = tried_again.iter().map(ToString::to_string).collect();
        self.bridges.set_drain(loaded.settings.shutdown_timeout);
        self.bridges.set_budget(loaded.settings.in_flight_bytes);
        let undrained = self.bridges.apply(difference).await;
        reloaded.undrained = undrained.iter().map(ToString::to_string).collect();
        Ok(reloaded)
    }
}

/// The options that differ and that are taken up only once. The others are in [`Reloader::reload`].
fn needs_restart(now: &Settings, new: &Settings) -> Vec<&'static str> {
    // Taken apart by name, so that a new option cannot be forgotten here.
    let Settings { control, log, shutdown_timeout: _, in_flight_bytes: _ } = now;
    let Control { listen, ref hosts, max_connections, client_timeout } = *control;
    let options = [
        ("control.listen", listen != new.control.listen),
        ("control.hosts", *hosts != new.control.hosts),
        ("control.max_connections", max_connections != new.control.max_connections),
        ("control.client_timeout", client_timeout != new.control.client_timeout),
        ("log.level", log.level != new.log.level),
        ("log.format", log.format != new.log.format),
    ];
    options.into_iter().filter(|(_, differs)| *differs).map(|(option, _)| option).collect()
}

fn log(outcome: &Outcome) {
    match outcome {
        Ok(reloaded) => {
            let Reloaded { started, stopped, restarted, stayed, tried_again, undrained, needs_restart, warnings } =
                reloaded;
            warnings.iter().for_each(|warning| warn!("{warning}"));
            needs_restart.iter().for_each(|option| warn!("{option} changed: it needs a restart of the process"));
            info!(?started, ?stopped, ?restarted, stayed = stayed.len(), ?tried_again, ?undrained, "reloaded");
        }
        Err(refused) => {
            if let Refused::Wrong(diagnostics) = refused {
                for diagnostic in diagnostics {
                    match diagnostic.severity {
                        Severity::Error => error!("{diagnostic}"),
                        Severity::Warning => warn!("{diagnostic}"),
                    }
                }
            }
            error!("reload: {refused}");
        }
    }
}

#[cfg(test)]
mod tests;
