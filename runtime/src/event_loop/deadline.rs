//! Closing takes no longer than a broker is worth waiting for.

use std::time::Duration;

use gantry_sdk::Result;

/// Closing a connection to a broker that does not answer takes no longer than this.
pub(super) const CLOSE_DEADLINE: Duration = Duration::from_secs(10);

/// What goes wrong while closing changes nothing any more: what is uncommitted is given back by the broker itself.
/// `None`: it did.
pub(super) async fn within_deadline<T>(closing: impl Future<Output = Result<T>>) -> Option<T> {
    match tokio::time::timeout(CLOSE_DEADLINE, closing).await {
        Ok(Ok(closed)) => return Some(closed),
        Ok(Err(error)) => tracing::debug!("closing: {}", error.chain()),
        Err(_) => tracing::debug!("closing took longer than {CLOSE_DEADLINE:?}"),
    }
    None
}
