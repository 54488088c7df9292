//! Regular expressions in options: compiled once, matched on bytes.

use std::borrow::Cow;

use regex::bytes::{Captures, Regex};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

/// A regular expression in the syntax of the `regex` crate. It matches anywhere unless it says `^` or `$`.
#[derive(Debug, Clone)]
pub struct Pattern(Regex);

impl Pattern {
    pub(super) fn is_match(&self, bytes: &[u8]) -> bool {
        self.0.is_match(bytes)
    }

    pub(super) fn captures<'b>(&self, bytes: &'b [u8]) -> Option<Captures<'b>> {
        self.0.captures(bytes)
    }

    /// How many groups it has, the whole match counted as group 0.
    pub(super) fn groups(&self) -> usize {
        self.0.captures_len()
    }

    /// The number of the group of that name.
    pub(super) fn group(&self, name: &str) -> Option<usize> {
        self.0.capture_names().position(|own| own == Some(name))
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Regex::new(&text).map(Self).map_err(|error| {
            // The library draws the place in several lines; the last one says what is wrong.
            let drawn = error.to_string();
            let reason = drawn.lines().last().unwrap_or_default().trim_start_matches("error: ");
            de::Error::custom(format!("not a regular expression: {reason}"))
        })
    }
}

impl JsonSchema for Pattern {
    fn schema_name() -> Cow<'static, str> {
        "Pattern".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        // Not "format": "regex", which is JavaScript's syntax and would refuse (?i).
        json_schema!({ "type": "string" })
    }

    fn inline_schema() -> bool {
        true
    }
}
