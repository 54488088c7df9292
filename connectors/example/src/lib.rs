//! A connector to copy. It is whole: options, a source, a sink, errors, and the conformance kit in its tests. It is not part of the
//! `gantry` program.
//!
//! In reading order:
//!
//! 1. [`mailbox`]: the system, which stands for a broker and its client library
//! 2. [`options`]: what a person writes
//! 3. [`source`]: connect, poll, commit, sync, close
//! 4. [`sink`]: start, ready, receipts, close
//! 5. `tests/conformance.rs`: the promises of both, checked

pub mod mailbox;
pub mod options;
pub mod sink;
pub mod source;

use gantry_sdk::plugin::{SinkPlugin, SourcePlugin};

use options::Options;

/// `source: { mailbox: … }`
pub const SOURCE: SourcePlugin = SourcePlugin::of::<Options>("mailbox", "Reads a mailbox of this process.");

/// `sink: { mailbox: … }`
pub const SINK: SinkPlugin = SinkPlugin::of::<Options>("mailbox", "Writes to a mailbox of this process.");
