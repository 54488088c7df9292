//! Where in options something stands, as steps.
//!
//! # The contract
//! Paths are built step by step, compared and followed by their steps, and printed only for people. Nothing reads a printed one
//! back: a key may hold dots and brackets.

use std::fmt;

use serde_json::Value as Json;

/// The way from a section down to something in it. Printed it reads `transforms[0].filter`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct KeyPath(Vec<Step>);

/// One step down.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Step {
    /// To what stands under a key, whatever the key holds.
    Key(String),
    /// To an item of a list.
    Index(usize),
}

impl Step {
    /// What a value holds there.
    pub fn of<'v>(&self, value: &'v Json) -> Option<&'v Json> {
        match self {
            Self::Key(key) => value.get(key),
            Self::Index(index) => value.get(index),
        }
    }
}

impl KeyPath {
    /// The path of the section itself.
    pub const fn root() -> Self {
        Self(Vec::new())
    }

    /// Whether it is that of the section itself.
    pub const fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// Its steps, from the section down.
    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    /// The path of a key below this one.
    #[must_use]
    pub fn key(&self, key: impl Into<String>) -> Self {
        self.step(Step::Key(key.into()))
    }

    /// The path of a list's item below this one.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        self.step(Step::Index(index))
    }

    fn step(&self, step: Step) -> Self {
        let mut steps = Vec::with_capacity(self.0.len() + 1);
        steps.extend_from_slice(&self.0);
        steps.push(step);
        Self(steps)
    }

    /// The path that goes on with the steps of another one.
    #[must_use]
    pub fn join(&self, below: impl Into<Self>) -> Self {
        let mut steps = self.0.clone();
        steps.extend(below.into().0);
        Self(steps)
    }

    /// Does something one step further down, and is back here then; for walks over many values.
    pub fn within<T>(&mut self, step: Step, work: impl FnOnce(&mut Self) -> T) -> T {
        self.0.push(step);
        let done = work(self);
        self.0.pop();
        done
    }

    /// The steps from `parent` to here; `None` when this does not lie there.
    pub fn below(&self, parent: &Self) -> Option<&[Step]> {
        self.0.strip_prefix(parent.steps())
    }

    /// Whether one is the other, or lies in it.
    pub fn is_related(&self, other: &Self) -> bool {
        self.below(other).is_some() || other.below(self).is_some()
    }
}

/// As the program itself names options: keys without dots, with dots between, like `declare.partitions`. What a person wrote is
/// no such name, but a step ([`KeyPath::key`]).
impl From<&'static str> for KeyPath {
    fn from(keys: &'static str) -> Self {
        keys.split('.').filter(|key| !key.is_empty()).map(|key| Step::Key(key.to_owned())).collect()
    }
}

impl From<&Self> for KeyPath {
    fn from(path: &Self) -> Self {
        path.clone()
    }
}

impl From<&[Step]> for KeyPath {
    fn from(steps: &[Step]) -> Self {
        Self(steps.to_vec())
    }
}

impl FromIterator<Step> for KeyPath {
    fn from_iter<I: IntoIterator<Item = Step>>(steps: I) -> Self {
        Self(steps.into_iter().collect())
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if at == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_path_is_printed_as_people_read_it() {
        let path = KeyPath::from("bridges").key("a.b").key("transforms").index(0).key("filter");
        assert_eq!(path.to_string(), "bridges.a.b.transforms[0].filter");
        assert_eq!(KeyPath::root().to_string(), "");
        assert_eq!(KeyPath::root().index(1).key("a").to_string(), "[1].a");
    }

    #[test]
    fn what_the_program_names_is_the_same_step_by_step() {
        assert_eq!(KeyPath::from("declare.partitions"), KeyPath::root().key("declare").key("partitions"));
        assert_eq!(KeyPath::from(""), KeyPath::root());
    }

    #[test]
    fn a_key_with_dots_does_not_lie_below_what_is_printed_alike() {
        let (dotted, short) = (KeyPath::from("bridges").key("a.b"), KeyPath::from("bridges").key("a"));
        assert_eq!(dotted.below(&short), None);
        assert!(!dotted.is_related(&short));
        assert_eq!(short.key("sink").below(&short), Some([Step::Key("sink".to_owned())].as_slice()));
        assert!(short.is_related(&short.key("sink")) && short.key("sink").is_related(&short));
    }

    #[test]
    fn steps_are_followed_into_a_value() {
        let value = json!({ "a.b": [1, { "5": 2 }] });
        let path = KeyPath::root().key("a.b").index(1).key("5");
        let found = path.steps().iter().try_fold(&value, |value, step| step.of(value));
        assert_eq!(found, Some(&json!(2)));
        assert_eq!(Step::Key("0".to_owned()).of(&value["a.b"]), None);
    }
}
