//! The bridge runtime: the data path and who watches over it. It knows [`gantry_sdk`]'s traits and no protocol.
//!
//! In reading order:
//!
//! 1. [`definition`]: what a bridge is
//! 2. [`status`]: what it says of itself
//! 3. `supervisor`: starts, steers and ends the tasks; the one place that spawns them
//! 4. `task`: one task's life: start, run, back off, pause, stop
//! 5. `flow`: one incarnation of a task's data path: poll → transform → put → settle → commit
//! 6. `books`: what is in flight: ledgers, credit, counts
//! 7. `dead_letter`: where a record goes that can never be delivered
//! 8. `backoff`: how long to wait before the next try
//!
//! The invariants I1–I6 are in docs/guarantees.md; `// I1` marks where one is enforced.

mod backoff;
mod books;
mod dead_letter;
pub mod definition;
mod flow;
#[cfg(test)]
mod simulation;
pub mod status;
mod supervisor;
mod task;

pub use definition::{BridgeLimits, Definition, ErrorPolicy, Part};
pub use status::{BridgeStatus, Counts, Target, TaskState, TaskStatus};
pub use supervisor::{Bridge, Bridges, Restart};
