//! One header.

use bytestring::ByteString;

use crate::record::Value;

/// One header: a name and a typed value.
pub type Header = (ByteString, Value);
