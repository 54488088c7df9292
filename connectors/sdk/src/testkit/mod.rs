//! What every connector's tests run: the conformance kit, the order of calls, and parts to build tests of.

pub mod conformance;
mod context;
mod ordered;
mod outcomes;
mod records;
mod same;

pub use context::context;
pub use ordered::{OrderedSink, OrderedSource};
pub use outcomes::{Courier, Summary};
pub use records::{any_headers, any_origin, any_properties, any_value};
pub use same::{assert_same, same};
