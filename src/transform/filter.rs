//! `filter`: keeps or drops records by tests on their fields.
//!
//! One rule a filter; a list of filters is a list of rules that all hold, so any combination can be said.

mod number;
mod test;

use gantry_sdk::{
    Record, Result, Transform, Working,
    config::{KeyPath, Problem},
    plugin::TransformConfig,
    transform::Verdict,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use test::{Scalar, Test};

/// The name that selects it in YAML.
pub const NAME: &str = "filter";

/// The options of the `filter` transform: exactly one rule.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Keeps the records for which this test holds; drops the others.
    pub keep: Option<Test>,
    /// Keeps the records for which all of these hold.
    pub keep_all: Option<Vec<Test>>,
    /// Keeps the records for which at least one of these holds.
    pub keep_any: Option<Vec<Test>>,
    /// Drops the records for which this test holds; keeps the others.
    pub drop: Option<Test>,
    /// Drops the records for which all of these hold.
    pub drop_all: Option<Vec<Test>>,
    /// Drops the records for which at least one of these holds.
    pub drop_any: Option<Vec<Test>>,
    /// What becomes of a record whose body is not JSON, or whose field is no text, when a test asks for a field of the body.
    pub on_invalid: OnInvalid,
}

/// What becomes of a record that cannot be tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum OnInvalid {
    /// It fails: it goes to the dead letter, or stops the bridge when there is none.
    #[default]
    Fail,
    /// It is kept.
    Keep,
    /// It is dropped, and counts as filtered.
    Drop,
}

/// One rule, compiled.
#[derive(Debug)]
struct Filter {
    tests: Vec<Test>,
    /// All tests must hold, or any of them.
    all: bool,
    /// What becomes of a record for which they hold.
    verdict: Verdict,
    on_invalid: OnInvalid,
}

impl TransformConfig for Options {
    fn check(&self) -> Vec<Problem> {
        let rules = self.rules();
        let mut problems = Vec::new();
        if rules.len() != 1 {
            let names = "keep, keep_all, keep_any, drop, drop_all, drop_any";
            problems
                .push(Problem::error("", format!("a filter has exactly one of {names}; this one has {}", rules.len())));
        }
        for rule in rules {
            if rule.tests.is_empty() {
                problems.push(Problem::error(rule.name, "no test: every record would have the same fate"));
            }
            for (place, test) in rule.tests.iter().enumerate() {
                let name = KeyPath::from(rule.name);
                let path = if rule.single { name } else { name.index(place) };
                problems.extend(test.check().into_iter().map(|problem| problem.under(&path)));
            }
        }
        problems
    }

    fn build(self) -> Result<Box<dyn Transform>> {
        super::refusal::refuse(&self.check())?;
        let rules = self.rules();
        let rule = rules.first().ok_or_else(|| gantry_sdk::Error::config("a filter without a rule"))?;
        Ok(Box::new(Filter {
            tests: rule.tests.to_vec(),
            all: rule.all,
            verdict: rule.verdict,
            on_invalid: self.on_invalid,
        }))
    }
}

impl Transform for Filter {
    fn apply(&mut self, batch: &mut Working) {
        batch.each(|record| match (self.holds(record), self.on_invalid) {
            (Ok(true), _) => Ok(self.verdict),
            (Ok(false), _) if self.verdict == Verdict::Keep => Ok(Verdict::Drop),
            (Ok(false), _) | (Err(_), OnInvalid::Keep) => Ok(Verdict::Keep),
            (Err(_), OnInvalid::Drop) => Ok(Verdict::Drop),
            (Err(reason), OnInvalid::Fail) => Err(format!("filter: {reason}")),
        });
    }
}

impl Filter {
    /// The first test that decides ends it: a body is not looked into when a header has said enough.
    fn holds(&self, record: &Record) -> Result<bool, String> {
        for test in &self.tests {
            if test.holds(record)? != self.all {
                return Ok(!self.all);
            }
        }
        Ok(self.all)
    }
}

/// A rule as it was written.
struct Rule<'a> {
    name: &'static str,
    single: bool,
    tests: &'a [Test],
    all: bool,
    verdict: Verdict,
}

impl Options {
    fn rules(&self) -> Vec<Rule<'_>> {
        fn single<'a>(name: &'static str, test: &'a Option<Test>, verdict: Verdict) -> Option<Rule<'a>> {
            let tests = std::slice::from_ref(test.as_ref()?);
            Some(Rule { name, single: true, tests, all: true, verdict })
        }
        fn several<'a>(
            name: &'static str,
            tests: &'a Option<Vec<Test>>,
            all: bool,
            verdict: Verdict,
        ) -> Option<Rule<'a>> {
            Some(Rule { name, single: false, tests: tests.as_deref()?, all, verdict })
        }
        let rules = [
            single("keep", &self.keep, Verdict::Keep),
            several("keep_all", &self.keep_all, true, Verdict::Keep),
            several("keep_any", &self.keep_any, false, Verdict::Keep),
            single("drop", &self.drop, Verdict::Drop),
            several("drop_all", &self.drop_all, true, Verdict::Drop),
            several("drop_any", &self.drop_any, false, Verdict::Drop),
        ];
        rules.into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests;
