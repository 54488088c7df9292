//! Typed header values.

use std::fmt::Write as _;

use bytes::Bytes;
use bytestring::ByteString;

/// A header value. The union of what AMQP 0-9-1 field tables, AMQP 1.0 and MQTT 5 can say; Kafka says only `Null` and
/// `Bytes`.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// AMQP void; Kafka's null header value.
    Null,
    /// True or false.
    Bool(bool),
    /// AMQP short-short-int.
    I8(i8),
    /// AMQP short-short-uint.
    U8(u8),
    /// AMQP short-int.
    I16(i16),
    /// AMQP short-uint.
    U16(u16),
    /// AMQP long-int.
    I32(i32),
    /// AMQP long-uint.
    U32(u32),
    /// AMQP long-long-int.
    I64(i64),
    /// AMQP 1.0 ulong.
    U64(u64),
    /// AMQP float.
    F32(f32),
    /// AMQP double.
    F64(f64),
    /// AMQP decimal: `unscaled` × 10^-`scale`.
    Decimal {
        /// Digits after the point.
        scale: u8,
        /// The digits.
        unscaled: u32,
    },
    /// A point in time.
    Timestamp(Timestamp),
    /// Text. By convention UTF-8, but AMQP 0-9-1 long strings are any bytes, so these are bytes too.
    String(Bytes),
    /// Bytes that are not text.
    Bytes(Bytes),
    /// AMQP field-array.
    List(Vec<Value>),
    /// AMQP field-table; ordered, names may repeat.
    Table(Vec<(ByteString, Value)>),
}

/// A point in time: seconds since 1970 and nanoseconds within the second.
///
/// AMQP 0-9-1 counts unsigned 64-bit seconds; those above `i64::MAX` wrap to negative and back without loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    /// Whole seconds since 1970-01-01T00:00:00Z.
    pub seconds: i64,
    /// Nanoseconds within the second, below 1,000,000,000.
    pub nanos: u32,
}

// === impl Timestamp ===

impl Timestamp {
    /// From AMQP 0-9-1 or other unsigned seconds.
    pub const fn from_seconds(seconds: u64) -> Self {
        Self { seconds: seconds.cast_signed(), nanos: 0 }
    }

    /// From milliseconds since 1970.
    pub const fn from_millis(millis: i64) -> Self {
        Self { seconds: millis.div_euclid(1000), nanos: millis.rem_euclid(1000) as u32 * 1_000_000 }
    }

    /// Milliseconds since 1970; `None` when they do not fit in 64 bits.
    pub fn to_millis(self) -> Option<i64> {
        let millis = i128::from(self.seconds) * 1000 + i128::from(self.nanos / 1_000_000);
        i64::try_from(millis).ok()
    }
}

impl std::str::FromStr for Timestamp {
    type Err = String;

    /// What its `Display` writes: RFC 3339, or plain seconds.
    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(seconds) = text.parse() {
            return Ok(Self { seconds, nanos: 0 });
        }
        let wrong = || format!("\"{text}\" is not a time like 2026-01-02T03:04:05Z");
        let nanos = text.parse::<jiff::Timestamp>().map_err(|_| wrong())?.as_nanosecond();
        let seconds = i64::try_from(nanos.div_euclid(1_000_000_000)).map_err(|_| wrong())?;
        Ok(Self { seconds, nanos: u32::try_from(nanos.rem_euclid(1_000_000_000)).map_err(|_| wrong())? })
    }
}

// === impl Value ===

impl Value {
    /// Text as a value.
    pub fn text(text: impl Into<ByteString>) -> Self {
        Self::String(text.into().into_bytes())
    }

