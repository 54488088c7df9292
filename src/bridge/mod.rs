//! The bridge runtime: the data path and who watches over it. It knows [`gantry_sdk`]'s traits and no protocol.
//!
//! In reading order:
//!
//! 1. [`definition`]: what a bridge is
//! 2. [`status`]: what it says of itself
//! 3. `supervisor`: starts, steers and ends the tasks; the one place that spawns them
//! 4. `task`: one task's life: start, run, back off, pause, stop
//! 5. `event_loop`: one incarnation of a task's data path: poll → transform → put → settle → commit
//! 6. `in_flight`: what is in flight: ledgers, credit, counts
//! 7. `budget`: how many bytes all tasks may hold together
//! 8. `dead_letter`: where a record goes that can never be delivered
//! 9. `backoff`: how long to wait before the next try; `secret_files`: a password was replaced, so it need not wait
//! 10. `log_limiter`: what goes wrong again and again is logged once
//! 11. `watchdog`: the sign of life of an event loop
//! 12. `stages`: records by the part that refused them
//!
//! The invariants I1–I6 are in docs/guarantees.md; `// I1` marks where one is enforced.

mod backoff;
mod budget;
mod dead_letter;
pub mod definition;
mod event_loop;
mod in_flight;
mod log_limiter;
mod secret_files;
#[cfg(test)]
mod simulation;
mod stages;
pub mod status;
mod supervisor;
mod task;
mod watchdog;

pub use budget::Budget;
pub use definition::{BridgeLimits, DeadLetterTarget, Definition, ErrorPolicy, Part, Tolerance};
pub use stages::ByStage;
pub use status::{BridgeStatus, Counts, Target, TaskState, TaskStatus};
pub use supervisor::{Bridge, Bridges, Restart};
