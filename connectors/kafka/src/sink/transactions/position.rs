//! A position as a record that a person can read:
//! `{"bridge":"orders","lane":"topic/5"}` → `{"position":"000000000000002a","number":42}`.
//!
//! The bytes of a key never change: compaction keeps the last record of each.

use std::fmt::Write as _;

use gantry_sdk::{Checkpoint, Position};
use serde::{Deserialize, Serialize};

use crate::sink::{plan::Plan, transaction_identity::Owner};

/// A record of the topic of positions.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PositionRecord {
    pub key: String,
    pub value: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Key {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bridge: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    transactional_id: Option<String>,
    lane: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Value {
    /// The position's bytes in hexadecimal: what counts.
    position: String,
    /// The number that they stand for, if they do: an offset, a count. For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    number: Option<u64>,
}

/// These positions as records.
pub(super) fn records(plan: &Plan, checkpoints: &[Checkpoint]) -> Vec<PositionRecord> {
    let Some(identity) = &plan.identity else { return Vec::new() };
    let record = |checkpoint: &Checkpoint| PositionRecord {
        key: key(&identity.owner, &checkpoint.lane_key),
        value: value(&checkpoint.position),
    };
    checkpoints.iter().map(record).collect()
}

fn key(owner: &Owner, lane: &str) -> String {
    let (bridge, transactional_id) = match owner {
        Owner::Bridge(name) => (Some(name.clone()), None),
        Owner::TransactionalId(id) => (None, Some(id.clone())),
    };
    json(&Key { bridge, transactional_id, lane: lane.to_owned() })
}

fn value(position: &Position) -> String {
    let mut text = String::new();
    for byte in position.as_bytes() {
        let _ = write!(text, "{byte:02x}");
    }
    json(&Value { position: text, number: position.as_u64() })
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("texts and numbers are always JSON")
}

/// The lane of a key, if it is one of this owner's.
pub(super) fn lane_of(owner: &Owner, key: &[u8]) -> Option<String> {
    let key: Key = serde_json::from_slice(key).ok()?;
    let own = match owner {
        Owner::Bridge(name) => key.transactional_id.is_none() && key.bridge.as_ref() == Some(name),
        Owner::TransactionalId(id) => key.bridge.is_none() && key.transactional_id.as_ref() == Some(id),
    };
    own.then_some(key.lane)
}

/// The position of a value; `None` when it is none.
pub(super) fn position_of(value: &[u8]) -> Option<Position> {
    let Value { position, .. } = serde_json::from_slice(value).ok()?;
    if !position.is_ascii() || position.len() % 2 != 0 {
        return None;
    }
    let byte = |at: usize| u8::from_str_radix(&position[at..at + 2], 16).ok();
    let bytes: Option<Vec<u8>> = (0..position.len()).step_by(2).map(byte).collect();
    bytes.map(|bytes| Position::new(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_can_read_them() {
        assert_eq!(key(&Owner::Bridge("orders".into()), "topic/5"), r#"{"bridge":"orders","lane":"topic/5"}"#);
        assert_eq!(
            key(&Owner::TransactionalId("mine".into()), "topic/5"),
            r#"{"transactional_id":"mine","lane":"topic/5"}"#
        );
        assert_eq!(value(&42.into()), r#"{"position":"000000000000002a","number":42}"#);
        assert_eq!(value(&Position::new(&[255, 0])), r#"{"position":"ff00"}"#);
    }

    #[test]
    fn what_is_written_is_read_back() {
        let owner = Owner::Bridge("a \"b\" ü".into());
        assert_eq!(lane_of(&owner, key(&owner, "x/\"1\"").as_bytes()).as_deref(), Some("x/\"1\""));
        for position in [Position::from(0), Position::from(u64::MAX), Position::new(b"\0\xff"), Position::new(b"")] {
            assert_eq!(position_of(value(&position).as_bytes()), Some(position));
        }
    }

    #[test]
    fn what_others_wrote_is_not_taken_for_ours() {
        let owner = Owner::Bridge("orders".into());
        for other in [Owner::Bridge("order".into()), Owner::TransactionalId("orders".into())] {
            assert_eq!(lane_of(&owner, key(&other, "x/1").as_bytes()), None);
        }
        assert_eq!(lane_of(&owner, b"[\"connect\",{}]"), None);
        for bad in ["", "{}", r#"{"position":"0"}"#, r#"{"position":"zz"}"#, r#"{"position":"aü"}"#] {
            assert_eq!(position_of(bad.as_bytes()), None, "{bad}");
        }
    }
}
