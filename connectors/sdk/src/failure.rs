//! Why a record was not delivered.

use std::sync::Arc;

use crate::error::{Error, ErrorKind};

/// Why a record was not delivered, in a kind that the runtime can act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// It may work later. The sink has given up retrying for now: the lane stops and goes back to its source.
    Retriable,
    /// This record can never be delivered: too large, unroutable, an illegal topic, unconvertible. Dead letter.
    Rejected,
    /// Nobody said what became of it. Treated as retriable.
    Abandoned,
}

/// Why a record was not delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What to do about it.
    pub kind: FailureKind,
    /// Of a record that may be deliverable later: what stands in the way. As of any other [`Error`], the task shows as failed
    /// and tries again slowly if that [needs a person](ErrorKind::needs_a_person).
    pub cause: ErrorKind,
    /// Which part refused it, in Kafka Connect's words (`TRANSFORMATION`, `TASK_PUT`, `KAFKA_PRODUCE`).
    pub stage: &'static str,
    /// What went wrong, for people; goes into the dead letter's headers.
    pub reason: Arc<str>,
}

impl Failure {
    /// A record that can never be delivered.
    pub fn rejected(stage: &'static str, reason: impl Into<Arc<str>>) -> Self {
        Self { kind: FailureKind::Rejected, cause: ErrorKind::Refused, stage, reason: reason.into() }
    }

    /// A record that may be deliverable later, by itself.
    pub fn retriable(stage: &'static str, reason: impl Into<Arc<str>>) -> Self {
        Self { kind: FailureKind::Retriable, cause: ErrorKind::Disconnected, stage, reason: reason.into() }
    }

    /// A record that may be deliverable once what ended the sink is over.
    pub fn ended(stage: &'static str, error: &Error) -> Self {
        Self::retriable(stage, error.chain()).because(error.kind())
    }

    /// The same for that cause.
    #[must_use]
    pub fn because(self, cause: ErrorKind) -> Self {
        Self { cause, ..self }
    }
}
