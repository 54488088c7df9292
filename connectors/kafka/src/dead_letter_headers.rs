//! What a Kafka record cannot say of a dead letter's record stands in headers of its own: written by the sink, read by
//! those who read dead letters back.

use gantry_sdk::Record;

use crate::headers::Out;

/// The header with the record's own timestamp in milliseconds: Kafka's says when it became a dead letter.
pub(crate) const TIMESTAMP: &str = "gantry.timestamp";
/// The header with the record's own key, where the dead letter's `key` replaced it.
pub(crate) const KEY: &str = "gantry.key";

/// How many headers [`keep`] adds at most.
pub(crate) const KEPT: usize = 2;

/// Adds what of a dead letter's record would be lost otherwise, behind all other headers.
pub(crate) fn keep(record: &Record, replaces_key: bool, out: &mut impl Out) {
    if let Some(timestamp) = record.timestamp {
        out.add(TIMESTAMP, Some(timestamp.to_string().as_bytes()));
    }
    if replaces_key {
        out.add(KEY, record.key.as_deref());
    }
}
