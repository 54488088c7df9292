//! Names as AMQP writes them.

use gantry_sdk::{Error, Result};
use lapin::types::ShortString;

use crate::convert::short_string;

/// A name that the check has already found short enough.
pub(crate) fn checked(text: &str) -> Result<ShortString> {
    short_string(text).map_err(|reason| Error::config(format!("the name {text} {reason}")))
}
