//! Literal text with the record's number in it.
//!
//! | part | is |
//! |---|---|
//! | `{n}` | the record's number, from 1 |
//! | `{n%100}` | the remainder of that number, here 0 to 99: a hundred customers, three tenants |
//! | `{now}` | milliseconds since 1970 |
//!
//! All other braces are literal, so JSON needs no escaping: `{"order":{n}}`.

use std::{borrow::Cow, num::NonZeroU64};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

/// A compiled pattern.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pattern {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Number,
    Remainder(NonZeroU64),
    Now,
}

impl Pattern {
    /// Compiles it; the error says what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let (mut literal, mut rest) = (String::new(), text);
        while let Some(at) = rest.find('{') {
            let inside = &rest[at + 1..];
            let end = inside.find('}');
            match end.map(|end| part(&inside[..end])).transpose()?.flatten() {
                Some(part) => {
                    literal.push_str(&rest[..at]);
                    flush(&mut literal, &mut parts);
                    parts.push(part);
                    rest = &inside[end.map_or(0, |end| end + 1)..];
                }
                None => {
                    literal.push_str(&rest[..=at]);
                    rest = inside;
                }
            }
        }
        literal.push_str(rest);
        flush(&mut literal, &mut parts);
        Ok(Self { parts })
    }

    /// Whether it is the same for every record.
    pub fn is_literal(&self) -> bool {
        self.parts.iter().all(|part| matches!(part, Part::Literal(_)))
    }

    /// Appends the text for record number `n`, made at `now`.
    pub fn write(&self, n: u64, now: i64, out: &mut Vec<u8>) {
        for part in &self.parts {
            match part {
                Part::Literal(text) => out.extend_from_slice(text.as_bytes()),
                Part::Number => out.extend_from_slice(itoa::Buffer::new().format(n).as_bytes()),
                Part::Remainder(of) => out.extend_from_slice(itoa::Buffer::new().format(n % *of).as_bytes()),
                Part::Now => out.extend_from_slice(itoa::Buffer::new().format(now).as_bytes()),
            }
        }
    }
}

fn flush(literal: &mut String, parts: &mut Vec<Part>) {
    if !literal.is_empty() {
        parts.push(Part::Literal(std::mem::take(literal)));
    }
}

/// What stands between two braces; `None` when it is not for us.
fn part(inside: &str) -> Result<Option<Part>, String> {
    match (inside, inside.strip_prefix("n%")) {
        ("n", _) => Ok(Some(Part::Number)),
        ("now", _) => Ok(Some(Part::Now)),
        (_, Some(of)) => match of.parse() {
            Ok(of) => Ok(Some(Part::Remainder(of))),
            Err(_) => Err(format!("\"{{{inside}}}\": after \"n%\" comes a whole number above 0, like {{n%100}}")),
        },
        _ => Ok(None),
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl JsonSchema for Pattern {
    fn schema_name() -> Cow<'static, str> {
        "Pattern".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string" })
    }

    fn inline_schema() -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(text: &str) -> String {
        let mut out = Vec::new();
        Pattern::parse(text).expect(text).write(42, 1_700_000_000_000, &mut out);
        String::from_utf8(out).expect("utf-8")
    }

    #[test]
    fn puts_numbers_where_they_belong_and_leaves_json_alone() {
        let cases = [
            ("", ""),
            ("plain", "plain"),
            ("{n}", "42"),
            ("c-{n%10}", "c-2"),
            (r#"{"order":{n},"at":{now}}"#, r#"{"order":42,"at":1700000000000}"#),
            (r#"{"client":"Вася","deep":{"n":{n}}}"#, r#"{"client":"Вася","deep":{"n":42}}"#),
            ("{{n}}", "{42}"),
            ("{", "{"),
            ("{n", "{n"),
            ("}{n}{", "}42{"),
        ];
        for (text, expected) in cases {
            assert_eq!(written(text), expected, "{text}");
        }
    }

    #[test]
    fn refuses_a_remainder_of_nothing() {
        for text in ["{n%0}", "{n%}", "{n%x}", "{n%-1}"] {
            let error = Pattern::parse(text).expect_err(text);
            assert!(error.contains("whole number above 0"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn text_without_parts_stays_as_it_is(text in "[^{]{0,32}([{][^nb-z}]{0,8})?") {
            prop_assert_eq!(written(&text), text);
        }
    }
}
