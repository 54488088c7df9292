//! Logs and a runtime for commands that look at brokers and run no service.

use std::{future::Future, sync::Arc, time::Duration};

use anyhow::Context as _;

use super::file_size;
use crate::{
    config::{Log, LogLevel},
    telemetry,
};

/// Starts logs and a runtime for a command that looks at brokers, and carries it out.
pub(super) fn block_on<T: Send>(
    log: &Log,
    display: Option<Arc<dyn telemetry::log::Display>>,
    command: impl Future<Output = anyhow::Result<T>> + Send,
) -> anyhow::Result<T> {
    // A replay says itself why it ended; the runtime would say that it tries again.
    let log = Log { level: LogLevel::Warn, ..log.clone() };
    telemetry::log::init_without(&["gantry_runtime::task"], &log, display)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting the runtime")?;
    // Headers may be nested deeper than the main thread's stack goes; that of other threads is larger (ADR 0011).
    let command = async {
        file_size::fail_instead_of_ending()?;
        command.await
    };
    let done = std::thread::scope(|scope| scope.spawn(|| runtime.block_on(command)).join());
    let done = done.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    // Blocking calls into a client library that hang must not keep the process.
    runtime.shutdown_timeout(Duration::from_secs(5));
    done
}
