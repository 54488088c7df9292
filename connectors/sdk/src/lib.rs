//! What a Gantry connector is made of.
//!
//! A connector turns one system into [`Source`]s and [`Sink`]s of [`Record`]s. It knows its protocol and nothing
//! else: not the runtime, not other connectors. The runtime knows these traits and no protocol.
//!
//! In reading order:
//!
//! 1. [`record`]: one message in flight, bytes first
//! 2. [`source`] and [`sink`]: the two traits, with what they promise each other
//! 3. [`receipt`], [`failure`] and [`ledger`]: how what became of each record turns into commits that are in order (I1, I2, I3)
//!    [`answer`]: for those who wait for it
//! 4. [`transform`]: what may happen to a batch in between
//! 5. [`dead_letters`]: reading dead letters back
//! 6. [`template`]: literal text with `{field}` parts
//! 7. [`json`]: JSON bodies, read in place
//! 8. [`plugin`]: how a connector shows itself to the registry, with its options as a JSON Schema; [`endpoint`]: what it
//!    reads and writes; [`capabilities`]: what it can do
//! 9. [`config`]: durations and sizes with units, secrets, problems with a place
//! 10. [`error`], [`health`], [`lag`], [`depth`] and [`lost`]: what went wrong, in kinds that the runtime can act on, what
//!     waits, and what was gone before it was read; [`remembered`]: what an instance leaves to the next one; [`probe`]: what
//!     would go wrong, asked beforehand
//! 11. `testkit` (feature `testkit`): what every connector's tests run
//!
//! # Architecture invariant
//! This crate depends on no connector and on no client library.

pub mod answer;
pub mod capabilities;
pub mod config;
pub mod dead_letters;
pub mod depth;
pub mod endpoint;
pub mod error;
pub mod failure;
pub mod health;
pub mod json;
pub mod lag;
pub mod ledger;
pub mod lost;
pub mod plugin;
pub mod probe;
pub mod receipt;
pub mod record;
pub mod remembered;
pub mod shared;
pub mod sink;
pub mod source;
pub mod template;
#[cfg(any(test, feature = "testkit"))]
pub mod testkit;
pub mod transform;

pub use answer::{Answer, Answers, Delivered};
pub use capabilities::{SinkCapabilities, SourceCapabilities};
pub use dead_letters::{DeadLetter, DeadLetterId, DeadLetters};
pub use depth::{Depth, QueueDepth};
pub use endpoint::{Description, Endpoint};
pub use error::{Error, ErrorKind, Result};
pub use failure::{Failure, FailureKind};
pub use health::Health;
pub use lag::{Lag, PartitionLag};
pub use ledger::Ledger;
pub use lost::{Loss, Lost};
pub use plugin::{Context, Opening};
pub use receipt::Receipt;
pub use record::{Detail, Headers, Origin, Properties, Record, Timestamp, Value};
pub use remembered::Remembered;
pub use shared::Shared;
pub use sink::{Batch, Checkpoint, Checkpoints, Sink, Transactions};
pub use source::{Closed, Epoch, Lane, Limits, Polled, Position, Source};
pub use template::Template;
pub use transform::{Transform, Working};
