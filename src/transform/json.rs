//! `json`: extracts, renames, drops, masks and inserts fields of a JSON body, in this order.
//!
//! # The contract
//! - What no operation touches keeps its bytes: white space, escapes, the digits of numbers, keys that stand twice, a byte
//!   order mark.
//! - Of a key that stands twice in one object the last is read; `rename`, `drop` and `mask` mean all of them.
//! - A tombstone goes on unchanged.
//! - Paths have dots between keys, and numbers pick from lists (`items.0.sku`). In `rename`, `drop` and `mask` a `*` is
//!   every item or field (`items.*.sku`). They see the body as the operation before left it; templates of `insert` see
//!   the record as it came in.

mod insertion;
mod node;
mod path;
mod rename;

use std::{borrow::Cow, collections::BTreeMap};

use gantry_sdk::{
    Record, Result, Transform, Working,
    config::{KeyPath, Problem},
    json::{self, Raw},
    plugin::TransformConfig,
    transform::Verdict,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value as Json;

use super::policy::Otherwise;
use insertion::Insertion;
use node::Node;
use path::Path;
use rename::Rename;

/// Where JSON text goes in a body, and the text.
type Placed<'v> = (&'v Path, Cow<'v, [u8]>);

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
    /// What becomes of a record whose body is not JSON, or whose field to extract is no text.
    #[serde(default = "Otherwise::fail")]
    pub on_invalid: Otherwise,
}

/// The names on the way to one place in a body, by its path: `order.items.0`.
pub(super) fn plain_path(text: &str) -> Result<Vec<String>, String> {
    Path::plain(text).map(|path| path.names())
}

fn stars() -> Json {
    "****".into()
}

/// Does it to every record.
#[derive(Debug)]
struct Edit {
    /// The names on the way to the field.
    extract: Option<Vec<String>>,
    rename: Vec<Rename>,
    drop: Vec<Path>,
    mask: Vec<Path>,
    /// JSON text.
    mask_with: String,
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
            Err(problems) => Err(super::refusal::refusal(&problems)),
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
        let mut note = |path: KeyPath, result: Result<_, String>| match result {
            Ok(compiled) => Some(compiled),
            Err(message) => {
                problems.push(Problem::error(path, message));
                None
            }
        };
        let extract = self.extract.and_then(|text| note("extract".into(), Path::plain(&text)));
        let mut paths = |operation: &'static str, texts: &[String]| -> Vec<Path> {
            let path = |(place, text): (usize, &String)| note(KeyPath::from(operation).index(place), Path::parse(text));
            texts.iter().enumerate().filter_map(path).collect()
        };
        let (drop, mask) = (paths("drop", &self.drop), paths("mask", &self.mask));

        let mut insert = Vec::new();
        for (text, value) in self.insert {
            let at = KeyPath::from("insert").key(&text);
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
        let (extract, mask_with) = (extract.map(|path| path.names()), mask_with.to_string());
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
        let Some(bytes) = record.value.clone() else { return Ok(()) };
        let document = match json::parse(&bytes) {
            Ok(document) => document,
            Err(reason) => return self.on_invalid.allow(|| reason),
        };
        let insertions = self.insertions(record, document.value)?;
        let extracted = self.extracted(document.value)?;
        if let Some(Err(reason)) = extracted.and_then(Raw::text) {
            let name = self.extract.as_deref().unwrap_or_default().join(".");
            return self.on_invalid.allow(|| format!("{name} is no text: {reason}"));
        }
        let mut root = Node::Raw(extracted.unwrap_or(document.value));
        if !self.change(&mut root, &insertions)? && extracted.is_none() {
            return Ok(());
        }
        record.value = match (root, extracted) {
            (Node::Raw(body), Some(_)) if body.is_string() || body.is_null() => {
                body.to_field()?.map(|text| text.into_owned().into())
            }
            (root, extracted) => {
                let (head, tail) =
                    if extracted.is_some() { (&b""[..], &b""[..]) } else { (document.head, document.tail) };
                let mut out = Vec::with_capacity(bytes.len());
                out.extend_from_slice(head);
                root.write(&mut out);
                out.extend_from_slice(tail);
                Some(out.into())
            }
        };
        Ok(())
    }

    /// Everything behind `extract`; says whether anything changed.
    fn change<'v>(&'v self, root: &mut Node<'v>, insertions: &'v [(&Path, Cow<'_, [u8]>)]) -> Result<bool, String> {
        let mut changed = false;
        for rename in &self.rename {
            changed |= rename.apply(root);
        }
        if !self.drop.is_empty() {
            changed |= Path::remove_all(&self.drop, root);
        }
        if !self.mask.is_empty() {
            let mask = json::parse(self.mask_with.as_bytes())?.value;
            for path in &self.mask {
                changed |= path.replace(root, mask);
            }
        }
        for (path, value) in insertions {
            path.insert(root, json::parse(value)?.value)?;
            changed = true;
        }
        Ok(changed)
    }

    /// The field that becomes the body.
    fn extracted<'v>(&self, body: Raw<'v>) -> Result<Option<Raw<'v>>, String> {
        let Some(path) = &self.extract else { return Ok(None) };
        let field = body.get(path);
        if field.is_none() {
            self.missing.allow(|| format!("the body has no {}", path.join(".")))?;
        }
        Ok(field)
    }

    /// What `insert` says of the record as it came in: paths with JSON text.
    fn insertions<'v>(&'v self, record: &Record, body: Raw<'v>) -> Result<Vec<Placed<'v>>, String> {
        let mut values = Vec::with_capacity(self.insert.len());
        for (path, insertion) in &self.insert {
            match insertion.value(record, body)? {
                Some(value) => values.push((path, value)),
                None => self.missing.allow(|| insertion.lacking(record))?,
            }
        }
        Ok(values)
    }
}

#[cfg(test)]
mod tests;
