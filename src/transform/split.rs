//! `split`: several records of one whose body holds a JSON list, one an element.
//!
//! # The contract
//! - An element keeps its bytes; it shares them with the body that it came in. Everything else of the record is the same on each:
//!   key, headers, properties, timestamp, origin. Two headers say which element it is and of how many.
//! - The elements are one record still for everyone who counts or settles: see [`Working::split`].
//! - A list with more than `max` elements fails before anything is made of it: a few bytes can stand for very many records.
//! - A tombstone goes on unchanged.

use std::num::NonZeroUsize;

use bytes::Bytes;
use bytestring::ByteString;
use gantry_sdk::{
    Record, Result, Transform, Value, Working,
    config::Problem,
    json::{self, Raw},
    plugin::TransformConfig,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{header_name, json::plain_path, policy::Otherwise, refusal::refuse};

/// The options of the `split` transform.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// The path of the list in the body, `order.items`; without it the body is the list. What stands around the list is gone.
    pub at: Option<String>,
    /// The header that says which element it is: an integer, from 0.
    #[serde(default = "default_index_header")]
    pub index_header: String,
    /// The header that says how many elements there were: an integer.
    #[serde(default = "default_count_header")]
    pub count_header: String,
    /// What becomes of a record whose list is empty.
    #[serde(default)]
    pub on_empty: OnEmpty,
    /// What becomes of a record whose body is not JSON, or that has no list there.
    #[serde(default = "Otherwise::fail")]
    pub on_other: Otherwise,
    /// How many elements a list may have. A record with a longer one fails.
    #[serde(default = "default_max")]
    pub max: NonZeroUsize,
}

fn default_index_header() -> String {
    "x-gantry-split-index".to_owned()
}

fn default_count_header() -> String {
    "x-gantry-split-count".to_owned()
}

const fn default_max() -> NonZeroUsize {
    NonZeroUsize::new(10_000).expect("it is not 0")
}

/// What becomes of a record whose list is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum OnEmpty {
    /// It is dropped, and counts as filtered.
    #[default]
    Drop,
    /// It goes on as it is.
    Keep,
    /// It fails: it goes to the dead letter, or stops the bridge when there is none.
    Fail,
}

/// Does it to every record.
#[derive(Debug)]
struct Split {
    /// The names on the way to the list; none: the body.
    at: Vec<String>,
    index_header: ByteString,
    count_header: ByteString,
    on_empty: OnEmpty,
    on_other: Otherwise,
    max: usize,
}

impl TransformConfig for Options {
    fn check(&self) -> Vec<Problem> {
        let headers = [("index_header", &self.index_header), ("count_header", &self.count_header)];
        let mut problems: Vec<_> =
            headers.into_iter().filter_map(|(option, name)| header_name::check(option, name)).collect();
        if self.index_header == self.count_header {
            problems.push(Problem::error("count_header", "is the index_header, too; one header cannot say both"));
        }
        problems.extend(self.path().err().map(|message| Problem::error("at", message)));
        problems
    }

    fn build(self) -> Result<Box<dyn Transform>> {
        refuse(&self.check())?;
        Ok(Box::new(Split {
            at: self.path().unwrap_or_default(),
            index_header: self.index_header.into(),
            count_header: self.count_header.into(),
            on_empty: self.on_empty,
            on_other: self.on_other,
            max: self.max.get(),
        }))
    }
}

impl Options {
    fn path(&self) -> Result<Vec<String>, String> {
        self.at.as_deref().map_or_else(|| Ok(Vec::new()), plain_path)
    }
}

impl Transform for Split {
    fn apply(&mut self, batch: &mut Working) {
        batch.split(|record| self.split(record).map_err(|reason| format!("split: {reason}")));
    }
}

impl Split {
    /// `None`: the record goes on as it is.
    fn split(&self, record: &Record) -> Result<Option<Vec<Record>>, String> {
        let Some(body) = &record.value else { return Ok(None) };
        let elements = match self.list(body) {
            // One more than there may be says enough.
            Ok(list) => list.items().take(self.max.saturating_add(1)).map(|item| item.value).collect::<Vec<_>>(),
            Err(reason) => return self.on_other.allow(|| reason).map(|()| None),
        };
        match (elements.len(), self.on_empty) {
            (0, OnEmpty::Drop) => Ok(Some(Vec::new())),
            (0, OnEmpty::Keep) => Ok(None),
            (0, OnEmpty::Fail) => Err(format!("{} is an empty list", self.place())),
            (count, _) if count > self.max => Err(format!("{} has more than {} elements", self.place(), self.max)),
            _ => Ok(Some(self.records(record, body, &elements))),
        }
    }

    /// The list, or what is there instead.
    fn list<'b>(&self, body: &'b Bytes) -> Result<Raw<'b>, String> {
        let document = json::parse(body)?;
        let Some(found) = document.value.get(&self.at) else {
            return Err(format!("the body, which is {}, has no {}", document.value.type_name(), self.place()));
        };
        if found.is_list() { Ok(found) } else { Err(format!("{} is {}, not a list", self.place(), found.type_name())) }
    }

    fn records(&self, record: &Record, body: &Bytes, elements: &[Raw<'_>]) -> Vec<Record> {
        let count = i64::try_from(elements.len()).unwrap_or(i64::MAX);
        let mut whole = record.clone();
        whole.headers.retain(|(name, _)| *name != self.index_header && *name != self.count_header);
        let element = |(index, element): (i64, &Raw<'_>)| {
            let mut record = whole.clone();
            record.value = Some(body.slice_ref(element.bytes()));
            record.headers.push(self.index_header.clone(), Value::I64(index));
            record.headers.push(self.count_header.clone(), Value::I64(count));
            record
        };
        (0..).zip(elements).map(element).collect()
    }

    /// Where the list should be, for people.
    fn place(&self) -> String {
        if self.at.is_empty() { "the body".to_owned() } else { self.at.join(".") }
    }
}

#[cfg(test)]
mod tests;
