//! The bridge runtime: the data path and who watches over it. It knows [`gantry_sdk`]'s traits and no protocol, no YAML, no
//! HTTP and no name of a metric.
//!
//! In reading order:
//!
//! 1. [`definition`]: what a bridge is; its secrets come in by a [`Resolver`]
//! 2. [`status`]: what it says of itself; figures go out by an [`Observer`]
//! 3. [`difference`]: what other definitions mean for bridges that run
//! 4. `supervisor`: starts, steers and ends the tasks; the one place that spawns them
//! 5. `assignment`: what a task is given, and what is wanted of it; `memory`: what its parts leave to the next ones
//! 6. `task`: one task's life: start, run, back off, pause, stop
//! 7. `event_loop`: one incarnation of a task's data path: poll → transform → put → settle → commit
//! 8. `in_flight`: ledgers, credit, counts
//! 9. `budget`: how many bytes all tasks may hold together
//! 10. `dead_letter`: where a record goes that can never be delivered
//! 11. `backoff`: how long to wait before the next try; `secret_files`: a password was replaced, so it need not wait
//! 12. `log_limiter`: what goes wrong again and again is logged once
//! 13. `liveness`: every rule for "nothing moves", and the sign of life of an event loop
//! 14. `stages`: records by the part that refused them
//! 15. `simulation`: the world that does its worst, in virtual time
//!
//! The invariants I1–I6 are in docs/guarantees.md; `// I1` marks where one is enforced.

mod assignment;
mod backoff;
mod budget;
mod dead_letter;
pub mod definition;
pub mod difference;
mod event_loop;
mod in_flight;
mod liveness;
mod log_limiter;
mod memory;
mod observer;
mod resolver;
mod secret_files;
#[cfg(test)]
mod simulation;
mod stages;
pub mod status;
mod supervisor;
mod task;

pub use budget::Budget;
pub use definition::{Branch, BridgeLimits, DeadLetterTarget, Definition, Delivery, ErrorPolicy, Part, Tolerance};
pub use difference::Difference;
pub use observer::{Observer, TaskObserver};
pub use resolver::Resolver;
pub use stages::ByStage;
pub use status::{BridgeStatus, Counts, Target, TaskState, TaskStatus};
pub use supervisor::{Bridge, Bridges, Restart};
