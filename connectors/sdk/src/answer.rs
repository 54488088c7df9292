//! What a source is told of a record that somebody waits for: a request that was answered, a produce call that names the
//! partition and the offset.
//!
//! Most records have nobody who waits, and cost nothing for it. A source that has someone gives [`Answers`] with a batch; a sink
//! asks [`Receipt::wants_answers`](crate::Receipt::wants_answers) and says what it knows of a record before it settles it.

use std::fmt::Debug;

use bytes::Bytes;
use bytestring::ByteString;

use crate::{Failure, Headers};

/// What became of a record.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// Everything that it goes to has it. What was said of it: the word of the first sink of the bridge that said any.
    Delivered(Option<Delivered>),
    /// A rule dropped it.
    Filtered,
    /// It can never be delivered: it is a dead letter now, or dropped.
    Refused(Failure),
}

/// What a sink says of a record that it delivered.
#[derive(Debug, Clone, PartialEq)]
pub enum Delivered {
    /// Where it is now.
    Placed {
        /// The topic, queue or stream.
        address: ByteString,
        /// Which part of it.
        partition: Option<i32>,
        /// Where in there.
        offset: Option<i64>,
    },
    /// What the other side replied.
    Reply {
        /// The reply's body.
        body: Bytes,
        /// Its headers.
        headers: Headers,
    },
}

/// Whoever waits for what becomes of the records of a batch. Dropped without a word about a record: it is not known whether that one
/// was delivered, and it comes again if its source has it still.
pub trait Answers: Send + Debug {
    /// The record at that place of the batch, as the source gave it: once each. Never blocks.
    fn answer(&mut self, index: u32, answer: Answer);
}
