//! Logs: one line an event that an operator would act on, to stderr, as text or JSON.
//!
//! # Contract
//! - [`init`] is called once, before anything logs. `GANTRY_LOG` (in the syntax of `RUST_LOG`) overrides the level.
//! - Client libraries are kept quiet: what matters of theirs, connectors say once and in context. Unless one is named in
//!   `GANTRY_LOG` it logs no more than warnings, whatever the level (`libraries`).
//! - An event is one line: what a field holds forges no other, and no colour.
//! - A line is written in one piece. While a live display owns the terminal ([`Display`]), it steps aside for each line.
//! - Secrets are never logged; that is the callers' promise, kept by the types that hide them.

mod libraries;

use std::{
    fmt::{self, Debug, Write as _},
    io::{self, IsTerminal, Write},
    sync::Arc,
};

use tracing::field::{Field, Visit};
use tracing_subscriber::{
    EnvFilter,
    field::RecordFields,
    fmt::{FormatFields, MakeWriter, format},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use crate::{
    config::{Log, LogFormat, LogLevel},
    printable, registry,
};

/// The variable that overrides the level.
pub const VARIABLE: &str = "GANTRY_LOG";

/// Crates of the control port that log for their own developers. Those of connectors stand in their connections' plugins.
const LIBRARIES: [&str; 4] = ["hyper", "hyper_util", "axum", "tower"];

/// Why logging cannot start.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The filter does not parse.
    #[error("reading the log level from {origin}: {source}")]
    Filter {
        /// Where the filter came from.
        origin: &'static str,
        /// What is wrong with it.
        source: tracing_subscriber::filter::ParseError,
    },
    /// Somebody was first.
    #[error("starting logs: {0}")]
    Twice(#[from] tracing_subscriber::util::TryInitError),
}

/// What owns the terminal while it shows something that moves; steps aside for each line.
pub trait Display: Send + Sync {
    /// Clears the display, runs `write`, and shows it again.
    fn step_aside(&self, write: &mut dyn FnMut());
}

/// Starts logging to stderr, through `display` if there is one.
pub fn init(settings: &Log, display: Option<Arc<dyn Display>>) -> Result<(), InitError> {
    init_without(&[], settings, display)
}

/// The same for a command that itself tells what these modules would log.
pub fn init_without(modules: &[&str], settings: &Log, display: Option<Arc<dyn Display>>) -> Result<(), InitError> {
    let variable = std::env::var(VARIABLE).ok();
    let filter = filter(modules, settings.level, variable.as_deref())?;
    let named = libraries::named(variable.as_deref().unwrap_or_default());
    let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    // A terminal or a pipe that is gone must not end what logs: the layer would tell of it on stderr, and panic.
    let lines = tracing_subscriber::fmt::layer().log_internal_errors(false);
    let lines = lines.with_writer(Stderr { display }).with_ansi(colour);
    let subscriber = tracing_subscriber::registry().with(filter).with(libraries::cap(named.clone()));
    match settings.format {
        LogFormat::Text => subscriber.with(lines.with_target(false).fmt_fields(Fields)).try_init(),
        LogFormat::Json => subscriber.with(lines.json().flatten_event(true)).try_init(),
    }
    .map_err(InitError::from)?;
    if !named.is_empty() {
        let named = named.join(", ");
        tracing::warn!("{VARIABLE} names {named}: what a client library logs may hold passwords and tokens");
    }
    Ok(())
}

/// `message name=value`, each [`printable`]: brokers have a say in them. JSON escapes by itself.
struct Fields;

impl<'writer> FormatFields<'writer> for Fields {
    fn format_fields<R: RecordFields>(&self, mut out: format::Writer<'writer>, fields: R) -> fmt::Result {
        let mut line = Line { out: printable::Writer(&mut out), is_empty: true, written: Ok(()) };
        fields.record(&mut line);
        line.written
    }
}

struct Line<W> {
    out: printable::Writer<W>,
    is_empty: bool,
    written: fmt::Result,
}

impl<W: fmt::Write> Visit for Line<W> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // Where a library that logs by the crate `log` did so.
        if field.name().starts_with("log.") {
            return;
        }
        let space = if self.is_empty { "" } else { " " };
        let out = &mut self.out;
        self.written = self.written.and_then(|()| match field.name() {
            "message" => write!(out, "{space}{value:?}"),
            name => write!(out, "{space}{}={value:?}", name.trim_start_matches("r#")),
        });
        self.is_empty = false;
    }
}

fn filter(modules: &[&str], level: LogLevel, variable: Option<&str>) -> Result<EnvFilter, InitError> {
    let refused = |origin| move |source| InitError::Filter { origin, source };
    if let Some(directives) = variable.filter(|directives| !directives.trim().is_empty()) {
        return EnvFilter::try_new(directives).map_err(refused(VARIABLE));
    }
    // A broker that is away, or a queue that is missing, makes the libraries report every attempt, as errors; connectors
    // tell it once, with what it means.
    let libraries = match level {
        LogLevel::Debug | LogLevel::Trace => "warn",
        LogLevel::Off | LogLevel::Error | LogLevel::Warn | LogLevel::Info => "off",
    };
    let of_connectors = registry::connections().iter().flat_map(|connection| connection.libraries);
    let quieted: String =
        LIBRARIES.iter().chain(of_connectors).map(|library| format!("{library}={libraries},")).collect();
    let silent: String = modules.iter().map(|module| format!("{module}=off,")).collect();
    EnvFilter::try_new(silent + &quieted + level.as_str()).map_err(refused("the configuration"))
}

/// Writes each line in one piece.
#[derive(Clone)]
struct Stderr {
    display: Option<Arc<dyn Display>>,
}

impl MakeWriter<'_> for Stderr {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

impl Write for Stderr {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut result = Ok(());
        let mut write = || result = io::stderr().lock().write_all(line);
        match &self.display {
            Some(display) => display.step_aside(&mut write),
            None => write(),
        }
        result.map(|()| line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

#[cfg(test)]
mod tests;
