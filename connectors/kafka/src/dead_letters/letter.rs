//! A Kafka message to a letter, or to marks on letters.

use bytes::Bytes;
use gantry_sdk::{
    DeadLetter, DeadLetterId, Record,
    dead_letters::{Fidelity, Marks, Reason},
};
use rdkafka::{Message as _, message::BorrowedMessage};

use super::store::Store;
use crate::{
    dead_letter_headers::{KEY, TIMESTAMP},
    headers::decode::{self, Native, Rebuilt},
};

/// The header that names replayed letters.
pub(super) const REPLAYED: &str = "gantry.replayed";

pub(super) fn id(message: &BorrowedMessage<'_>) -> DeadLetterId {
    DeadLetterId::new(message.partition().to_string(), message.offset().unsigned_abs())
}

/// The marks, if the message is one: no letter is without a value, a key and any other header.
pub(super) fn marks(message: &BorrowedMessage<'_>) -> Option<Marks> {
    if message.key().is_some() || message.payload().is_some() {
        return None;
    }
    let list = decode::native(message.headers()).ok()?;
    let [(REPLAYED, Some(text))] = list.as_slice() else { return None };
    let marks = std::str::from_utf8(text).map_err(|error| error.to_string()).and_then(str::parse);
    Some(marks.unwrap_or_else(|reason| {
        // Then its letters are replayed again, which loses nothing.
        tracing::warn!("the record {} says in a way that cannot be read what was replayed: {reason}", id(message));
        Marks::default()
    }))
}

/// A message that is no mark as a letter.
pub(super) fn read(store: &Store, message: &BorrowedMessage<'_>) -> DeadLetter {
    let bytes = |part: Option<&[u8]>| part.map(Bytes::copy_from_slice);
    let mut record = Record { key: bytes(message.key()), value: bytes(message.payload()), ..Record::default() };
    let written = message.timestamp().to_millis().and_then(|millis| u64::try_from(millis).ok());
    let written = written.map(|millis| std::time::UNIX_EPOCH + std::time::Duration::from_millis(millis));
    let (reason, fidelity) = match decode::native(message.headers()) {
        Ok(list) => fill(store, &mut record, &list),
        Err(decode::Unreadable) => {
            let why = "the name of one of its headers is not UTF-8, which the client library cannot read";
            (Reason::default(), Fidelity::Unreadable(why.to_owned()))
        }
    };
    DeadLetter { id: id(message), record, reason, written, fidelity }
}

/// Rebuilds the record out of the headers.
fn fill(store: &Store, record: &mut Record, list: &[Native<'_>]) -> (Reason, Fidelity) {
    let Rebuilt { headers, properties, exact, rest } = store.decoder.rebuild(list);
    record.headers = headers;
    record.set_properties(properties);
    let reason = Reason::split_off(&mut record.headers);
    record.origin = reason.origin();
    // The last of that name is ours: nothing of Gantry's stands behind it.
    let kept = |name: &str| list[rest..].iter().rfind(|(own, _)| *own == name).map(|(_, value)| *value);
    let number = |value: &[u8]| std::str::from_utf8(value).ok()?.parse().ok();
    record.timestamp = kept(TIMESTAMP).flatten().and_then(number);
    if let Some(key) = kept(KEY) {
        record.key = key.map(Bytes::copy_from_slice);
    }
    let fidelity = if exact {
        Fidelity::Exact
    } else {
        Fidelity::Lossy("written in text encoding, or changed since: headers come back as text".to_owned())
    };
    (reason, fidelity)
}
