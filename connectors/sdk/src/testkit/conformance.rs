//! The conformance kit: each promise of [`Source`](crate::Source) and [`Sink`](crate::Sink) as a check that a connector runs
//! against its real system.
//!
//! # The contract
//! - A connector writes a *world*: how records come to be where its source reads, or what has arrived where its sink writes. It is a
//!   [`SourceWorld`] or a [`SinkWorld`], made anew for each check.
//! - [`source_conformance!`](crate::source_conformance) and [`sink_conformance!`](crate::sink_conformance) make a test of each check.
//! - What its plugin says that it can do (`capabilities`) is held against it. What its system, or its world, cannot do it says in
//!   [`SourceAbilities`] or [`SinkAbilities`]. Only what is said to be missing is left out.
//! - The checks play the runtime's part through [`OrderedSource`](super::OrderedSource) and [`OrderedSink`](super::OrderedSink), so
//!   they keep to the order of calls, and what a source gives is looked at on the way.
//! - They wait for conditions with a deadline, and never for a time.
//!
//! ```ignore
//! struct Queue { … }
//!
//! #[async_trait]
//! impl SourceWorld for Queue {
//!     fn capabilities(&self) -> SourceCapabilities {
//!         SOURCE.capabilities
//!     }
//!
//!     async fn put(&mut self, numbers: RangeInclusive<u64>) { … }
//!     fn open(&mut self, context: Context) -> Opening<dyn Source> { … }
//! }
//!
//! mod conformance {
//!     gantry_sdk::source_conformance!(super::Queue::new().await);
//! }
//! ```
//!
//! One promise has no check: that no position is committed in another epoch than its own (I3). It cannot be broken by a source. A
//! closed one is gone, because `close` takes it, and a position reaches only the instance that gave it.

mod cancel;
mod macros;
mod reader;
pub mod sink;
mod sink_world;
pub mod source;
mod source_world;
#[cfg(test)]
mod tests;
mod writer;

use std::{future::Future, time::Duration};

pub use sink_world::{SinkAbilities, SinkWorld};
pub use source_world::{SourceAbilities, SourceWorld};

/// Longer than anything takes, so that a hang is a failure. An outer bound, not a promise: brokers of a busy machine are slow.
const DEADLINE: Duration = Duration::from_secs(60);

/// What `future` yields; a check that would hang fails instead.
async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(DEADLINE, future).await {
        Ok(value) => value,
        Err(_) => panic!("{what}: nothing in {DEADLINE:?}"),
    }
}

/// The same for what may fail and must not.
async fn done<T>(what: &str, future: impl Future<Output = crate::Result<T>>) -> T {
    within(what, future).await.unwrap_or_else(|error| panic!("{what}: {}", error.chain()))
}
