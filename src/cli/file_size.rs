//! The limit of file sizes (`ulimit -f`, systemd's `LimitFSIZE`): a write beyond it is an error, not the end of the process.

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

/// SIGXFSZ, whose number is this one on every platform that Gantry is built for.
const FILE_TOO_LARGE: i32 = 25;

/// From now on a write that would make a file too large fails, and whoever writes says what to do. Needs a runtime.
pub(super) fn fail_instead_of_ending() -> anyhow::Result<()> {
    // By itself the signal ends the process. Once somebody listens it does not, also when nobody does any more.
    signal(SignalKind::from_raw(FILE_TOO_LARGE)).map(drop).context("listening for SIGXFSZ")
}
