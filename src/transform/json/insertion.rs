//! What `insert` puts into a body.

use std::borrow::Cow;

use gantry_sdk::{Record, Template, Value, json::Raw, template::Field};
use serde_json::Value as Json;

use super::node::write_text;
use crate::transform::field;

/// What is put into a body: compiled from an option.
#[derive(Debug)]
pub(super) enum Insertion {
    /// JSON text.
    Constant(String),
    /// A single field, with its type.
    Typed(Template, Field),
    Text(Template),
}

impl Insertion {
    /// Text is a template, anything else a constant.
    pub(super) fn compile(value: Json) -> Result<Self, String> {
        let Json::String(text) = value else { return Ok(Self::Constant(value.to_string())) };
        let template = Template::parse(&text)?;
        if let Some(literal) = template.as_literal() {
            return Ok(Self::Constant(Json::from(literal).to_string()));
        }
        let typed = single(&text).filter(|field| match field {
            Field::Json(_) | Field::Header(_) => true,
            Field::Named(name) => matches!(*name, "timestamp" | "partition" | "offset" | "priority"),
            Field::Key | Field::Value => false,
        });
        Ok(match typed {
            Some(field) => Self::Typed(template, field),
            None => Self::Text(template),
        })
    }

    /// The value for this record, whose body is `body`, as JSON text; `None` when the record lacks a field.
    pub(super) fn value<'v>(&'v self, record: &Record, body: Raw<'v>) -> Result<Option<Cow<'v, [u8]>>, String> {
        let text = match self {
            Self::Constant(json) => return Ok(Some(json.as_bytes().into())),
            Self::Typed(_, Field::Json(path)) => {
                let found = body.get(path).filter(|found| !found.is_null());
                return Ok(found.map(|found| found.bytes().into()));
            }
            Self::Typed(_, Field::Header(name)) => match record.headers.get(name) {
                None | Some(Value::Null) => return Ok(None),
                Some(Value::String(text) | Value::Bytes(text)) => text.clone(),
                Some(value) => return Ok(Some(value.to_json().to_string().into_bytes().into())),
            },
            // A number, which JSON writes in the same digits.
            Self::Typed(_, field) => return Ok(field.get(record).map(|digits| Vec::from(digits.into_bytes()).into())),
            Self::Text(template) => match template.render(record) {
                None => return Ok(None),
                Some(text) => text,
            },
        };
        let text = str::from_utf8(&text).map_err(|_| format!("cannot insert {}: it is not UTF-8", self.template()))?;
        let mut json = Vec::with_capacity(text.len() + 2);
        write_text(&mut json, text);
        Ok(Some(json.into()))
    }

    /// Why there is no value for this record.
    pub(super) fn lacking(&self, record: &Record) -> String {
        match self {
            Self::Constant(_) => String::new(),
            Self::Typed(template, _) | Self::Text(template) => field::lacking(template, record),
        }
    }

    fn template(&self) -> &str {
        match self {
            Self::Constant(_) => "",
            Self::Typed(template, _) | Self::Text(template) => template.as_str(),
        }
    }
}

/// The field, when the template is that and nothing else, not even a default.
fn single(text: &str) -> Option<Field> {
    let name = text.strip_prefix('{')?.strip_suffix('}')?;
    let other = name.contains(['{', '}', '|']);
    if other { None } else { name.trim().parse().ok() }
}
