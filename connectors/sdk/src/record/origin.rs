//! Where a record came from.

use bytestring::ByteString;
use serde_json::{Map, Value as Json};
use smallvec::SmallVec;

/// Where a record came from, in the words of its protocol.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// What the source reads from is called in its system: `queue`, `topic`, `subject`. Empty for what has no origin.
    pub kind: &'static str,
    /// Its name.
    pub address: ByteString,
    /// The broker has delivered it before.
    pub redelivered: bool,
    fields: SmallVec<[(&'static str, Detail); 2]>,
}

/// One thing that a protocol says of where a record came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Detail {
    /// A name: an exchange, a routing key.
    Text(ByteString),
    /// A number: a partition, an offset.
    Integer(i64),
}

impl Origin {
    /// Kinds that are read back from dead letters.
    pub const KINDS: &[&str] = &["topic", "queue", "subject", "stream", "address", "destination", "path", "generate"];
    /// Names of details that are read back from dead letters. None of them is a kind.
    pub const DETAILS: &[&str] =
        &["exchange", "routing_key", "partition", "offset", "sequence", "consumer", "qos", "method"];

    /// From what is called `kind` and named `address`.
    pub fn new(kind: &'static str, address: ByteString) -> Self {
        Self { kind, address, redelivered: false, fields: SmallVec::new() }
    }

    /// The same with one more detail. Two take no memory of their own.
    #[must_use]
    pub fn with(mut self, name: &'static str, detail: impl Into<Detail>) -> Self {
        self.fields.push((name, detail.into()));
        self
    }

    /// Says that detail, whatever was said of it before.
    pub fn set(&mut self, name: &'static str, detail: impl Into<Detail>) {
        match self.fields.iter_mut().find(|(own, _)| *own == name) {
            Some((_, place)) => *place = detail.into(),
            None => self.fields.push((name, detail.into())),
        }
    }

    /// All details, in the order in which they were added.
    pub fn details(&self) -> impl Iterator<Item = (&'static str, &Detail)> {
        self.fields.iter().map(|(name, detail)| (*name, detail))
    }

    /// The detail of that name.
    pub fn get(&self, name: &str) -> Option<&Detail> {
        self.details().find_map(|(own, detail)| (own == name).then_some(detail))
    }

    /// The name under that name.
    pub fn text(&self, name: &str) -> Option<&ByteString> {
        match self.get(name)? {
            Detail::Text(text) => Some(text),
            Detail::Integer(_) => None,
        }
    }

    /// The number under that name.
    pub fn integer(&self, name: &str) -> Option<i64> {
        match self.get(name)? {
            Detail::Integer(integer) => Some(*integer),
            Detail::Text(_) => None,
        }
    }

    /// As a JSON object: `address`, `redelivered` and the details under their names; what is empty is left out.
    pub fn to_object(&self) -> Map<String, Json> {
        let own = [
            ("address", (!self.address.is_empty()).then(|| Json::from(&*self.address))),
            ("redelivered", self.redelivered.then_some(Json::Bool(true))),
        ];
        let details = self.details().map(|(name, detail)| (name, detail.to_json()));
        own.into_iter().chain(details).filter_map(|(name, json)| Some((name.to_owned(), json?))).collect()
    }
}

// === impl Detail ===

impl Detail {
    /// `None` for an empty text.
    fn to_json(&self) -> Option<Json> {
        match self {
            Self::Text(text) => (!text.is_empty()).then(|| Json::from(&**text)),
            Self::Integer(integer) => Some(Json::from(*integer)),
        }
    }
}

/// As it is shown to people.
impl std::fmt::Display for Detail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Integer(integer) => write!(f, "{integer}"),
        }
    }
}

impl From<ByteString> for Detail {
    fn from(text: ByteString) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Detail {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<i64> for Detail {
    fn from(integer: i64) -> Self {
        Self::Integer(integer)
    }
}

impl From<i32> for Detail {
    fn from(integer: i32) -> Self {
        Self::Integer(integer.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_empty_is_not_shown_but_there() {
        let origin = Origin::new("queue", "orders".into()).with("exchange", "").with("routing_key", "a.b");
        assert_eq!(origin.text("exchange").map(|text| &**text), Some(""));
        assert_eq!(Json::Object(origin.to_object()), serde_json::json!({"address": "orders", "routing_key": "a.b"}));
    }

    #[test]
    fn numbers_and_names_are_told_apart() {
        let origin = Origin::new("topic", "orders".into()).with("partition", 3).with("offset", 7_i64);
        assert_eq!((origin.integer("offset"), origin.text("offset"), origin.integer("other")), (Some(7), None, None));
    }
}
