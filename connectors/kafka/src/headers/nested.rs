//! Values that carry their own data inside `gantry.types`: what stands in lists and tables, and what text cannot say.

use std::{io::Write as _, str::FromStr};

use bytes::Bytes;
use bytestring::ByteString;
use gantry_sdk::{Timestamp, Value};

/// Lists and tables within one another. AMQP sets no limit; beyond this one, a value is kept as its JSON text, because a
/// reader must not be made to recurse without end.
const DEEPEST: u32 = 64;

/// Writes a value with its data.
pub(super) fn write(out: &mut Vec<u8>, value: &Value) {
    write_at(out, value, 0);
}

fn write_at(out: &mut Vec<u8>, value: &Value, depth: u32) {
    // Writing into a Vec cannot fail.
    let _ = match value {
        Value::Null => write!(out, "n"),
        Value::Bool(value) => write!(out, "t{}", u8::from(*value)),
        Value::I8(value) => write!(out, "b{value};"),
        Value::U8(value) => write!(out, "B{value};"),
        Value::I16(value) => write!(out, "h{value};"),
        Value::U16(value) => write!(out, "H{value};"),
        Value::I32(value) => write!(out, "i{value};"),
        Value::U32(value) => write!(out, "I{value};"),
        Value::I64(value) => write!(out, "l{value};"),
        Value::U64(value) => write!(out, "L{value};"),
        Value::F32(value) => write!(out, "F{:08x}", value.to_bits()),
        Value::F64(value) => write!(out, "D{:016x}", value.to_bits()),
        Value::Decimal { scale, unscaled } => write!(out, "c{scale}.{unscaled};"),
        Value::Timestamp(value) => {
            out.push(b'T');
            time(out, *value);
            Ok(())
        }
        Value::String(text) => return counted(out, "s", text),
        Value::Bytes(bytes) => return counted(out, "x", bytes),
        Value::List(_) | Value::Table(_) if depth >= DEEPEST => {
            return counted(out, "s", &value.to_text().unwrap_or_default());
        }
        Value::List(items) => {
            out.push(b'[');
            items.iter().for_each(|item| write_at(out, item, depth + 1));
            out.push(b']');
            Ok(())
        }
        Value::Table(fields) => {
            out.push(b'{');
            for (name, value) in fields {
                counted(out, "", name.as_bytes());
                write_at(out, value, depth + 1);
            }
            out.push(b'}');
            Ok(())
        }
    };
}

/// `code`, the length, `:`, the bytes.
pub(super) fn counted(out: &mut Vec<u8>, code: &str, bytes: &[u8]) {
    // Writing into a Vec cannot fail.
    let _ = write!(out, "{code}{}:", bytes.len());
    out.extend_from_slice(bytes);
}

/// `SECONDS;` or `SECONDS.NANOS;`.
pub(super) fn time(out: &mut Vec<u8>, time: Timestamp) {
    let _ = match time.nanos {
        0 => write!(out, "{};", time.seconds),
        nanos => write!(out, "{}.{nanos};", time.seconds),
    };
}

/// Reads foreign bytes: never panics, never recurses deeper than it writes.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    depth: u32,
}

impl<'a> Reader<'a> {
    pub(super) const fn new(rest: &'a [u8]) -> Self {
        Self { rest, depth: 0 }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    /// ASCII up to `end`, which is consumed too.
    pub(super) fn until(&mut self, end: u8) -> Option<&'a str> {
        let at = self.rest.iter().position(|byte| *byte == end)?;
        let text = std::str::from_utf8(self.take(at)?).ok()?;
        self.byte()?;
        Some(text)
    }

    pub(super) fn number<T: FromStr>(&mut self, end: u8) -> Option<T> {
        self.until(end)?.parse().ok()
    }

    pub(super) fn counted(&mut self) -> Option<Bytes> {
        let count = self.number(b':')?;
        self.take(count).map(Bytes::copy_from_slice)
    }

    fn bits(&mut self, digits: usize) -> Option<u64> {
        u64::from_str_radix(std::str::from_utf8(self.take(digits)?).ok()?, 16).ok()
    }

    /// The value that begins with `code`.
    pub(super) fn value(&mut self, code: u8) -> Option<Value> {
        Some(match code {
            b'n' => Value::Null,
            b't' => Value::Bool(self.byte()? == b'1'),
            b'b' => Value::I8(self.number(b';')?),
            b'B' => Value::U8(self.number(b';')?),
            b'h' => Value::I16(self.number(b';')?),
            b'H' => Value::U16(self.number(b';')?),
            b'i' => Value::I32(self.number(b';')?),
            b'I' => Value::U32(self.number(b';')?),
            b'l' => Value::I64(self.number(b';')?),
            b'L' => Value::U64(self.number(b';')?),
            b'F' => Value::F32(f32::from_bits(u32::try_from(self.bits(8)?).ok()?)),
            b'D' => Value::F64(f64::from_bits(self.bits(16)?)),
            b'c' => Value::Decimal { scale: self.number(b'.')?, unscaled: self.number(b';')? },
            b'T' => Value::Timestamp(self.time()?),
            b's' => Value::String(self.counted()?),
            b'x' => Value::Bytes(self.counted()?),
            b'[' => self.deeper(Self::list)?,
            b'{' => self.deeper(Self::table)?,
            _ => return None,
        })
    }

    fn deeper(&mut self, read: impl FnOnce(&mut Self) -> Option<Value>) -> Option<Value> {
        if self.depth >= DEEPEST {
            return None;
        }
        self.depth += 1;
        let value = read(self);
        self.depth -= 1;
        value
    }

    fn list(&mut self) -> Option<Value> {
        let mut items = Vec::new();
        loop {
            match self.byte()? {
                b']' => return Some(Value::List(items)),
                code => items.push(self.value(code)?),
            }
        }
    }

    fn table(&mut self) -> Option<Value> {
        let mut fields = Vec::new();
        loop {
            if self.rest.first() == Some(&b'}') {
                self.byte()?;
                return Some(Value::Table(fields));
            }
            let name = ByteString::try_from(self.counted()?).ok()?;
            let code = self.byte()?;
            fields.push((name, self.value(code)?));
        }
    }
}
