//! Records from nowhere, and sinks that need no broker: for first steps, benchmarks and tests.
//!
//! In reading order:
//!
//! 1. [`source`]: `generate`, which plays a queue of numbered records at a given rate, size and count
//! 2. [`payload`]: the body it makes when it is given none, in which every byte can be checked
//! 3. [`pattern`]: literal text with the record's number in it
//! 4. [`console`]: prints records for people, or as JSON lines
//! 5. [`null`]: takes everything, keeps nothing

pub mod console;
pub mod null;
mod pace;
pub mod pattern;
pub mod payload;
pub mod source;

use gantry_sdk::plugin::{SinkPlugin, SourcePlugin};

/// `source: { generate: … }`
pub const SOURCE: SourcePlugin = SourcePlugin::of::<source::Options>(
    "generate",
    "Makes numbered records at a given rate, size and count; needs no broker.",
)
.with_example(include_str!("examples/source.yaml"));

/// `sink: { console: … }`
pub const CONSOLE: SinkPlugin = SinkPlugin::of::<console::Options>(
    "console",
    "Prints records to standard output, for people or as JSON lines; needs no broker.",
);

/// `sink: { null: … }`
pub const NULL: SinkPlugin =
    SinkPlugin::of::<null::Options>("null", "Takes every record and keeps none; for measuring and for trying out.");
