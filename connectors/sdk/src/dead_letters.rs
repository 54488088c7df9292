//! Reading dead letters back, to list them, to show one, to send them through their bridge again, to discard them.
//!
//! # The contract
//! - A store of dead letters is a log or a queue that a dead letter's sink wrote: reading changes and removes nothing in it. A
//!   queue is held while it is read, and [`DeadLetters::close`] gives back what is not marked, in its order.
//! - A plugin makes an [`Opening`](crate::plugin::Opening) of its options; it connects, and fixes the end: what is written
//!   later is not read by this instance.
//! - [`DeadLetters::next`] yields every letter up to that end that nobody has marked yet, each stream of the store in the
//!   order in which it was written, with the record as the source once gave it: key, value, headers and properties. What
//!   was added to it is in [`DeadLetter::reason`]; whether the record is whole is in [`DeadLetter::fidelity`]. A letter that cannot
//!   be read is still a letter: it is never left out.
//! - [`DeadLetters::mark`] notes in the store itself that letters are dealt with, or removes them from it. It is called once
//!   their replay is durable, so a replay that is killed in between repeats letters and loses none; or when a person discards them.

mod feed;
mod id;
mod log;
mod marks;
mod reason;

use std::time::SystemTime;

use async_trait::async_trait;

use crate::{Record, Result};

pub use feed::{Feed, Giver};
pub use id::DeadLetterId;
pub use log::{Entry, LetterLog, MarkWriter, read_log};
pub use marks::Marks;
pub use reason::Reason;

/// One dead letter.
#[derive(Debug, Clone)]
pub struct DeadLetter {
    /// Which.
    pub id: DeadLetterId,
    /// The record as the source gave it.
    pub record: Record,
    /// Why it is a dead letter.
    pub reason: Reason,
    /// When it was written; `None` when the store does not say.
    pub written: Option<SystemTime>,
    /// Whether the record is as the source gave it.
    pub fidelity: Fidelity,
}

/// How well a record could be rebuilt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fidelity {
    /// As the source gave it, to the last bit.
    Exact,
    /// Its body is whole, but something else is not; says what.
    Lossy(String),
    /// It cannot be rebuilt, and must not be replayed; says why.
    Unreadable(String),
}

/// An open store of dead letters; see the module for what it promises.
#[async_trait]
pub trait DeadLetters: Send {
    /// How many letters [`DeadLetters::next`] will yield: for a progress bar. `None` if unknown.
    fn total(&self) -> Option<u64>;

    /// The next letter that is not marked; `None` at the end. Cancel-safe.
    async fn next(&mut self) -> Result<Option<DeadLetter>>;

    /// These are dealt with. Durable when it returns, as far as the store's own acknowledgement is.
    async fn mark(&mut self, letters: &Marks) -> Result<()>;

    /// Gives back what was only held, and disconnects.
    async fn close(self: Box<Self>) -> Result<()>;
}
