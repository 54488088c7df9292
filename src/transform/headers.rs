//! `headers`: copies, renames, drops and sets headers, in this order.
//!
//! Templates of `set` see the record as it came in, so a header can be read and dropped in one go. The renames of one
//! transform happen all at once: two headers can change places. A copy or a rename keeps the value's type and every
//! duplicate, and replaces what stood under the new name; without a header of the old name it does nothing.

use std::collections::{BTreeMap, BTreeSet};

use bytestring::ByteString;
use gantry_sdk::{
    Headers, Record, Result, Transform, Value, Working, config::Problem, plugin::TransformConfig, transform::Verdict,
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{policy::Otherwise, regex::Pattern};

mod setting;

pub use setting::Setting;

/// The options of the `headers` transform; at least one operation.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// First: `FROM: TO` copies a header.
    #[serde(default)]
    pub copy: BTreeMap<String, String>,
    /// Second: `OLD: NEW` renames a header, in its place.
    #[serde(default)]
    pub rename: BTreeMap<String, String>,
    /// Third: drops the headers of these names.
    #[serde(default)]
    pub drop: BTreeSet<String>,
    /// With `drop`: drops the headers whose names match one of these regular expressions.
    #[serde(default)]
    pub drop_matching: Vec<Pattern>,
    /// Last: `NAME: TEMPLATE` sets a header to text; a number or a boolean instead of a template sets one of that type.
    #[serde(default)]
    pub set: BTreeMap<String, Setting>,
    /// What becomes of a record that lacks a field of a template. `keep` leaves the header as it is.
    #[serde(default = "Otherwise::keep")]
    pub missing: Otherwise,
}

/// Does it to every record.
#[derive(Debug)]
struct Edit {
    copy: Vec<(ByteString, ByteString)>,
    rename: BTreeMap<String, ByteString>,
    drop: BTreeSet<String>,
    drop_matching: Vec<Pattern>,
    set: Vec<(ByteString, Setting)>,
    missing: Otherwise,
    /// Memory that is used again for every record.
    rendered: Vec<(ByteString, Value)>,
}

impl TransformConfig for Options {
    fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let drops = !self.drop.is_empty() || !self.drop_matching.is_empty();
        if self.copy.is_empty() && self.rename.is_empty() && !drops && self.set.is_empty() {
            problems.push(Problem::error("", "nothing to do: give copy, rename, drop, drop_matching or set"));
        }
        problems.extend(twice("copy", &self.copy));
        problems.extend(twice("rename", &self.rename));
        problems
    }

    fn build(self) -> Result<Box<dyn Transform>> {
        super::refuse(&self.check())?;
        Ok(Box::new(Edit {
            copy: self.copy.into_iter().map(|(from, to)| (from.into(), to.into())).collect(),
            rename: self.rename.into_iter().map(|(old, new)| (old, new.into())).collect(),
            drop: self.drop,
            drop_matching: self.drop_matching,
            set: self.set.into_iter().map(|(name, setting)| (name.into(), setting)).collect(),
            missing: self.missing,
            rendered: Vec::new(),
        }))
    }
}

/// Two headers that would end under one name, and headers that would stay where they are.
fn twice<'a>(operation: &'a str, names: &'a BTreeMap<String, String>) -> impl Iterator<Item = Problem> + 'a {
    let mut taken = BTreeMap::new();
    names.iter().filter_map(move |(from, to)| {
        let path = format!("{operation}.{from}");
        if from == to {
            return Some(Problem::error(path, "the old and the new name are the same"));
        }
        let before = taken.insert(to, from)?;
        Some(Problem::error(path, format!("\"{before}\" becomes \"{to}\" already; two headers cannot both")))
    })
}

impl Transform for Edit {
    fn apply(&mut self, batch: &mut Working) {
        let mut set = std::mem::take(&mut self.rendered);
        batch.each(|record| {
            set.clear();
            self.render(record, &mut set).map_err(|reason| format!("headers: {reason}"))?;
            self.copy(&mut record.headers);
            self.rename(&mut record.headers);
            self.drop(&mut record.headers);
            for (name, value) in set.drain(..) {
                record.headers.set(name, value);
            }
            Ok(Verdict::Keep)
        });
        self.rendered = set;
    }
}

impl Edit {
    /// What `set` says of the record as it came in.
    fn render(&self, record: &Record, set: &mut Vec<(ByteString, Value)>) -> Result<(), String> {
        for (name, setting) in &self.set {
            match setting.value(record) {
                Some(value) => set.push((name.clone(), value)),
                None => self.missing.allow(|| setting.lacking(record))?,
            }
        }
        Ok(())
    }

    fn copy(&self, headers: &mut Headers) {
        if self.copy.is_empty() {
            return;
        }
        let came_in = headers.clone();
        for (from, to) in &self.copy {
            let mut values = came_in.iter().filter(|(name, _)| name == from).map(|(_, value)| value).peekable();
            if values.peek().is_some() {
                headers.remove(to);
            }
            for value in values {
                headers.push(to.clone(), value.clone());
            }
        }
    }

    fn rename(&self, headers: &mut Headers) {
        if self.rename.is_empty() {
            return;
        }
        let renamed = headers.iter().filter_map(|(name, _)| self.rename.get(&**name));
        let replaced: Vec<ByteString> = renamed.cloned().collect();
        if replaced.is_empty() {
            return;
        }
        headers.retain(|(name, _)| !replaced.contains(name) || self.rename.contains_key(&**name));
        for (name, _) in headers.make_mut() {
            if let Some(new) = self.rename.get(&**name) {
                *name = new.clone();
            }
        }
    }

    fn drop(&self, headers: &mut Headers) {
        if self.drop.is_empty() && self.drop_matching.is_empty() {
            return;
        }
        let dropped = |name: &str| {
            self.drop.contains(name) || self.drop_matching.iter().any(|pattern| pattern.is_match(name.as_bytes()))
        };
        headers.retain(|(name, _)| !dropped(name));
    }
}

#[cfg(test)]
mod tests;
