//! The option `map`: which topic goes to which queue. A list in the guise of a map, because the order of its expressions
//! counts.

use std::{collections::BTreeMap, fmt};

use regex::Regex;
use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};

/// From topics, by name or by `/expression/`, to queues, in the order in which they were written.
#[derive(Debug, Clone, Default, JsonSchema)]
pub struct QueueMap(#[schemars(with = "BTreeMap<String, String>")] Vec<(String, String)>);

impl QueueMap {
    /// Each key with its queue.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(from, queue)| (from.as_str(), queue.as_str()))
    }

    /// The queues.
    pub fn queues(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(_, queue)| queue.as_str())
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The regular expression of a key, if it is one.
pub(super) fn expression(key: &str) -> Option<Result<Regex, regex::Error>> {
    key.strip_prefix('/').and_then(|rest| rest.strip_suffix('/')).map(Regex::new)
}

impl<'de> Deserialize<'de> for QueueMap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Vec<(String, String)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map from topics to queues")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(entries)
            }
        }
        deserializer.deserialize_map(Entries).map(Self)
    }
}
