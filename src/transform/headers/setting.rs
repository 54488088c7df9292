//! What a header is set to.

use std::borrow::Cow;

use gantry_sdk::{Record, Template, Value};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};
use serde_json::Value as Json;

use crate::transform::field;

/// What a header is set to: text by template, or a constant with a type.
#[derive(Debug, Clone)]
pub enum Setting {
    /// Text.
    Text(Template),
    /// A number or a boolean.
    Constant(Value),
}

impl Setting {
    /// What it is for every record, if it is the same.
    pub(super) fn constant(&self) -> Option<Value> {
        match self {
            Self::Text(template) => template.as_literal().map(Value::text),
            Self::Constant(value) => Some(value.clone()),
        }
    }

    pub(super) fn value(&self, record: &Record) -> Option<Value> {
        match self {
            Self::Text(template) => template.render(record).map(Value::String),
            Self::Constant(value) => Some(value.clone()),
        }
    }

    /// Why there is no value for this record.
    pub(super) fn lacking(&self, record: &Record) -> String {
        match self {
            Self::Text(template) => field::lacking(template, record),
            Self::Constant(_) => String::new(),
        }
    }
}

impl<'de> Deserialize<'de> for Setting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wrong = || de::Error::custom("expected a template, a number or a boolean");
        Ok(match Json::deserialize(deserializer)? {
            Json::String(text) => Self::Text(Template::parse(&text).map_err(de::Error::custom)?),
            Json::Bool(value) => Self::Constant(Value::Bool(value)),
            Json::Number(number) => match number.as_i64() {
                Some(whole) => Self::Constant(Value::I64(whole)),
                None => Self::Constant(Value::F64(number.as_f64().ok_or_else(wrong)?)),
            },
            Json::Null | Json::Array(_) | Json::Object(_) => return Err(wrong()),
        })
    }
}

impl JsonSchema for Setting {
    fn schema_name() -> Cow<'static, str> {
        "Setting".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "number", "boolean"] })
    }

    fn inline_schema() -> bool {
        true
    }
}
