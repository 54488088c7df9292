//! The conformance kit: what every connector's tests run.

mod context;
mod outcomes;
mod records;
mod same;

pub use context::context;
pub use outcomes::{Courier, Summary};
pub use records::{any_headers, any_origin, any_properties, any_value};
pub use same::{assert_same, same};
