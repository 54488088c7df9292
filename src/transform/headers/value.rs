//! What becomes of the values of headers.

use bytestring::ByteString;
use gantry_sdk::{
    Headers, Value,
    json::{self, Raw},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Names;

/// What becomes of headers that have one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Repeated {
    /// The first stays.
    First,
    /// The last stays.
    Last,
    /// All values become one list, also a value that is alone.
    List,
}

impl Repeated {
    /// One header stands where the first stood.
    pub(super) fn apply(self, headers: &mut Headers, name: &str) {
        let count = headers.iter().filter(|(own, _)| own == name).count();
        if count == 0 || (count == 1 && self != Self::List) {
            return;
        }
        let values = headers.iter().filter(|(own, _)| own == name).map(|(_, value)| value);
        let value = match self {
            Self::First => values.take(1).next(),
            Self::Last => values.last(),
            Self::List => None,
        };
        let value = value.cloned().unwrap_or_else(|| {
            Value::List(headers.iter().filter(|(own, _)| own == name).map(|(_, value)| value.clone()).collect())
        });
        let mut value = Some(value);
        let merged = headers.iter().filter_map(|(own, other)| {
            if own == name { Some((own.clone(), value.take()?)) } else { Some((own.clone(), other.clone())) }
        });
        *headers = merged.collect();
    }
}

/// Puts what their JSON text says in the place of the values of these headers.
pub(super) fn decode_json(headers: &mut Headers, names: &Names) {
    if names.is_empty() || !headers.iter().any(|(name, value)| names.contains(name) && decoded(value).is_some()) {
        return;
    }
    for (name, value) in headers.make_mut() {
        if names.contains(name)
            && let Some(new) = decoded(value)
        {
            *value = new;
        }
    }
}

/// What the JSON text says; `None` when the value stays as it is.
fn decoded(value: &Value) -> Option<Value> {
    let (Value::String(text) | Value::Bytes(text)) = value else { return None };
    // Most headers are no JSON: the first byte tells.
    if !matches!(text.first()?, b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n') {
        return None;
    }
    scalar(json::parse(text).ok()?.value)
}

fn scalar(json: Raw<'_>) -> Option<Value> {
    if json.is_null() {
        return Some(Value::Null);
    }
    if let Some(text) = json.text() {
        return Some(Value::text(ByteString::from(text.ok()?.into_owned())));
    }
    if let Some(value) = json.as_bool() {
        return Some(Value::Bool(value));
    }
    let digits = json.as_number()?;
    // Digits that no type keeps stay text.
    match digits.parse::<i64>() {
        Ok(whole) => Some(Value::I64(whole)),
        Err(_) => digits.parse().ok().filter(|float: &f64| float.to_string() == digits).map(Value::F64),
    }
}
