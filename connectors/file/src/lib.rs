//! Records in a local file, one JSON object a line.
//!
//! In reading order:
//!
//! 1. [`line`](mod@line): a record as a line and back, without loss
//! 2. `log`: the file: appending durably, one writer at a time
//! 3. [`sink`]: the sink, which holds its records until they are on the disk
//! 4. `letters`: reading dead letters back

pub mod line;
pub mod sink;

mod blocking;
mod dead_letters;
mod log;

use gantry_sdk::plugin::SinkPlugin;

/// `sink: { file: … }`
pub const SINK: SinkPlugin = SinkPlugin::of::<sink::Options>(
    "file",
    "Appends records to a local file as JSON lines, each safe on the disk before it counts as delivered.",
)
.with_dead_letters::<sink::Options>()
.with_examples(include_str!("examples/sink.yaml"), include_str!("examples/dead-letter.yaml"));
