//! Values as Kafka Connect's `SimpleHeaderConverter` writes them: `Values.convertToString` of its API.
//!
//! Where the connector itself gives up (decimals, byte arrays, tables, lists of anything but text), this writes what the
//! same function makes of such values elsewhere. Two things are kept that it would lose: strings that are not UTF-8 stay the
//! bytes that they are, and the date of a time before 1970 is written.

use std::{
    fmt::{Debug, UpperExp},
    io::Write as _,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use bytestring::ByteString;
use gantry_sdk::{Timestamp, Value};

const DAY: i64 = 24 * 60 * 60;

/// The text of a header's value; `None` for null.
pub(super) fn of<'a>(value: &'a Value, scratch: &'a mut Vec<u8>) -> Option<&'a [u8]> {
    scratch.clear();
    match value {
        Value::Null => return None,
        Value::String(text) => return Some(text),
        Value::Bytes(bytes) => base64(scratch, bytes),
        value => append(scratch, value),
    }
    Some(scratch)
}

pub(super) fn number(number: u8, scratch: &mut Vec<u8>) -> &[u8] {
    scratch.clear();
    // Writing into a Vec cannot fail.
    let _ = write!(scratch, "{number}");
    scratch
}

pub(super) const fn boolean(value: bool) -> &'static [u8] {
    if value { b"true" } else { b"false" }
}

pub(super) fn time(time: Timestamp, scratch: &mut Vec<u8>) -> &[u8] {
    scratch.clear();
    append_time(scratch, time);
    scratch
}

/// The time that [`time`] wrote.
pub(super) fn read_time(text: &str) -> Option<Timestamp> {
    let whole = || text.parse().ok();
    let date = || format!("{text}T00:00:00Z").parse().ok();
    let clock = || format!("1970-01-01T{text}").parse().ok();
    let beyond = || text.parse().ok().map(Timestamp::from_seconds);
    whole().or_else(date).or_else(clock).or_else(beyond)
}

/// As it stands inside a list or a table, and there text has quotes.
fn append(out: &mut Vec<u8>, value: &Value) {
    // Writing into a Vec cannot fail.
    let _ = match value {
        Value::Null => write!(out, "null"),
        Value::Bool(value) => write!(out, "{value}"),
        Value::I8(value) => write!(out, "{value}"),
        Value::U8(value) => write!(out, "{value}"),
        Value::I16(value) => write!(out, "{value}"),
        Value::U16(value) => write!(out, "{value}"),
        Value::I32(value) => write!(out, "{value}"),
        Value::U32(value) => write!(out, "{value}"),
        Value::I64(value) => write!(out, "{value}"),
        Value::U64(value) => write!(out, "{value}"),
        Value::F32(value) => return append_float(out, *value),
        Value::F64(value) => return append_float(out, *value),
        Value::Timestamp(time) => return append_time(out, *time),
        Value::Decimal { .. } => return out.extend_from_slice(&value.to_text().unwrap_or_default()),
        Value::String(text) => return append_quoted(out, text),
        Value::Bytes(bytes) => {
            out.push(b'"');
            base64(out, bytes);
            out.push(b'"');
            Ok(())
        }
        Value::List(items) => return append_list(out, items),
        Value::Table(fields) => return append_table(out, fields),
    };
}

fn append_list(out: &mut Vec<u8>, items: &[Value]) {
    out.push(b'[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        append(out, item);
    }
    out.push(b']');
}

fn append_table(out: &mut Vec<u8>, fields: &[(ByteString, Value)]) {
    out.push(b'{');
    for (index, (name, value)) in fields.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        append_quoted(out, name.as_bytes());
        out.push(b':');
        append(out, value);
    }
    out.push(b'}');
}

fn append_quoted(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    for byte in text {
        if matches!(byte, b'\\' | b'"') {
            out.push(b'\\');
        }
        out.push(*byte);
    }
    out.push(b'"');
}

fn base64(out: &mut Vec<u8>, bytes: &Bytes) {
    out.extend_from_slice(STANDARD.encode(bytes).as_bytes());
}

/// Java's `Double.toString`: plain from a thousandth to ten million, else with an exponent; always with a point.
fn append_float<F: Debug + UpperExp + Copy + Into<f64>>(out: &mut Vec<u8>, value: F) {
    let size = value.into().abs();
    // Writing into a Vec cannot fail.
    let _ = if size.is_nan() {
        write!(out, "NaN")
    } else if size.is_infinite() {
        write!(out, "{}Infinity", if value.into() < 0.0 { "-" } else { "" })
    } else if size == 0.0 || (1e-3..1e7).contains(&size) {
        write!(out, "{value:?}")
    } else {
        let text = format!("{value:E}");
        let (digits, exponent) = text.split_once('E').unwrap_or((&text, "0"));
        let point = if digits.contains('.') { "" } else { ".0" };
        write!(out, "{digits}{point}E{exponent}")
    };
}

/// Java's `Values.dateFormatFor`: a date alone at midnight, a time alone on the first day, else both in milliseconds. All in
/// UTC. Where no calendar reaches, seconds.
fn append_time(out: &mut Vec<u8>, time: Timestamp) {
    let whole = Timestamp { nanos: 0, ..time }.to_string();
    let millis = time.nanos / 1_000_000;
    // Writing into a Vec cannot fail.
    let _ = match whole.strip_suffix('Z').and_then(|text| text.split_once('T')) {
        None => write!(out, "{whole}"),
        Some((_, clock)) if (0..DAY).contains(&time.seconds) => write!(out, "{clock}.{millis:03}Z"),
        Some((date, _)) if time.seconds > 0 && time.seconds % DAY == 0 && millis == 0 => write!(out, "{date}"),
        Some((date, clock)) => write!(out, "{date}T{clock}.{millis:03}Z"),
    };
}
