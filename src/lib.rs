//! Gantry: moves messages between brokers without losing any.
//!
//! One process runs *bridges*: a source, transforms, a sink, an error policy. This crate is the service; it knows
//! bridges and no protocol. Connectors are crates of their own under `connectors/`, joined to it in [`registry`].
//!
//! # Code map, in reading order
//!
//! 1. [`cli`]: `run`, `check`, `list`, `schema`, `status`, `reload`, `dlq`, `graph`: one file a command
//! 2. [`config`]: YAML → typed bridges, with every problem at once
//! 3. [`registry`]: the one list of connectors and transforms
//! 4. [`gantry_runtime`], a crate of its own: the data path and who watches over it
//! 5. [`transform`]: built-in transforms, one file each
//! 6. [`reload`]: the configuration read again while bridges run
//! 7. [`graph`]: what leads where, for pictures and for warnings of loops
//! 8. [`control`]: the REST port
//! 9. [`telemetry`]: metric names, Prometheus, logs
//! 10. [`printable`]: text from elsewhere, fit for a terminal
//!
//! docs/architecture.md has the picture and the invariants.

// Those macros panic when nobody reads, and let text from elsewhere through: use `cli::output`.
#![warn(clippy::print_stdout, clippy::print_stderr)]

pub mod cli;
pub mod config;
pub mod control;
pub mod graph;
pub mod printable;
pub mod registry;
pub mod reload;
pub mod telemetry;
pub mod transform;
