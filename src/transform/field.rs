//! Fields named in options, and reasons for what a record lacks.

use std::{borrow::Cow, fmt};

use gantry_sdk::{
    Record, Template,
    template::{Field, Found},
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

/// A field of a record by the name that templates use for it, without braces: `header.tenant`, `value.order.id`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldName {
    name: String,
    field: Field,
}

impl FieldName {
    /// What the record has there. The error says why a field of the body cannot be had: the body is not JSON.
    pub(super) fn get<'r>(&self, record: &'r Record) -> Result<Option<Found<'r>>, String> {
        self.field.read(record)
    }

    /// Whether it is a field of the body, which a tombstone has not.
    pub(super) const fn is_of_body(&self) -> bool {
        matches!(self.field, Field::Json(_) | Field::Value)
    }
}

impl fmt::Display for FieldName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl<'de> Deserialize<'de> for FieldName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        if name.starts_with('{') {
            let bare = name.trim_matches(['{', '}']);
            return Err(de::Error::custom(format!("a field is written without braces here: \"{bare}\"")));
        }
        let field = name.parse().map_err(de::Error::custom)?;
        Ok(Self { name, field })
    }
}

impl JsonSchema for FieldName {
    fn schema_name() -> Cow<'static, str> {
        "Field".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "examples": ["key", "routing_key", "header.tenant", "value.order.id"] })
    }

    fn inline_schema() -> bool {
        true
    }
}

/// Why the template yields nothing for this record.
pub(super) fn lacking(template: &Template, record: &Record) -> String {
    let mut missing = Vec::new();
    for field in template.lacking(record) {
        if let Err(reason) = field.read(record) {
            return reason;
        }
        missing.push(format!("{{{}}}", name(field)));
    }
    format!("the record has no {}", missing.join(", "))
}

fn name(field: &Field) -> Cow<'static, str> {
    match field {
        Field::Key => "key".into(),
        Field::Value => "value".into(),
        Field::Json(path) => format!("value.{}", path.join(".")).into(),
        Field::Header(header) => format!("header.{header}").into(),
        Field::Named(name) => (*name).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_written_without_braces() {
        for (name, words) in [("{key}", "without braces here: \"key\""), ("heder.x", "there is no field")] {
            let error = serde_json::from_value::<FieldName>(name.into()).expect_err(name).to_string();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn says_what_a_record_lacks() {
        let json = Record { value: Some("{\"a\":1}".into()), ..Record::default() };
        let text = Record { value: Some("hello".into()), ..Record::default() };
        for (record, template, words) in [
            (&json, "{value.b}-{value.a}-{header.x|none}-{key}", "the record has no {value.b}, {key}"),
            (&Record::default(), "{value.b}", "the record has no {value.b}"),
            (&text, "{value.b}", "the body is not JSON"),
        ] {
            let template = Template::parse(template).expect(template);
            assert_eq!(template.render(record), None);
            let reason = lacking(&template, record);
            assert!(reason.starts_with(words), "{reason}");
        }
    }
}
