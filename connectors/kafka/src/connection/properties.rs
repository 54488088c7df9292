//! librdkafka's own properties, by name: checked against librdkafka itself, and against what would break a promise.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use gantry_sdk::config::{KeyPath, Problem};
use rdkafka::{ClientConfig, error::KafkaError};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};
use serde_json::Value as Json;

/// librdkafka properties by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Properties(pub BTreeMap<String, PropertyText>);

/// The value of a property. Written as text, number or boolean; never shown, because it may have come from a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct PropertyText(String);

/// Something that a property may not be set to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rule {
    name: &'static str,
    verdict: Permission,
}

#[derive(Debug, Clone, Copy)]
enum Permission {
    /// Has an option of its own.
    Own(&'static str),
    /// Never, because.
    Refused(&'static str),
    /// Only these values, because of any other.
    Only(&'static [&'static str], &'static str),
}

// === impl Rule ===

impl Rule {
    /// The property is set by an option.
    pub(crate) const fn own(name: &'static str, option: &'static str) -> Self {
        Self { name, verdict: Permission::Own(option) }
    }

    /// The property cannot be set.
    pub(crate) const fn refused(name: &'static str, reason: &'static str) -> Self {
        Self { name, verdict: Permission::Refused(reason) }
    }

    /// The property can be set only to these values; `reason` says what is wrong with the others.
    pub(crate) const fn only(name: &'static str, values: &'static [&'static str], reason: &'static str) -> Self {
        Self { name, verdict: Permission::Only(values, reason) }
    }

    fn objection(&self, value: &PropertyText) -> Option<String> {
        match self.verdict {
            Permission::Own(option) => Some(format!("set {option} instead of \"{}\"", self.name)),
            Permission::Refused(reason) => Some(format!("\"{}\" cannot be set: {reason}", self.name)),
            Permission::Only(values, _) if values.iter().any(|fine| value.0.eq_ignore_ascii_case(fine)) => None,
            Permission::Only(values, reason) => {
                Some(format!("\"{}\" can only be {}: {reason}", self.name, values.join(" or ")))
            }
        }
    }
}

/// What is wrong with these properties; paths begin with `properties`.
pub(crate) fn check_properties(properties: &Properties, rules: &[&[Rule]]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (name, value) in &properties.0 {
        let rule = rules.iter().copied().flatten().find(|rule| rule.name == name);
        let objection = match rule.and_then(|rule| rule.objection(value)) {
            Some(objection) => Some(objection),
            None => librdkafka_objection(name, value),
        };
        problems.extend(objection.map(|text| Problem::error(KeyPath::from("properties").key(name), text)));
    }
    problems
}

/// What librdkafka says of it. Its words may quote the value, so the value is taken out of them.
fn librdkafka_objection(name: &str, value: &PropertyText) -> Option<String> {
    let mut config = ClientConfig::new();
    config.set(name, &value.0);
    match config.create_native_config() {
        Ok(_) => None,
        Err(KafkaError::ClientConfig(rdkafka::types::RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN, ..)) => {
            Some(format!("librdkafka has no property \"{name}\""))
        }
        Err(KafkaError::ClientConfig(_, text, ..)) if !text.trim().is_empty() => {
            let value = value.0.trim();
            let quotable = value.is_empty() || value.parse::<f64>().is_ok();
            Some(if quotable { text.trim().to_owned() } else { text.trim().replace(value, "…") })
        }
        Err(_) => Some(format!("librdkafka does not take this value for \"{name}\"")),
    }
}

// === impl Properties ===

impl Properties {
    /// The value of that property.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.0.as_str())
    }

    pub(crate) fn apply(&self, config: &mut ClientConfig) {
        for (name, value) in &self.0 {
            config.set(name, &value.0);
        }
    }
}

// === impl PropertyText ===

impl fmt::Debug for PropertyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

impl From<&str> for PropertyText {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl<'de> Deserialize<'de> for PropertyText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Json::deserialize(deserializer)? {
            Json::String(text) => Ok(Self(text)),
            Json::Number(number) => Ok(Self(number.to_string())),
            Json::Bool(value) => Ok(Self(value.to_string())),
            _ => Err(de::Error::custom("a property is a text, a number or a boolean")),
        }
    }
}

impl JsonSchema for PropertyText {
    fn schema_name() -> Cow<'static, str> {
        "Property".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "number", "boolean"] })
    }

    fn inline_schema() -> bool {
        true
    }
}
