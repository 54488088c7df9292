//! `timestamp`: the timestamp from a field.

use gantry_sdk::{Record, Result, Transform, Working, plugin::TransformConfig, transform::Verdict};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{field::FieldName, policy::Otherwise};

/// The options of the `timestamp` transform.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// The field that holds the time: `value.created_at`, `header.sent`.
    pub field: FieldName,
    /// How the field writes it.
    #[serde(default)]
    pub format: Format,
    /// What becomes of a record without the field. Tombstones without a body to look into go on unchanged.
    #[serde(default = "Otherwise::fail")]
    pub missing: Otherwise,
    /// What becomes of a record whose field is no such time, or whose body is not JSON.
    #[serde(default = "Otherwise::fail")]
    pub on_invalid: Otherwise,
}

/// How a field writes a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Format {
    /// `2026-01-31T12:00:00.5+03:00`; the offset (or `Z`) is needed.
    #[default]
    Rfc3339,
    /// Seconds since 1970; they may have a fraction.
    Seconds,
    /// Milliseconds since 1970.
    Millis,
}

impl TransformConfig for Options {
    fn build(self) -> Result<Box<dyn Transform>> {
        Ok(Box::new(SetTimestamp(self)))
    }
}

/// Sets the timestamp of every record.
#[derive(Debug)]
struct SetTimestamp(Options);

impl Transform for SetTimestamp {
    fn apply(&mut self, batch: &mut Working) {
        batch.each(|record| {
            if let Some(millis) = self.0.millis(record).map_err(|reason| format!("timestamp: {reason}"))? {
                record.timestamp = Some(millis);
            }
            Ok(Verdict::Keep)
        });
    }
}

// === impl Options ===

impl Options {
    /// The time that the record's field says; `None` when the record may keep the one it has.
    fn millis(&self, record: &Record) -> Result<Option<i64>, String> {
        if record.value.is_none() && self.field.is_of_body() {
            return Ok(None);
        }
        let text = match self.field.get(record) {
            Ok(Some(text)) => text,
            Ok(None) => {
                return self.missing.allow(|| format!("the record has no {}", self.field)).map(|()| None);
            }
            Err(reason) => return self.on_invalid.allow(|| reason).map(|()| None),
        };
        let millis = str::from_utf8(&text).ok().and_then(|text| self.format.read(text));
        if millis.is_none() {
            let wrong = || format!("{} is not {} ({} bytes)", self.field, self.format.expected(), text.len());
            self.on_invalid.allow(wrong)?;
        }
        Ok(millis)
    }
}

// === impl Format ===

impl Format {
    fn read(self, text: &str) -> Option<i64> {
        match self {
            Self::Rfc3339 => Some(text.parse::<jiff::Timestamp>().ok()?.as_millisecond()),
            Self::Seconds => scaled(text, 1000),
            Self::Millis => scaled(text, 1),
        }
    }

    const fn expected(self) -> &'static str {
        match self {
            Self::Rfc3339 => "a time like 2026-01-31T12:00:00Z",
            Self::Seconds => "a number of seconds since 1970",
            Self::Millis => "a number of milliseconds since 1970",
        }
    }
}

/// A decimal number times `factor`, without a detour over floating point for whole numbers.
fn scaled(text: &str, factor: i64) -> Option<i64> {
    if let Ok(whole) = text.parse::<i64>() {
        return whole.checked_mul(factor);
    }
    let product = text.parse::<f64>().ok()? * factor as f64;
    // Also refuses NaN. 2^63 is the first that does not fit.
    (product.abs() < 9_223_372_036_854_775_808.0).then(|| product.round() as i64)
}

#[cfg(test)]
mod tests {
    use gantry_sdk::{Record, Timestamp, Value};
    use serde_json::json;

    use crate::transform::tests::apply_one;

    fn record() -> Record {
        let body = r#"{"rfc":"2023-11-14T22:13:20.5Z","zone":"2023-11-15T01:13:20+03:00","local":"2023-11-14T22:13:20",
            "s":1700000000,"frac":1700000000.1236,"exp":1.7e9,"ms":"1700000000123","before":-1500,"word":"soon",
            "huge":1e300,"max":9223372036854775807,"empty":"","none":null}"#;
        let mut record = Record { value: Some(body.into()), timestamp: Some(1), ..Record::default() };
        record.headers.push("sent", Value::Timestamp(Timestamp::from_seconds(1_700_000_000)));
        record
    }

    #[test]
    fn reads_every_format() {
        let cases = [
            ("value.rfc", "rfc3339", 1_700_000_000_500),
            ("value.zone", "rfc3339", 1_700_000_000_000),
            ("header.sent", "rfc3339", 1_700_000_000_000),
            ("value.s", "seconds", 1_700_000_000_000),
            ("value.frac", "seconds", 1_700_000_000_124),
            ("value.exp", "seconds", 1_700_000_000_000),
            ("value.ms", "millis", 1_700_000_000_123),
            ("value.before", "millis", -1500),
        ];
        for (field, format, expected) in cases {
            let set = apply_one("timestamp", &json!({ "field": field, "format": format }), record());
            assert_eq!(set.expect(field).expect("kept").timestamp, Some(expected), "{field}");
        }
    }

    #[test]
    fn fails_or_keeps_what_is_no_time() {
        let cases = [
            ("value.local", "rfc3339", "timestamp: value.local is not a time like 2026-01-31T12:00:00Z (19 bytes)"),
            ("value.word", "seconds", "timestamp: value.word is not a number of seconds since 1970 (4 bytes)"),
            ("value.word", "millis", "timestamp: value.word is not a number of milliseconds since 1970 (4 bytes)"),
            ("value.huge", "seconds", "timestamp: value.huge is not a number of seconds since 1970 (5 bytes)"),
            ("value.max", "seconds", "timestamp: value.max is not a number of seconds since 1970 (19 bytes)"),
            ("value.empty", "millis", "timestamp: value.empty is not a number of milliseconds since 1970 (0 bytes)"),
            ("value.none", "millis", "timestamp: the record has no value.none"),
            ("header.none", "rfc3339", "timestamp: the record has no header.none"),
        ];
        for (field, format, reason) in cases {
            let mut options = json!({ "field": field, "format": format });
            assert_eq!(apply_one("timestamp", &options, record()), Err(reason.to_owned()), "{field}");
            options["missing"] = "keep".into();
            options["on_invalid"] = "keep".into();
            assert_eq!(apply_one("timestamp", &options, record()), Ok(Some(record())), "{field}");
        }
    }

    #[test]
    fn a_body_that_is_not_json_is_invalid_and_a_tombstone_is_not() {
        let text = Record { value: Some("hello".into()), ..Record::default() };
        let options = json!({ "field": "value.at" });
        let reason = apply_one("timestamp", &options, text.clone()).expect_err("not JSON");
        assert!(reason.starts_with("timestamp: the body is not JSON: "), "{reason}");
        let lenient = json!({ "field": "value.at", "on_invalid": "keep" });
        assert_eq!(apply_one("timestamp", &lenient, text.clone()), Ok(Some(text)));
        assert_eq!(apply_one("timestamp", &options, Record::default()), Ok(Some(Record::default())));
    }
}
