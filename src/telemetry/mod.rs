//! What Gantry tells those who operate it.
//!
//! 1. [`names`]: every metric there is, in one table
//! 2. [`metrics`]: handles for tasks, and the Prometheus text of a scrape
//! 3. `process`: what the operating system knows of this process
//! 4. [`log`]: one line an event, to stderr, as text or JSON

pub mod log;
pub mod metrics;
pub mod names;
mod process;
