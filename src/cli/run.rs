//! `gantry run`: the service itself.

use std::{
    io::IsTerminal as _,
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use gantry_runtime::{Bridges, Budget, Counts};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{error, info, warn};

use crate::{
    cli::{file_size, live::Live, output},
    config, control,
    reload::Reloader,
    telemetry::{self, metrics::Metrics},
};

/// Run the bridges of these files until told to stop.
///
/// SIGTERM or Ctrl-C drains: nothing more is taken, what is in flight is delivered and committed, the rest stays with its
/// source. A second signal ends at once; nothing is lost by that either, but some messages may come twice.
///
/// SIGHUP reads the files again, as `gantry reload` does. Only bridges that changed restart, and those that have failed try
/// again; with an error in the new files nothing changes, and the log says what is wrong.
///
/// It also ends when every bridge has a finite source and has delivered all of it; with `--exit-on-failure` as soon as one
/// has failed. At its end it says what became of the records.
///
/// Exit codes:
///   0    stopped or finished, and all that was in flight is delivered and committed
///   1    the configuration is wrong; nothing was started
///   2    it could not start: wrong arguments, the control port is taken
///   3    stopped, and not all was drained in time; what is left stays with its source
///   4    a bridge has failed, and --exit-on-failure was given; the others have drained
///   130  ended by a second signal
#[derive(Debug, Clone, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct RunArgs {
    /// YAML files, or directories of them, in order: later ones add to and override earlier ones.
    #[arg(required = true, value_name = "CONFIG")]
    pub files: Vec<PathBuf>,

    /// Log lines only, no live lines on a terminal.
    #[arg(long)]
    pub no_live: bool,

    /// End when a bridge has failed: what it needs is missing or refused, or a record can never be delivered. A broker
    /// that is away is waited for. The other bridges drain.
    #[arg(long)]
    pub exit_on_failure: bool,
}

/// Loads, starts, and waits for the end.
pub fn run(args: &RunArgs) -> anyhow::Result<ExitCode> {
    let loaded = match config::load(&args.files) {
        Ok(loaded) => loaded,
        Err(diagnostics) => {
            output::tell_diagnostics(&diagnostics);
            output::tell("gantry: nothing was started; `gantry check` says the same");
            return Ok(ExitCode::from(1));
        }
    };
    let live = !args.no_live && std::io::stderr().is_terminal() && std::io::stdout().is_terminal();
    let live = live.then(Live::new);
    telemetry::log::init(&loaded.settings.log, live.as_ref().map(Live::writer))?;
    loaded.warnings.iter().for_each(|warning| warn!("{warning}"));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting the runtime")?;
    let code = runtime.block_on(serve(args.clone(), loaded, live));
    // Blocking calls into a client library that hang must not keep the process.
    runtime.shutdown_timeout(Duration::from_secs(5));
    code
}

/// Exit codes.
const UNDRAINED: u8 = 3;
const FAILED: u8 = 4;

/// Signals within so long of the first are one.
const ONE_SIGNAL: Duration = Duration::from_secs(1);

async fn serve(args: RunArgs, loaded: config::Loaded, live: Option<Live>) -> anyhow::Result<ExitCode> {
    file_size::fail_instead_of_ending()?;
    let mut signals = Signals::listen()?;
    let listener = control::bind(&loaded.settings.control).await?;
    let address = listener.local_addr();
    info!("control port on http://{address}, metrics on http://{address}/metrics");
    let budget = Budget::new(loaded.settings.in_flight_bytes);
    let bridges = Bridges::start(loaded.bridges, loaded.settings.shutdown_timeout, budget, Arc::new(Metrics));
    let (reloader, reloads) = Reloader::new(args.files, loaded.settings, bridges.clone());
    let reloading = reloader.serve(signal(SignalKind::hangup()).context("listening for SIGHUP")?);
    let control = listener.serve(bridges.clone(), reloads);
    let shown = live.map(|live| live.show(bridges.clone()));

    let failure = async {
        if !args.exit_on_failure {
            std::future::pending::<()>().await;
        }
        bridges.failed().await
    };
    let end = async {
        let failed = tokio::select! {
            () = signals.next() => {
                info!("draining; a second signal ends at once");
                false
            }
            () = reloading => {
                info!("every bridge has finished");
                false
            }
            bridge = failure => {
                error!(%bridge, "has failed: draining the others, because of --exit-on-failure");
                true
            }
        };
        tokio::select! {
            drained = bridges.shutdown() => {
                info!("{}", summary(&bridges, drained));
                match (failed, drained) {
                    (true, _) => ExitCode::from(FAILED),
                    (false, true) => ExitCode::SUCCESS,
                    (false, false) => ExitCode::from(UNDRAINED),
                }
            }
            () = signals.next_after(ONE_SIGNAL) => ExitCode::from(130),
        }
    };
    tokio::pin!(end, control);
    let code = tokio::select! {
        code = &mut end => code,
        served = &mut control => {
            served.context("serving the control port")?;
            end.await
        }
    };
    drop(shown);
    Ok(code)
}

/// `drained: 1200 delivered, 3 filtered, 2 dead-lettered`: what became of the records of all bridges that there are.
fn summary(bridges: &Bridges, drained: bool) -> String {
    let bridges = bridges.all();
    let sum = |count: fn(&Counts) -> u64| -> u64 {
        bridges.iter().flat_map(|bridge| bridge.task_statuses()).map(|task| count(&task.counts)).sum()
    };
    let mut text = if drained { "drained" } else { "not all was drained in time" }.to_owned();
    text += &format!(": {} delivered", sum(|counts| counts.records_out));
    for (count, what) in [
        (sum(|counts| counts.filtered - counts.dropped), "filtered"),
        (sum(|counts| counts.dropped), "refused and dropped"),
        (sum(|counts| counts.dead_lettered), "dead-lettered"),
        (sum(|counts| counts.returned), "given back to their source, to come again"),
    ] {
        if count > 0 {
            text += &format!(", {count} {what}");
        }
    }
    text
}

/// What init systems and terminals send to end a process.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// A reload, unless it comes because the terminal went away.
    hangup: Signal,
    on_terminal: bool,
}

impl Signals {
    fn listen() -> anyhow::Result<Self> {
        let terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
        let interrupt = signal(SignalKind::interrupt()).context("listening for SIGINT")?;
        let hangup = signal(SignalKind::hangup()).context("listening for SIGHUP")?;
        Ok(Self { terminate, interrupt, hangup, on_terminal: std::io::stderr().is_terminal() })
    }

    async fn next(&mut self) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return info!("SIGTERM"),
                _ = self.interrupt.recv() => return info!("interrupted"),
                _ = self.hangup.recv() => if self.on_terminal && !std::io::stderr().is_terminal() {
                    return info!("the terminal is gone");
                }
            }
        }
    }

    /// The next one that a person can have meant: tools that signal a process and its group send the first one twice.
    async fn next_after(&mut self, pause: Duration) {
        let told = Instant::now();
        loop {
            self.next().await;
            if told.elapsed() >= pause {
                return;
            }
        }
    }
}
