//! The oracle: every message carries a sequence number and a checksum; at the end it says what became of all of them.

use std::collections::BTreeMap;

use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable},
};

use super::kafka::Stored;

/// What became of the messages.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Judgement {
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
/// # Errors
/// Says what was changed on the way.
pub fn read(record: &Stored) -> Result<u64, String> {
    let value = record.value.as_deref().ok_or("no body")?;
    let body: serde_json::Value =
        serde_json::from_slice(value).map_err(|error| format!("not the oracle's: {error}"))?;
    let sequence = body["seq"].as_u64().ok_or_else(|| format!("no sequence number: {body}"))?;
    if body["check"].as_u64() != Some(checksum(sequence)) {
        return Err(format!("the body was changed: {body}"));
    }
    if record.header("seq") != Some(sequence.to_string()) {
        return Err(format!("the header of {sequence} was changed"));
    }
    Ok(sequence)
}

/// The same, for tests.
///
/// # Panics
/// When a body or a header was changed on the way.
pub fn sequence_of(record: &Stored) -> u64 {
    read(record).unwrap_or_else(|error| panic!("{error}"))
}

/// Judges arrivals as they come, with one bit a message.
#[derive(Debug, Default)]
pub struct Tally {
    seen: Vec<u64>,
    /// By partition.
    highest: BTreeMap<i32, u64>,
    /// Distinct messages that arrived.
    pub arrived: u64,
    /// Arrivals beyond the first.
    pub duplicates: u64,
    /// First arrivals that came after a later message of the same partition.
    pub reordered: u64,
}

impl Tally {
    /// Takes in one arrival; those of a partition in the order in which they lie there. If it comes for the first time and
    /// after a later message: that message's number.
    pub fn arrives(&mut self, partition: i32, sequence: u64) -> Option<u64> {
        if !self.mark(sequence) {
            self.duplicates += 1;
            return None;
        }
        self.arrived += 1;
        let highest = self.highest.entry(partition).or_insert(sequence);
        let later = (sequence < *highest).then_some(*highest);
        self.reordered += u64::from(later.is_some());
        *highest = sequence.max(*highest);
        later
    }

    /// Accounts for a message without an arrival. False if it was accounted for before.
    pub fn mark(&mut self, sequence: u64) -> bool {
        let (word, bit) = place(sequence);
        if word >= self.seen.len() {
            self.seen.resize(word + 1, 0);
        }
        let is_new = self.seen[word] & bit == 0;
        self.seen[word] |= bit;
        is_new
    }

    /// The highest that arrived.
    pub fn highest(&self) -> Option<u64> {
        self.highest.values().copied().max()
    }

    /// Those of `0..expected` that are not accounted for.
    pub fn missing(&self, expected: u64) -> impl Iterator<Item = u64> {
        (0..expected).filter(|sequence| {
            let (word, bit) = place(*sequence);
            self.seen.get(word).is_none_or(|seen| seen & bit == 0)
        })
    }
}

fn place(sequence: u64) -> (usize, u64) {
    (usize::try_from(sequence / 64).expect("it fits in memory"), 1 << (sequence % 64))
}

/// Judges what a topic holds against messages `0..expected` that went in.
pub fn judge(stored: &[Stored], expected: u64) -> Judgement {
    let mut tally = Tally::default();
    for record in stored {
        tally.arrives(record.partition, sequence_of(record));
    }
    Judgement {
        arrived: tally.arrived,
        missing: tally.missing(expected).collect(),
        duplicates: tally.duplicates,
        reordered: tally.reordered,
    }
}

/// Nothing missing and first arrivals in order; duplicates are counted and allowed.
///
/// # Panics
/// When something is missing or out of order.
pub fn assert_nothing_lost(stored: &[Stored], expected: u64) -> Judgement {
    let verdict = judge(stored, expected);
    let missing = verdict.missing.len();
    assert!(missing == 0, "{missing} of {expected} lost: {:?}…", &verdict.missing[..missing.min(20)]);
    assert_eq!(verdict.reordered, 0, "order is lost: {verdict:?}, {}", first_step_back(stored));
    verdict
}

/// Where the order is lost first, and how much came too late there in one piece.
fn first_step_back(stored: &[Stored]) -> String {
    let mut tally = Tally::default();
    let mut late = stored.iter().filter_map(|record| {
        let sequence = sequence_of(record);
        tally.arrives(record.partition, sequence).map(|later| (record.offset, sequence, later))
    });
    let Some((offset, sequence, later)) = late.next() else { return "nowhere".into() };
    let in_a_row = 1 + late.zip(1..).take_while(|((_, next, _), ahead)| *next == sequence + ahead).count();
    format!("first at offset {offset}: {sequence} and the next, {in_a_row} in all, came after {later}")
}
