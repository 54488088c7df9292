//! The oracle: every message carries a sequence number and a checksum; at the end it says what became of all of them.

use std::collections::{BTreeMap, BTreeSet};

use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable},
};

use super::kafka::Stored;

/// What became of the messages.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Distinct messages that arrived.
    pub arrived: u64,
    /// Sequence numbers that did not.
    pub missing: Vec<u64>,
    /// Arrivals beyond the first.
    pub duplicates: u64,
    /// First arrivals that came after a later message of the same partition.
    pub reordered: u64,
}

/// The body of a message: its number, a checksum of the number, padded to `size`.
pub fn body(sequence: u64, size: usize) -> Vec<u8> {
    let mut body = format!(r#"{{"seq":{sequence},"check":{},"pad":""#, checksum(sequence)).into_bytes();
    let pad = size.saturating_sub(body.len() + 2);
    body.extend(std::iter::repeat_n(b'x', pad));
    body.extend_from_slice(b"\"}");
    body
}

/// The properties of a message: persistent, its number as message id and in a header.
pub fn properties(sequence: u64) -> BasicProperties {
    let mut headers = FieldTable::default();
    headers.insert("seq".into(), AMQPValue::LongLongInt(i64::try_from(sequence).expect("small")));
    BasicProperties::default().with_delivery_mode(2).with_message_id(sequence.to_string().into()).with_headers(headers)
}

/// Any mixing of all bits will do: a truncated or mixed-up body must not pass by chance.
fn checksum(sequence: u64) -> u64 {
    (sequence ^ 0x9e37_79b9_7f4a_7c15).wrapping_mul(0xff51_afd7_ed55_8ccd) >> 33
}

/// The number of a stored message, its body and header checked.
///
/// # Panics
/// When a body or a header was changed on the way.
pub fn sequence_of(record: &Stored) -> u64 {
    let value = record.value.as_deref().expect("a body");
    let body: serde_json::Value = serde_json::from_slice(value).expect("a body of the oracle");
    let sequence = body["seq"].as_u64().expect("a sequence number");
    assert_eq!(body["check"].as_u64(), Some(checksum(sequence)), "the body was changed: {body}");
    assert_eq!(record.header("seq"), Some(sequence.to_string()), "the header was changed");
    sequence
}

/// Judges what a topic holds against messages `0..expected` that went in.
pub fn judge(stored: &[Stored], expected: u64) -> Verdict {
    let mut seen = BTreeSet::new();
    let mut last = BTreeMap::new();
    let mut verdict = Verdict::default();
    for record in stored {
        let sequence = sequence_of(record);
        if !seen.insert(sequence) {
            verdict.duplicates += 1;
            continue;
        }
        let highest = last.entry(record.partition).or_insert(sequence);
        if sequence < *highest {
            verdict.reordered += 1;
        }
        *highest = sequence.max(*highest);
    }
    verdict.arrived = seen.len() as u64;
    verdict.missing = (0..expected).filter(|sequence| !seen.contains(sequence)).collect();
    verdict
}

/// Nothing missing and first arrivals in order; duplicates are counted and allowed.
///
/// # Panics
/// When something is missing or out of order.
pub fn assert_nothing_lost(stored: &[Stored], expected: u64) -> Verdict {
    let verdict = judge(stored, expected);
    let missing = verdict.missing.len();
    assert!(missing == 0, "{missing} of {expected} lost: {:?}…", &verdict.missing[..missing.min(20)]);
    assert_eq!(verdict.reordered, 0, "order is lost: {verdict:?}");
    verdict
}
