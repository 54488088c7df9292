//! `gantry run`: the service itself.

use std::{
    io::IsTerminal as _,
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{info, warn};

use crate::{
    bridge::{Bridges, Budget},
    cli::{file_size, live::Live},
    config, control,
    reload::Reloader,
    telemetry,
};

/// Run the bridges of these files until told to stop.
///
/// SIGTERM or Ctrl-C drains: nothing more is taken, what is in flight is delivered and committed, the rest stays with its
/// source. A second signal ends at once; nothing is lost by that either, but some messages may come twice.
///
/// SIGHUP reads the files again, as `gantry reload` does. Only bridges that changed restart; with an error in the new
/// files nothing changes, and the log says what is wrong.
///
/// It also ends when every bridge has a finite source and has delivered all of it.
///
/// Exit codes:
///   0    stopped or finished, and all that was in flight is delivered and committed
///   1    the configuration is wrong; nothing was started
///   2    it could not start: wrong arguments, the control port is taken
///   3    stopped, and not all was drained in time; what is left stays with its source
///   130  ended by a second signal
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct RunArgs {
    /// YAML files, in order: later ones add to and override earlier ones.
    #[arg(required = true, value_name = "CONFIG")]
    pub files: Vec<PathBuf>,

    /// Log lines only, no live lines on a terminal.
    #[arg(long)]
    pub no_live: bool,
}

/// Loads, starts, and waits for the end.
pub fn run(args: &RunArgs) -> anyhow::Result<ExitCode> {
    let loaded = match config::load(&args.files) {
        Ok(loaded) => loaded,
        Err(diagnostics) => {
            diagnostics.iter().for_each(|diagnostic| eprintln!("{diagnostic}"));
            eprintln!("gantry: nothing was started; `gantry check` says the same");
            return Ok(ExitCode::from(1));
        }
    };
    let live = !args.no_live && std::io::stderr().is_terminal() && std::io::stdout().is_terminal();
    let live = live.then(Live::new);
    telemetry::log::init(&loaded.settings.log, live.as_ref().map(Live::writer))?;
    loaded.warnings.iter().for_each(|warning| warn!("{warning}"));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting the runtime")?;
    let code = runtime.block_on(serve(args.files.clone(), loaded, live));
    // Blocking calls into a client library that hang must not keep the process.
    runtime.shutdown_timeout(Duration::from_secs(5));
    code
}

/// Signals within so long of the first are one.
const ONE_SIGNAL: Duration = Duration::from_secs(1);

async fn serve(files: Vec<PathBuf>, loaded: config::Loaded, live: Option<Live>) -> anyhow::Result<ExitCode> {
    file_size::fail_instead_of_ending()?;
    let mut signals = Signals::listen()?;
    let listener = control::bind(loaded.settings.control.listen).await?;
    let address = listener.local_addr();
    info!("control port on http://{address}, metrics on http://{address}/metrics");
    let budget = Budget::new(loaded.settings.in_flight_bytes);
    let bridges = Bridges::start(loaded.bridges, loaded.settings.shutdown_timeout, budget);
    let (reloader, reloads) = Reloader::new(files, loaded.settings, bridges.clone());
    let reloading = reloader.serve(signal(SignalKind::hangup()).context("listening for SIGHUP")?);
    let control = listener.serve(bridges.clone(), reloads);
    let shown = live.map(|live| live.show(bridges.clone()));

    let end = async {
        tokio::select! {
            () = signals.next() => info!("draining; a second signal ends at once"),
            () = reloading => info!("every bridge has finished"),
        }
        tokio::select! {
            drained = bridges.shutdown() => if drained { ExitCode::SUCCESS } else { ExitCode::from(3) },
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
