//! `json`: extracts, renames, drops, masks and inserts fields of a JSON body, in this order.
//!
//! # The contract
//! - The body is parsed once and written once; a body in which nothing changed keeps its bytes.
//! - Fields keep their order and numbers their digits. An exponent is written as `e+5`; of a key that stands twice in
//!   one object the last counts.
//! - A tombstone goes on unchanged.
//! - Paths have dots between keys, and numbers pick from lists (`items.0.sku`). In `rename`, `drop` and `mask` a `*` is
//!   every item or field (`items.*.sku`). They see the body as the operation before left it; templates of `insert` see
//!   the record as it came in.

mod insertion;
mod path;
mod rename;

use std::collections::BTreeMap;

use gantry_sdk::{Record, Result, Transform, Working, config::Problem, plugin::TransformConfig, transform::Verdict};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value as Json;

use super::policy::Otherwise;
use insertion::Insertion;
use path::Path;
use rename::Rename;

/// The options of the `json` transform; at least one operation.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// First: the field at this path becomes the body. Text becomes the body without its quotes, null a tombstone.
    pub extract: Option<String>,
    /// Second: `PATH: NAME` gives a field a new name, in its place. All at once: two fields can change places.
    #[serde(default)]
    pub rename: BTreeMap<String, String>,
    /// Third: drops the fields at these paths.
    #[serde(default)]
    pub drop: Vec<String>,
    /// Fourth: puts `mask_with` in the place of whatever is at these paths.
    #[serde(default)]
    pub mask: Vec<String>,
    /// What masked fields become.
    #[serde(default = "stars")]
    pub mask_with: Json,
    /// Last: `PATH: VALUE` sets a field, and makes the objects on the way to it. Text is a template; one that is a
    /// single `{value.…}`, `{header.…}`, `{timestamp}`, `{partition}`, `{offset}` or `{priority}` keeps the type of
    /// what it names.
    #[serde(default)]
    pub insert: BTreeMap<String, Json>,
    /// What becomes of a record that lacks the field to extract, or a field of a template. `keep` leaves that operation
    /// out.
    #[serde(default = "Otherwise::fail")]
    pub missing: Otherwise,
    /// What becomes of a record whose body is not JSON.
    #[serde(default = "Otherwise::fail")]
    pub on_invalid: Otherwise,
}

fn stars() -> Json {
    "****".into()
}

/// Does it to every record.
#[derive(Debug)]
struct Edit {
    extract: Option<Path>,
    rename: Vec<Rename>,
    drop: Vec<Path>,
    mask: Vec<Path>,
    mask_with: Json,
    insert: Vec<(Path, Insertion)>,
    missing: Otherwise,
    on_invalid: Otherwise,
}

impl TransformConfig for Options {
    fn check(&self) -> Vec<Problem> {
        self.clone().compile().err().unwrap_or_default()
    }

    fn build(self) -> Result<Box<dyn Transform>> {
        match self.compile() {
            Ok(edit) => Ok(Box::new(edit)),
            Err(problems) => Err(super::refusal(&problems)),
        }
    }
}

impl Options {
    /// All operations compiled, or everything that is wrong with them.
    fn compile(self) -> Result<Edit, Vec<Problem>> {
        let mut problems = Vec::new();
        let idle = self.rename.is_empty() && self.drop.is_empty() && self.mask.is_empty() && self.insert.is_empty();
        if idle && self.extract.is_none() {
            problems.push(Problem::error("", "nothing to do: give extract, rename, drop, mask or insert"));
        }
        let mut note = |path: String, result: Result<_, String>| match result {
            Ok(compiled) => Some(compiled),
            Err(message) => {
                problems.push(Problem::error(path, message));
                None
            }
        };
        let extract = self.extract.and_then(|text| note("extract".to_owned(), Path::plain(&text)));
        let mut paths = |operation: &str, texts: &[String]| -> Vec<Path> {
            let path = |(place, text): (usize, &String)| note(format!("{operation}[{place}]"), Path::parse(text));
            texts.iter().enumerate().filter_map(path).collect()
        };
        let (drop, mask) = (paths("drop", &self.drop), paths("mask", &self.mask));

        let mut insert = Vec::new();
        for (text, value) in self.insert {
            let at = format!("insert.{text}");
            match Path::plain(&text).and_then(|path| Ok((path, Insertion::compile(value)?))) {
                Ok(compiled) => insert.push(compiled),
                Err(message) => problems.push(Problem::error(at, message)),
            }
        }
        let (rename, wrong) = rename::compile(&self.rename);
        problems.extend(wrong);
        if !problems.is_empty() {
            return Err(problems);
        }
        let Self { mask_with, missing, on_invalid, .. } = self;
        Ok(Edit { extract, rename, drop, mask, mask_with, insert, missing, on_invalid })
    }
}

impl Transform for Edit {
    fn apply(&mut self, batch: &mut Working) {
        batch.each(|record| {
            self.edit(record).map_err(|reason| format!("json: {reason}"))?;
            Ok(Verdict::Keep)
        });
    }
}

impl Edit {
    fn edit(&self, record: &mut Record) -> Result<(), String> {
        let Some(bytes) = &record.value else { return Ok(()) };
        let mut json = match gantry_sdk::json::parse(bytes) {
            Ok(json) => json,
            Err(reason) => return self.on_invalid.allow(|| reason),
        };
        let insertions = self.insertions(record, &json)?;

        let extracted = self.extract(&mut json)?;
        let mut changed = extracted;
        for rename in &self.rename {
            changed |= rename.apply(&mut json);
        }
        if !self.drop.is_empty() {
            changed |= Path::remove_all(&self.drop, &mut json);
        }
        for path in &self.mask {
            changed |= path.replace(&mut json, &self.mask_with);
        }
        for (path, value) in insertions {
            path.insert(&mut json, value)?;
            changed = true;
        }
        if changed {
            record.value = match json {
                Json::Null if extracted => None,
                Json::String(text) if extracted => Some(text.into()),
                json => Some(json.to_string().into()),
            };
        }
        Ok(())
    }

    /// What `insert` says of the record as it came in.
    fn insertions(&self, record: &Record, json: &Json) -> Result<Vec<(&Path, Json)>, String> {
        let mut values = Vec::with_capacity(self.insert.len());
        for (path, insertion) in &self.insert {
            match insertion.value(record, json)? {
                Some(value) => values.push((path, value)),
                None => self.missing.allow(|| insertion.lacking(record))?,
            }
        }
        Ok(values)
    }

    /// Whether the body is another one now.
    fn extract(&self, json: &mut Json) -> Result<bool, String> {
        let Some(path) = &self.extract else { return Ok(false) };
        match path.take(json) {
            Some(field) => *json = field,
            None => return self.missing.allow(|| format!("the body has no {path}")).map(|()| false),
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests;
