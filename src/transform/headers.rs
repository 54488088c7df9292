//! `headers`: decodes, merges, copies, renames, drops and sets headers, in this order.
//!
//! Templates of `set` see the record as it came in, so a header can be read and dropped in one go. The renames of one
//! transform happen all at once: two headers can change places. A copy or a rename keeps the value's type and every
//! duplicate, and replaces what stood under the new name; without a header of the old name it does nothing.

use std::collections::{BTreeMap, BTreeSet};

use bytestring::ByteString;
use gantry_sdk::{
    Headers, Result, Transform, Working,
    config::{KeyPath, Problem, Size},
    plugin::TransformConfig,
    transform::Verdict,
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{policy::Otherwise, regex::Pattern};

mod names;
mod set;
mod setting;
mod value;

use names::Names;
pub use names::RenameMatching;
use set::Set;
pub use setting::Setting;
pub use value::Repeated;

/// The options of the `headers` transform; at least one operation.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// First: headers of these names that hold JSON text become what it says: `"a"` with its quotes becomes a, `7` a number.
    /// Lists, objects and what is not JSON stay as they are.
    #[serde(default)]
    pub decode_json: BTreeSet<String>,
    /// With `decode_json`: the headers whose names match one of these regular expressions.
    #[serde(default)]
    pub decode_json_matching: Vec<Pattern>,
    /// Second: `NAME: first`, `last` or `list` makes one header of those that have one name.
    #[serde(default)]
    pub repeated: BTreeMap<String, Repeated>,
    /// Third: `FROM: TO` copies a header.
    #[serde(default)]
    pub copy: BTreeMap<String, String>,
    /// Fourth: `OLD: NEW` renames a header, in its place.
    #[serde(default)]
    pub rename: BTreeMap<String, String>,
    /// With `rename`: gives the headers whose names match a new name. The first that matches counts.
    #[serde(default)]
    pub rename_matching: Vec<RenameMatching>,
    /// Fifth: drops the headers of these names.
    #[serde(default)]
    pub drop: BTreeSet<String>,
    /// With `drop`: drops the headers whose names match one of these regular expressions.
    #[serde(default)]
    pub drop_matching: Vec<Pattern>,
    /// With `drop`: drops the headers whose values are larger.
    pub drop_larger_than: Option<Size>,
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
    decode_json: Names,
    repeated: Vec<(String, Repeated)>,
    copy: Vec<(ByteString, ByteString)>,
    rename: BTreeMap<String, ByteString>,
    rename_matching: Vec<RenameMatching>,
    drop: Names,
    largest: usize,
    set: Set,
    missing: Otherwise,
}

impl TransformConfig for Options {
    fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let (decodes, drops) = (self.decoded(), self.dropped());
        let renames = !self.rename.is_empty() || !self.rename_matching.is_empty();
        let edits = !self.repeated.is_empty() || !self.copy.is_empty() || renames || !self.set.is_empty();
        if !edits && decodes.is_empty() && drops.is_empty() && self.drop_larger_than.is_none() {
            let names = "decode_json, decode_json_matching, repeated, copy, rename, rename_matching, drop, drop_matching, \
                         drop_larger_than or set";
            problems.push(Problem::error("", format!("nothing to do: give {names}")));
        }
        for (place, rename) in self.rename_matching.iter().enumerate() {
            let path = KeyPath::from("rename_matching").index(place).key("to");
            problems.extend(rename.check().map(|message| Problem::error(path, message)));
        }
        problems.extend(twice("copy", &self.copy));
        problems.extend(twice("rename", &self.rename));
        problems
    }

    fn build(self) -> Result<Box<dyn Transform>> {
        super::refusal::refuse(&self.check())?;
        Ok(Box::new(Edit {
            decode_json: self.decoded(),
            drop: self.dropped(),
            largest: self.drop_larger_than.map_or(usize::MAX, Size::to_usize),
            repeated: self.repeated.into_iter().collect(),
            copy: self.copy.into_iter().map(|(from, to)| (from.into(), to.into())).collect(),
            rename: self.rename.into_iter().map(|(old, new)| (old, new.into())).collect(),
            rename_matching: self.rename_matching,
            set: Set::new(self.set),
            missing: self.missing,
        }))
    }
}

impl Options {
    fn decoded(&self) -> Names {
        Names::new(&self.decode_json, &self.decode_json_matching)
    }

    fn dropped(&self) -> Names {
        Names::new(&self.drop, &self.drop_matching)
    }
}

/// Two headers that would end under one name, and headers that would stay where they are.
fn twice<'a>(operation: &'static str, names: &'a BTreeMap<String, String>) -> impl Iterator<Item = Problem> + 'a {
    let mut taken = BTreeMap::new();
    names.iter().filter_map(move |(from, to)| {
        let path = KeyPath::from(operation).key(from);
        if from == to {
            return Some(Problem::error(path, "the old and the new name are the same"));
        }
        let before = taken.insert(to, from)?;
        Some(Problem::error(path, format!("\"{before}\" becomes \"{to}\" already; two headers cannot both")))
    })
}

impl Transform for Edit {
    fn apply(&mut self, batch: &mut Working) {
        batch.each(|record| {
            let set = self.set.of(record, self.missing).map_err(|reason| format!("headers: {reason}"))?;
            value::decode_json(&mut record.headers, &self.decode_json);
            for (name, repeated) in &self.repeated {
                repeated.apply(&mut record.headers, name);
            }
            self.copy(&mut record.headers);
            self.rename(&mut record.headers).map_err(|reason| format!("headers: {reason}"))?;
            self.drop(&mut record.headers);
            record.headers.set_all(&set);
            Ok(Verdict::Keep)
        });
    }
}

impl Edit {
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

    fn rename(&self, headers: &mut Headers) -> Result<(), String> {
        if self.rename.is_empty() && self.rename_matching.is_empty() {
            return Ok(());
        }
        let new_names: Vec<Option<ByteString>> =
            headers.iter().map(|(name, _)| self.new_name(name)).collect::<Result<_, _>>()?;
        if new_names.iter().all(Option::is_none) {
            return Ok(());
        }
        let mut renamed = Headers::EMPTY;
        let taken: BTreeSet<&str> = new_names.iter().flatten().map(|name| &**name).collect();
        for ((name, value), new_name) in headers.iter().zip(&new_names) {
            match new_name {
                Some(new_name) => renamed.push(new_name.clone(), value.clone()),
                None if taken.contains(&**name) => {}
                None => renamed.push(name.clone(), value.clone()),
            }
        }
        *headers = renamed;
        Ok(())
    }

    /// What a header is called from now on, if it is called otherwise.
    fn new_name(&self, name: &str) -> Result<Option<ByteString>, String> {
        if let Some(new) = self.rename.get(name) {
            return Ok(Some(new.clone()));
        }
        let new_name = self.rename_matching.iter().find_map(|rename| rename.new_name(name)).transpose()?;
        Ok(new_name.filter(|new_name| *new_name != name))
    }

    fn drop(&self, headers: &mut Headers) {
        if self.drop.is_empty() && self.largest == usize::MAX {
            return;
        }
        headers.retain(|(name, value)| !self.drop.contains(name) && value.size() <= self.largest);
    }
}

#[cfg(test)]
mod tests;
