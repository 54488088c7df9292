//! The lossless encoding: the same readable headers as `text`, and one more that says what text forgets.
//!
//! # The header `gantry.types`
//! It stands behind the headers that it speaks of and counts them from the first, so nothing may be put before them.
//! It is ASCII unless a list or a table holds other bytes: `1`, the length of the prefix of application headers, `:`,
//! then one code a header, in order.
//!
//! | code | the header is |
//! |---|---|
//! | `pa`…`pl` | a text or number property, by its place in the list of properties |
//! | `pmSECONDS.NANOS;` | the timestamp property |
//! | `N`, a length, `:`, that many bytes | stands before another code: the name, where clients cannot read it back (it holds a NUL) |
//! | `n` | null |
//! | `s`, `x` | a string; bytes |
//! | `t` | a boolean |
//! | `b` `h` `i` `l`, `B` `H` `I` `L` | a signed or unsigned integer of 8, 16, 32, 64 bits |
//! | `f`, `d` | a float of 32 or 64 bits |
//! | `F` + 8 hex digits, `D` + 16 | a float that is not a number: its bits |
//! | `c` | a decimal |
//! | `TSECONDS.NANOS;` | a timestamp |
//! | `[…]`, `{…}` | a list or a table, with all its values |
//!
//! Values inside lists and tables carry their data: `s5:hello`, `i-7;`, `t1`, `F3f800000`, `c2.12345;`. A field of a table
//! is the length of its name, `:`, the name and the value.
//!
//! Three strings and a number cost 19 bytes: `gantry.types: 10:sssi`.

use std::{io::Write as _, str::FromStr};

use bytes::Bytes;
use bytestring::ByteString;
use gantry_sdk::{Headers, Properties, Timestamp, Value};

use super::{
    nested::{self, Reader},
    properties::{self, Part},
};

/// The name of the header that remembers the types.
pub const TYPES: &str = "gantry.types";

const VERSION: u8 = b'1';

/// What [`decode`] found.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// The application's headers as they were.
    pub headers: Headers,
    /// The message properties as they were.
    pub properties: Properties,
    /// Where the headers begin that were added to them.
    pub rest: usize,
}

pub(super) fn begin(types: &mut Vec<u8>, prefix: usize) {
    types.clear();
    types.push(VERSION);
    let _ = write!(types, "{prefix}:");
}

pub(super) fn property(types: &mut Vec<u8>, index: usize, part: &Part<'_>) {
    types.push(b'p');
    // There are 13.
    types.push(b'a' + index as u8);
    if let Part::Time(time) = part {
        nested::time(types, *time);
    }
}

/// A name that comes back from Kafka by itself needs nothing: clients read it up to its first NUL.
pub(super) fn name(types: &mut Vec<u8>, name: &str) {
    if name.contains('\0') {
        nested::counted(types, "N", name.as_bytes());
    }
}

pub(super) fn header(types: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => types.push(b'n'),
        Value::String(_) => types.push(b's'),
        Value::Bytes(_) => types.push(b'x'),
        Value::Bool(_) => types.push(b't'),
        Value::I8(_) => types.push(b'b'),
        Value::U8(_) => types.push(b'B'),
        Value::I16(_) => types.push(b'h'),
        Value::U16(_) => types.push(b'H'),
        Value::I32(_) => types.push(b'i'),
        Value::U32(_) => types.push(b'I'),
        Value::I64(_) => types.push(b'l'),
        Value::U64(_) => types.push(b'L'),
        // Every other float survives its shortest decimal text.
        Value::F32(value) if !value.is_nan() => types.push(b'f'),
        Value::F64(value) if !value.is_nan() => types.push(b'd'),
        Value::Decimal { .. } => types.push(b'c'),
        Value::F32(_) | Value::F64(_) | Value::Timestamp(_) | Value::List(_) | Value::Table(_) => {
            nested::write(types, value);
        }
    }
}

