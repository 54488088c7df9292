//! One test on one field of a record.

use std::{borrow::Cow, cmp::Ordering};

use gantry_sdk::{Record, config::Problem};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};
use serde_json::Value as Json;

use super::number::Number;
use crate::transform::{field::FieldName, regex::Pattern};

/// One test on one field. All conditions that are given must hold; for a record without the field none does.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct Test {
    /// The field, by its name in templates without braces: `header.tenant`, `key`, `routing_key`, `value.type`.
    pub field: FieldName,
    /// The field is this text; a number is compared as a number.
    pub equals: Option<Scalar>,
    /// The field is one of these.
    #[serde(rename = "in")]
    pub one_of: Option<Vec<Scalar>>,
    /// The field matches this regular expression, anywhere unless it says `^` or `$`.
    pub matches: Option<Pattern>,
    /// The field is there (`true`) or not (`false`). JSON's null is not there.
    pub exists: Option<bool>,
    /// The field is a number above this.
    pub greater_than: Option<Number>,
    /// The field is a number of this or above.
    pub at_least: Option<Number>,
    /// The field is a number below this.
    pub less_than: Option<Number>,
    /// The field is a number of this or below.
    pub at_most: Option<Number>,
    /// Turns the test round: it holds when the conditions do not.
    #[serde(default)]
    pub not: bool,
}

/// Text, a number or a boolean.
#[derive(Debug, Clone)]
pub struct Scalar {
    text: String,
    /// Only when it was written as a number: `"5"` is text.
    number: Option<Number>,
}

impl Test {
    pub(super) fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let bounds = self.bounds();
        let values = [self.equals.is_some(), self.one_of.is_some(), self.matches.is_some(), !bounds.is_empty()];
        let of_value = values.contains(&true);
        if !of_value && self.exists.is_none() {
            let names = "equals, in, matches, exists, greater_than, at_least, less_than or at_most";
            problems.push(Problem::error("", format!("a test needs a condition: {names}")));
        }
        if of_value && self.exists == Some(false) {
            problems.push(Problem::error("exists", "a field that is not there fulfils no other condition"));
        }
        if self.one_of.as_ref().is_some_and(Vec::is_empty) {
            problems.push(Problem::error("in", "an empty list: no field is one of nothing"));
        }
        if self.range_is_empty() {
            problems.push(Problem::error("", "no number is within these bounds"));
        }
        problems
    }

    /// Whether it holds; the error says why the field cannot be had.
    pub(super) fn holds(&self, record: &Record) -> Result<bool, String> {
        let holds = match self.field.get(record)? {
            Some(found) => self.fits(&found),
            None => self.exists == Some(false),
        };
        Ok(holds != self.not)
    }

    fn fits(&self, found: &[u8]) -> bool {
        self.exists != Some(false)
            && self.equals.as_ref().is_none_or(|wanted| wanted.is(found))
            && self.one_of.as_ref().is_none_or(|wanted| wanted.iter().any(|wanted| wanted.is(found)))
            && self.matches.as_ref().is_none_or(|pattern| pattern.is_match(found))
            && self.is_within_bounds(found)
    }

    fn is_within_bounds(&self, found: &[u8]) -> bool {
        let bounds = self.bounds();
        if bounds.is_empty() {
            return true;
        }
        Number::read(found).is_some_and(|number| bounds.iter().all(|bound| bound.admits(number)))
    }

    fn bounds(&self) -> Bounds {
        let bound = |limit: Option<Number>, side, inclusive| Some(Bound { limit: limit?, side, inclusive });
        Bounds([
            bound(self.greater_than, Ordering::Greater, false),
            bound(self.at_least, Ordering::Greater, true),
            bound(self.less_than, Ordering::Less, false),
            bound(self.at_most, Ordering::Less, true),
        ])
    }

    /// Whether a lower bound shuts out an upper one.
    fn range_is_empty(&self) -> bool {
        let bounds = self.bounds();
        let sides = |side| bounds.iter().filter(move |bound| bound.side == side);
        sides(Ordering::Greater).any(|low| {
            sides(Ordering::Less).any(|high| match low.limit.compare(high.limit) {
                Ordering::Less => false,
                Ordering::Equal => !(low.inclusive && high.inclusive),
                Ordering::Greater => true,
            })
        })
    }
}

/// The bounds of a test that are given.
struct Bounds([Option<Bound>; 4]);

#[derive(Clone, Copy)]
struct Bound {
    limit: Number,
    side: Ordering,
    inclusive: bool,
}

impl Bounds {
    fn iter(&self) -> impl Iterator<Item = &Bound> {
        self.0.iter().flatten()
    }

    fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }
}

impl Bound {
    fn admits(&self, number: Number) -> bool {
        let order = number.compare(self.limit);
        order == self.side || (self.inclusive && order == Ordering::Equal)
    }
}

// === impl Scalar ===

impl Scalar {
    fn is(&self, found: &[u8]) -> bool {
        let is_number =
            |wanted: Number| Number::read(found).is_some_and(|found| wanted.compare(found) == Ordering::Equal);
        self.text.as_bytes() == found || self.number.is_some_and(is_number)
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (text, number) = match Json::deserialize(deserializer)? {
            Json::String(text) => (text, None),
            Json::Bool(value) => (value.to_string(), None),
            Json::Number(number) => {
                let text = number.to_string();
                let number = Number::read(text.as_bytes());
                (text, number)
            }
            Json::Null | Json::Array(_) | Json::Object(_) => {
                return Err(de::Error::custom("expected text, a number or a boolean"));
            }
        };
        Ok(Self { text, number })
    }
}

impl JsonSchema for Scalar {
    fn schema_name() -> Cow<'static, str> {
        "Scalar".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "number", "boolean"] })
    }

    fn inline_schema() -> bool {
        true
    }
}
