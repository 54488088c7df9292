//! Numbers that are compared as numbers: whole ones exactly, whatever their length up to 128 bits.

use std::{borrow::Cow, cmp::Ordering};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

/// A number in an option, or in a record's field.
#[derive(Debug, Clone, Copy)]
pub enum Number {
    /// A whole one.
    Whole(i128),
    /// Any other finite one.
    Float(f64),
}

impl Number {
    /// The number that the text is; `None` when it is none.
    pub(super) fn read(text: &[u8]) -> Option<Self> {
        let text = str::from_utf8(text).ok()?;
        if let Ok(whole) = text.parse() {
            return Some(Self::Whole(whole));
        }
        // Also refuses the words that Rust reads as floats: nan, inf, infinity.
        text.parse().ok().filter(|float: &f64| float.is_finite()).map(Self::Float)
    }

    pub(super) fn compare(self, other: Self) -> Ordering {
        match (self, other) {
            (Self::Whole(own), Self::Whole(other)) => own.cmp(&other),
            (own, other) => own.float().total_cmp(&other.float()),
        }
    }

    fn float(self) -> f64 {
        match self {
            Self::Whole(whole) => whole as f64,
            // Adding zero makes -0 the same as 0.
            Self::Float(float) => float + 0.0,
        }
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = serde_json::Number::deserialize(deserializer)?;
        Self::read(number.to_string().as_bytes()).ok_or_else(|| de::Error::custom("not a finite number"))
    }
}

impl JsonSchema for Number {
    fn schema_name() -> Cow<'static, str> {
        "Number".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number" })
    }

    fn inline_schema() -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compares_as_numbers() {
        let cases = [
            ("1", "2", Ordering::Less),
            ("10", "9", Ordering::Greater),
            ("1.0", "1", Ordering::Equal),
            ("-0.0", "0", Ordering::Equal),
            ("1e3", "1000", Ordering::Equal),
            ("0.1", "0.2", Ordering::Less),
            ("-5", "-4.5", Ordering::Less),
            ("9007199254740993", "9007199254740992", Ordering::Greater),
        ];
        for (own, other, expected) in cases {
            let [own_number, other_number] = [own, other].map(|text| Number::read(text.as_bytes()).expect(text));
            assert_eq!(own_number.compare(other_number), expected, "{own} {other}");
            assert_eq!(other_number.compare(own_number), expected.reverse(), "{other} {own}");
        }
    }

    #[test]
    fn words_are_no_numbers() {
        for text in ["", "a", "nan", "inf", "-Infinity", " 1", "1 ", "0x10", "1,5", "1e999"] {
            assert!(Number::read(text.as_bytes()).is_none(), "{text}");
        }
        assert!(Number::read(b"\xff").is_none());
    }
}
