//! A delivery to a letter.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    time::{Duration, UNIX_EPOCH},
};

use gantry_sdk::{
    DeadLetter, DeadLetterId, Record, Value,
    dead_letters::{Fidelity, Reason},
};

use super::{deaths, note};

/// What a quorum queue adds to a message when it delivers it again: not part of it.
const COUNTED: [&str; 2] = ["x-acquired-count", "x-delivery-count"];

/// A message as it lies in the queue, and how often the queue has delivered it before, if it counts that.
pub(super) fn bare(mut message: Record) -> (Record, Option<i64>) {
    let count = match message.headers.get("x-delivery-count") {
        Some(Value::I64(count)) => Some(*count),
        _ => None,
    };
    message.headers.retain(|(name, _)| !COUNTED.contains(&&**name));
    (message, count)
}

/// A number for a message: the same at each reading, and most likely no other's. Short, because people type it.
pub(super) fn number(message: &Record) -> u64 {
    let mut hasher = DefaultHasher::new();
    message.value.hash(&mut hasher);
    for name in ["exchange", "routing_key"] {
        message.origin.text(name).map(|text| &**text).unwrap_or_default().hash(&mut hasher);
    }
    // Values have no hash, because of their floats; and a NaN has to be itself.
    format!("{:?}{:?}", message.headers, message.properties()).hash(&mut hasher);
    hasher.finish() >> 16
}

/// The message as a letter. `added` are the names of headers that the dead letter's sink adds to each record.
pub(super) fn read(id: DeadLetterId, message: Record, added: &[String]) -> DeadLetter {
    if let Some(rebuilt) = note::read(&message, added) {
        let note::Rebuilt { record, reason, written, loss } = rebuilt;
        let written = written.and_then(|millis| u64::try_from(millis).ok());
        let written = written.and_then(|millis| UNIX_EPOCH.checked_add(Duration::from_millis(millis)));
        return DeadLetter { id, record, reason, written, fidelity: loss.map_or(Fidelity::Exact, Fidelity::Lossy) };
    }
    foreign(id, message)
}

/// A letter that no Gantry wrote.
fn foreign(id: DeadLetterId, mut record: Record) -> DeadLetter {
    let reason = Reason::of(&record.headers);
    if !reason.fields.is_empty() {
        record.headers.retain(|(name, _)| !name.starts_with(Reason::PREFIX));
        record.origin = reason.origin();
        let loss = "another tool wrote it: what that left out is not known".to_owned();
        return DeadLetter { id, record, reason, written: None, fidelity: Fidelity::Lossy(loss) };
    }
    match deaths::explain(&mut record) {
        Some(deaths::Death { reason, time, fidelity }) => DeadLetter { id, record, reason, written: time, fidelity },
        None => DeadLetter { id, record, reason, written: None, fidelity: Fidelity::Exact },
    }
}
