//! `route`: says where a record goes.
//!
//! `to` is a template. With `field` and `regex` it may also hold the groups that the expression found in the field:
//! `$1`, `$name`, and `$$` for a literal dollar.

mod target;

use bytestring::ByteString;
use gantry_sdk::{Record, Result, Transform, Working, config::Problem, plugin::TransformConfig, transform::Verdict};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{field::FieldName, policy::Otherwise, regex::Pattern};
use target::Target;

/// The key that selects it in YAML.
pub const NAME: &str = "route";

/// The options of the `route` transform.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// Where records go, as a template: `orders.{header.tenant}`. With `regex` it may hold groups: `$1-events`.
    pub to: String,
    /// The field that `regex` looks at, without braces: `routing_key`.
    pub field: Option<FieldName>,
    /// Only records whose `field` matches this regular expression are routed.
    pub regex: Option<Pattern>,
    /// What becomes of a record whose `field` does not match or is not there. `keep` leaves its destination as it is.
    #[serde(default = "Otherwise::keep")]
    pub no_match: Otherwise,
    /// What becomes of a record that lacks a field of the template `to`, or whose body is not JSON when a field of it
    /// is asked for. `keep` leaves its destination as it is.
    #[serde(default = "Otherwise::fail")]
    pub missing: Otherwise,
}

/// Sets the destination of every record that matches.
#[derive(Debug)]
struct RouteTransform {
    to: Target,
    matching: Option<(FieldName, Pattern)>,
    no_match: Otherwise,
    missing: Otherwise,
}

impl TransformConfig for Options {
    fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        match (&self.field, &self.regex) {
            (Some(_), None) => problems.push(Problem::error("regex", "a field to look at needs a regex to look for")),
            (None, Some(_)) => {
                problems.push(Problem::error("field", "a regex needs a field to look at: routing_key, topic"))
            }
            (None, None) | (Some(_), Some(_)) => {}
        }
        if let Err(message) = Target::parse(&self.to, self.regex.as_ref()) {
            problems.push(Problem::error("to", message));
        }
        problems
    }

    fn build(self) -> Result<Box<dyn Transform>> {
        super::refusal::refuse(&self.check())?;
        let to = Target::parse(&self.to, self.regex.as_ref()).map_err(gantry_sdk::Error::config)?;
        let matching = self.field.zip(self.regex);
        Ok(Box::new(RouteTransform { to, matching, no_match: self.no_match, missing: self.missing }))
    }
}

impl Transform for RouteTransform {
    fn apply(&mut self, batch: &mut Working) {
        batch.each(|record| {
            if let Some(to) = self.destination(record).map_err(|reason| format!("route: {reason}"))? {
                record.destination = Some(to);
            }
            Ok(Verdict::Keep)
        });
    }
}

impl RouteTransform {
    /// Where the record goes; `None` when it may stay on its way.
    fn destination(&self, record: &Record) -> Result<Option<ByteString>, String> {
        let found;
        let mut captures = None;
        if let Some((field, pattern)) = &self.matching {
            found = match field.get(record) {
                Ok(found) => found,
                Err(reason) => return self.missing.allow(|| reason).map(|()| None),
            };
            captures = found.as_deref().and_then(|found| pattern.captures(found));
            if captures.is_none() {
                let state = if found.is_some() { "does not match" } else { "is not there" };
                return self.no_match.allow(|| format!("{field} {state}")).map(|()| None);
            }
        }
        let Some(to) = self.to.render(record, captures.as_ref()) else {
            return self.missing.allow(|| self.to.lacking(record)).map(|()| None);
        };
        if to.is_empty() {
            return Err("the destination is empty".to_owned());
        }
        ByteString::try_from(to).map(Some).map_err(|_| "the destination is not UTF-8".to_owned())
    }
}

#[cfg(test)]
mod tests;