    /// What kind of value it is, in the words of the JSON that connectors write.
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "bool",
            Self::I8(_) => "i8",
            Self::U8(_) => "u8",
            Self::I16(_) => "i16",
            Self::U16(_) => "u16",
            Self::I32(_) => "i32",
            Self::U32(_) => "u32",
            Self::I64(_) => "i64",
            Self::U64(_) => "u64",
            Self::F32(_) => "f32",
            Self::F64(_) => "f64",
            Self::Decimal { .. } => "decimal",
            Self::Timestamp(_) => "timestamp",
            Self::String(_) => "string",
            Self::Bytes(_) => "bytes",
            Self::List(_) => "list",
            Self::Table(_) => "table",
        }
    }

    /// Roughly the bytes that the value takes on a wire.
    pub fn size(&self) -> usize {
        match self {
            Self::Null => 0,
            Self::Bool(_) | Self::I8(_) | Self::U8(_) => 1,
            Self::I16(_) | Self::U16(_) => 2,
            Self::I32(_) | Self::U32(_) | Self::F32(_) => 4,
            Self::Decimal { .. } => 5,
            Self::I64(_) | Self::U64(_) | Self::F64(_) | Self::Timestamp(_) => 8,
            Self::String(bytes) | Self::Bytes(bytes) => bytes.len(),
            Self::List(items) => items.iter().map(Self::size).sum(),
            Self::Table(fields) => fields.iter().map(|(name, value)| name.len() + value.size()).sum(),
        }
    }

    /// The value as text that other tools expect: numbers in decimal, timestamps in RFC 3339, strings and bytes as they
    /// are, lists and tables as JSON (bytes that are not UTF-8 inside them in lossy UTF-8). `None` for `Null`.
    pub fn to_text(&self) -> Option<Bytes> {
        Some(match self {
            Self::Null => return None,
            Self::String(bytes) | Self::Bytes(bytes) => bytes.clone(),
            Self::List(_) | Self::Table(_) => self.to_json().to_string().into(),
            scalar => scalar.scalar_text().into(),
        })
    }

    /// The value as JSON; decimals keep their digits, timestamps and bytes become text.
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::Value as Json;
        match self {
            Self::Null => Json::Null,
            Self::Bool(value) => Json::Bool(*value),
            Self::String(bytes) | Self::Bytes(bytes) => Json::String(String::from_utf8_lossy(bytes).into_owned()),
            Self::List(items) => Json::Array(items.iter().map(Self::to_json).collect()),
            Self::Table(fields) => {
                Json::Object(fields.iter().map(|(name, value)| (name.to_string(), value.to_json())).collect())
            }
            Self::F32(value) if !value.is_finite() => Json::String(self.scalar_text()),
            Self::F64(value) if !value.is_finite() => Json::String(self.scalar_text()),
            Self::Timestamp(_) => Json::String(self.scalar_text()),
            number => {
                serde_json::from_str(&number.scalar_text()).unwrap_or_else(|_| Json::String(number.scalar_text()))
            }
        }
    }

    fn scalar_text(&self) -> String {
        match self {
            Self::Bool(value) => value.to_string(),
            Self::I8(value) => value.to_string(),
            Self::U8(value) => value.to_string(),
            Self::I16(value) => value.to_string(),
            Self::U16(value) => value.to_string(),
            Self::I32(value) => value.to_string(),
            Self::U32(value) => value.to_string(),
            Self::I64(value) => value.to_string(),
            Self::U64(value) => value.to_string(),
            Self::F32(value) => value.to_string(),
            Self::F64(value) => value.to_string(),
            Self::Decimal { scale, unscaled } => decimal_text(*scale, *unscaled),
            Self::Timestamp(timestamp) => timestamp.to_string(),
            Self::Null | Self::String(_) | Self::Bytes(_) | Self::List(_) | Self::Table(_) => String::new(),
        }
    }
}

/// `scale` digits after the point, always written, so that the text keeps both numbers.
fn decimal_text(scale: u8, unscaled: u32) -> String {
    let scale = usize::from(scale);
    if scale == 0 {
        return unscaled.to_string();
    }
    let digits = format!("{unscaled:0>width$}", width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    format!("{whole}.{fraction}")
}

impl std::fmt::Display for Timestamp {
    /// RFC 3339 in UTC, or plain seconds where no calendar reaches.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let nanos = i32::try_from(self.nanos).unwrap_or(0);
        match jiff::Timestamp::new(self.seconds, nanos) {
            Ok(instant) => instant.fmt(f),
            Err(_) => write!(f, "{}", self.seconds.cast_unsigned()),
        }
    }
}

impl From<Value> for String {
    /// [`Value::to_text`] as a string, lossy, empty for `Null`; for people, not for wires.
    fn from(value: Value) -> Self {
        let mut text = Self::new();
        if let Some(bytes) = value.to_text() {
            let _ = write!(text, "{}", String::from_utf8_lossy(&bytes));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decimal_keeps_its_digits() {
        assert_eq!(decimal_text(2, 12345), "123.45");
        assert_eq!(decimal_text(2, 5), "0.05");
        assert_eq!(decimal_text(0, 7), "7");
        assert_eq!(decimal_text(255, 1).len(), 257);
    }

    #[test]
    fn a_timestamp_beyond_any_calendar_is_plain_seconds() {
        assert_eq!(Timestamp::from_seconds(1 << 62).to_string(), (1u64 << 62).to_string());
        assert_eq!(Timestamp::from_seconds(0).to_string(), "1970-01-01T00:00:00Z");
    }

    #[test]
    fn nested_values_become_json() {
        let death = Value::List(vec![Value::Table(vec![
            ("count".into(), Value::I64(3)),
            ("reason".into(), Value::text("rejected")),
            ("price".into(), Value::Decimal { scale: 2, unscaled: 1000 }),
            ("none".into(), Value::Null),
        ])]);
        let text = death.to_text().expect("a list has a text");
        assert_eq!(text, r#"[{"count":3,"reason":"rejected","price":10.00,"none":null}]"#);
    }
}
