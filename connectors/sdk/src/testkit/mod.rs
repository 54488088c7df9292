//! The conformance kit: what every connector's tests run.

mod outcomes;
mod records;

pub use outcomes::{Courier, Summary};
pub use records::{any_headers, any_properties, any_value};
