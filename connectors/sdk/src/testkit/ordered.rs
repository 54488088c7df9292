//! The order of calls, checked: a source or a sink in between that panics when a call comes that may not come now, or when what
//! is inside answers what it may not.
//!
//! docs/architecture.md draws both (*the order of calls*). The conformance kit looks at every connector through these; a simulation
//! of the runtime can put them around its own, so that the runtime's side is checked too.
//!
//! That a position is never committed in another epoch than its own (I3) needs no check by calls: a position that this instance has
//! not given since it was opened, or gave back, is none that it takes.

mod sink;
mod source;

pub use sink::OrderedSink;
pub use source::OrderedSource;
