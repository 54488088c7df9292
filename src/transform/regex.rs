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

    /// What is at the place of the match when it becomes `to`, in which `$1` and `$name` are groups; `None` when it does not
    /// match. The whole text is replaced, not only what matched.
    pub(super) fn rewritten(&self, text: &str, to: &str) -> Option<Vec<u8>> {
        let captures = self.0.captures(text.as_bytes())?;
        let mut out = Vec::new();
        captures.expand(to.as_bytes(), &mut out);
        Some(out)
    }

    /// A group that `to` asks for and that it does not have: `captures.expand` would put nothing there, in silence.
    pub(super) fn unknown_group(&self, to: &str) -> Option<String> {
        let mut rest = to;
        while let Some((_, behind)) = rest.split_once('$') {
            if let Some(behind) = behind.strip_prefix('$') {
                rest = behind;
                continue;
            }
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let (name, behind) = match behind.strip_prefix('{') {
                Some(inside) => inside.split_once('}')?,
                None => behind.split_at(behind.find(|c| !is_name(c)).unwrap_or(behind.len())),
            };
            let known = match name.parse::<usize>() {
                Ok(number) => number < self.groups(),
                Err(_) => self.group(name).is_some(),
            };
            if !known && !name.is_empty() {
                return Some(name.to_owned());
            }
            rest = behind;
        }
        None
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
