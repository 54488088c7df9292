//! Header values as text: what [`Value::to_text`] says, without an allocation where it can be had.

use std::io::Write as _;

use gantry_sdk::Value;

/// The text of a value; `None` for null. Strings and bytes are not copied; scalars are written into `scratch`.
pub(super) fn of<'a>(value: &'a Value, scratch: &'a mut Vec<u8>) -> Option<&'a [u8]> {
    scratch.clear();
    // Writing into a Vec cannot fail.
    let _ = match value {
        Value::Null => return None,
        Value::String(bytes) | Value::Bytes(bytes) => return Some(bytes),
        Value::Bool(value) => write!(scratch, "{value}"),
        Value::I8(value) => write!(scratch, "{value}"),
        Value::U8(value) => write!(scratch, "{value}"),
        Value::I16(value) => write!(scratch, "{value}"),
        Value::U16(value) => write!(scratch, "{value}"),
        Value::I32(value) => write!(scratch, "{value}"),
        Value::U32(value) => write!(scratch, "{value}"),
        Value::I64(value) => write!(scratch, "{value}"),
        Value::U64(value) => write!(scratch, "{value}"),
        Value::F32(value) => write!(scratch, "{value}"),
        Value::F64(value) => write!(scratch, "{value}"),
        Value::Timestamp(value) => write!(scratch, "{value}"),
        Value::Decimal { .. } | Value::List(_) | Value::Table(_) => {
            scratch.extend_from_slice(&value.to_text()?);
            Ok(())
        }
    };
    Some(scratch)
}