/// Rebuilds what was encoded from the headers of a Kafka record, in their order. `None` when they are not `typed`, or when
/// somebody changed them so that they no longer fit together; then they are what they say, text.
pub fn decode(list: &[(&str, Option<&[u8]>)]) -> Option<Decoded> {
    // A header of the application's may bear the same name; ours counts exactly those before it, and comes last.
    let candidates = list.iter().enumerate().rev().filter(|(_, (name, _))| *name == TYPES);
    candidates.into_iter().find_map(|(at, (_, types))| decode_with((*types)?, &list[..at], at + 1))
}

fn decode_with(types: &[u8], list: &[(&str, Option<&[u8]>)], rest: usize) -> Option<Decoded> {
    let mut reader = Reader::new(types);
    if reader.byte()? != VERSION {
        return None;
    }
    let prefix: usize = reader.number(b':')?;
    let mut properties = Properties::default();
    let mut headers = Vec::with_capacity(list.len());
    for (name, bytes) in list {
        match reader.byte()? {
            b'p' => read_property(&mut reader, &mut properties, (*bytes)?)?,
            b'N' => {
                let name = ByteString::try_from(reader.counted()?).ok()?;
                let code = reader.byte()?;
                headers.push((name, read_header(&mut reader, code, *bytes)?));
            }
            code => headers.push((name.get(prefix..)?.into(), read_header(&mut reader, code, *bytes)?)),
        }
    }
    reader.is_empty().then(|| Decoded { headers: headers.into(), properties, rest })
}

fn read_property(reader: &mut Reader<'_>, properties: &mut Properties, bytes: &[u8]) -> Option<()> {
    let index = usize::from(reader.byte()?.checked_sub(b'a')?);
    if let Some(place) = properties::text_mut(properties, index) {
        *place = Some(ByteString::try_from(Bytes::copy_from_slice(bytes)).ok()?);
    } else if let Some(place) = properties::number_mut(properties, index) {
        *place = Some(parse(bytes)?);
    } else if index == properties::COUNT - 1 {
        properties.timestamp = Some(reader.time()?);
    } else {
        return None;
    }
    Some(())
}

fn read_header(reader: &mut Reader<'_>, code: u8, bytes: Option<&[u8]>) -> Option<Value> {
    Some(match code {
        b'n' => return bytes.is_none().then_some(Value::Null),
        b's' => Value::String(Bytes::copy_from_slice(bytes?)),
        b'x' => Value::Bytes(Bytes::copy_from_slice(bytes?)),
        b't' => Value::Bool(parse(bytes?)?),
        b'b' => Value::I8(parse(bytes?)?),
        b'B' => Value::U8(parse(bytes?)?),
        b'h' => Value::I16(parse(bytes?)?),
        b'H' => Value::U16(parse(bytes?)?),
        b'i' => Value::I32(parse(bytes?)?),
        b'I' => Value::U32(parse(bytes?)?),
        b'l' => Value::I64(parse(bytes?)?),
        b'L' => Value::U64(parse(bytes?)?),
        b'f' => Value::F32(parse(bytes?)?),
        b'd' => Value::F64(parse(bytes?)?),
        b'c' => decimal(bytes?)?,
        b'T' | b'F' | b'D' | b'[' | b'{' => reader.value(code)?,
        _ => return None,
    })
}

fn parse<T: FromStr>(bytes: &[u8]) -> Option<T> {
    std::str::from_utf8(bytes).ok()?.parse().ok()
}

/// The digits after the point are the scale, leading zeros and all.
fn decimal(bytes: &[u8]) -> Option<Value> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let scale = u8::try_from(fraction.len()).ok()?;
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    let unscaled = if digits.is_empty() { 0 } else { digits.parse().ok()? };
    Some(Value::Decimal { scale, unscaled })
}

impl Reader<'_> {
    /// `SECONDS;` or `SECONDS.NANOS;`.
    pub(super) fn time(&mut self) -> Option<Timestamp> {
        let text = self.until(b';')?;
        let (seconds, nanos) = text.split_once('.').unwrap_or((text, "0"));
        let nanos = nanos.parse().ok().filter(|nanos| *nanos < 1_000_000_000)?;
        Some(Timestamp { seconds: seconds.parse().ok()?, nanos })
    }
}
