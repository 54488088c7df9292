//! The open transaction: since when it is open, which positions have no report yet, and why it was given up.
//!
//! librdkafka gives a transaction up by itself, and says so only in its log and by the next call. A delivery report has the clearer
//! reason, if there is one; so what the log says counts when no report has ended the sink a moment later.

use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use gantry_sdk::{Error, ErrorKind, Failure};
use rdkafka::{error::RDKafkaError, types::RDKafkaErrorCode as Code};

use super::transaction_identity::Identity;
use crate::{
    client::without_thread,
    error::{self, Meaning},
    sink::STAGE,
};

/// The facility of librdkafka's log lines that say why a transaction was given up.
const FACILITY: &str = "TXNERR";
/// How long a delivery report may take that says it better.
const REPORT: Duration = Duration::from_millis(100);

/// What the sink, its poll thread and librdkafka's callbacks know of the transaction.
#[derive(Debug)]
pub(in crate::sink) struct TransactionState {
    id: String,
    timeout: Duration,
    inner: Mutex<Inner>,
    /// A position was reported.
    reported: Condvar,
}

#[derive(Debug, Default)]
struct Inner {
    begun: Option<Instant>,
    given_up: Option<(Instant, Failure)>,
    unreported: usize,
    closing: bool,
}

impl TransactionState {
    pub(in crate::sink) fn new(identity: &Identity) -> Self {
        Self {
            id: identity.transactional_id.clone(),
            timeout: identity.timeout,
            inner: Mutex::default(),
            reported: Condvar::new(),
        }
    }

    pub(in crate::sink) fn has_begun(&self) {
        self.lock().begun = Some(Instant::now());
    }

    pub(in crate::sink) fn has_ended(&self) {
        self.lock().begun = None;
    }

    pub(in crate::sink) fn is_open(&self) -> bool {
        self.lock().begun.is_some()
    }

    /// No call is to be waited for any more.
    pub(in crate::sink) fn is_closing(&self) {
        self.lock().closing = true;
    }

    pub(in crate::sink) fn closes(&self) -> bool {
        self.lock().closing
    }

    /// How long a transaction may last.
    pub(in crate::sink) const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// A position is with librdkafka.
    pub(in crate::sink) fn position_sent(&self) {
        self.lock().unreported += 1;
    }

    /// A report on a position, good or bad.
    pub(in crate::sink) fn position_reported(&self) {
        let mut inner = self.lock();
        inner.unreported = inner.unreported.saturating_sub(1);
        self.reported.notify_all();
    }

    /// Waits until every position has its report; `false` when that takes longer.
    pub(in crate::sink) fn wait_for_positions(&self, time: Duration) -> bool {
        let waited = self.reported.wait_timeout_while(self.lock(), time, |inner| inner.unreported > 0);
        waited.unwrap_or_else(PoisonError::into_inner).0.unreported == 0
    }

    /// librdkafka wrote a log line.
    pub(in crate::sink) fn line(&self, facility: &str, text: &str) {
        if facility != FACILITY {
            return;
        }
        let (reason, name) = take_apart(without_thread(text));
        let error = self.error(name, reason);
        let mut inner = self.lock();
        inner.given_up.get_or_insert_with(|| (Instant::now(), Failure::ended(STAGE, &error)));
    }

    /// Why librdkafka gave the transaction up, when no report said so.
    pub(in crate::sink) fn given_up(&self) -> Option<Failure> {
        let inner = self.lock();
        let (since, failure) = inner.given_up.as_ref()?;
        (since.elapsed() >= REPORT).then(|| failure.clone())
    }

    /// What it means that a record of the transaction was not delivered to `topic`: the end of the transaction, and of the sink.
    pub(in crate::sink) fn failure(&self, code: Code, topic: &str) -> Failure {
        if is_fence(code) {
            return Failure::ended(STAGE, &self.fenced());
        }
        let known = self.lock().given_up.as_ref().map(|(_, failure)| failure.clone());
        let (kind, reason) = match error::meaning(code) {
            // Taken back because of something else.
            Meaning::Purged if let Some(known) = known => return known,
            Meaning::BadBatch | Meaning::Rejected | Meaning::Denied => (ErrorKind::Refused, error::reason(code, topic)),
            Meaning::NoTopic => (ErrorKind::Missing, error::missing_topic(topic)),
            Meaning::NoPartition => (ErrorKind::Missing, error::reason(code, topic)),
            Meaning::Purged | Meaning::GivenUp => (ErrorKind::Disconnected, error::reason(code, topic)),
        };
        Failure::ended(STAGE, &Error::new(kind, aborted(&reason)))
    }

    /// What an error of a transactional call means, or of the producer as a whole.
    pub(in crate::sink) fn failed(&self, failed: &RDKafkaError) -> Error {
        self.error(&failed.name(), &failed.string())
    }

    /// The producer will never work again, for this code.
    pub(in crate::sink) fn fatal(&self, code: Code, reason: &str) -> Error {
        if is_fence(code) { self.fenced() } else { Error::disconnected(aborted(reason)) }
    }

    fn error(&self, name: &str, reason: &str) -> Error {
        match name {
            "_FENCED" | "PRODUCER_FENCED" | "INVALID_PRODUCER_EPOCH" => self.fenced(),
            "TRANSACTIONAL_ID_AUTHORIZATION_FAILED" => Error::new(
                ErrorKind::Refused,
                format!(
                    "not authorised for the transactional id \"{0}\": grant WRITE and DESCRIBE on it \
                     (kafka-acls.sh --add --operation Write --operation Describe --transactional-id {0} …)",
                    self.id
                ),
            ),
            "TOPIC_AUTHORIZATION_FAILED" | "CLUSTER_AUTHORIZATION_FAILED" => {
                Error::new(ErrorKind::Refused, aborted(reason))
            }
            "INVALID_TRANSACTION_TIMEOUT" => Error::config(
                "Kafka takes no transactions as long as transaction.timeout.ms: lower it, or raise the brokers' \
                 transaction.max.timeout.ms",
            ),
            "_UNSUPPORTED_FEATURE" => Error::config(format!("this Kafka has no transactions: {reason}")),
            _ => Error::disconnected(aborted(reason)),
        }
    }

    /// Kafka does not tell the two reasons apart; the time does.
    fn fenced(&self) -> Error {
        let lasted = self.lock().begun.map(|begun| begun.elapsed());
        if lasted.is_some_and(|lasted| lasted >= self.timeout) {
            return Error::disconnected(format!(
                "the transaction lasted longer than transaction.timeout.ms ({} ms), so Kafka aborted it",
                self.timeout.as_millis()
            ));
        }
        Error::new(
            ErrorKind::Refused,
            format!(
                "another instance took over the transactional id \"{}\": the same bridge runs elsewhere; stop one of them, or give \
                 one a transactional_id of its own",
                self.id
            ),
        )
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Each field is whole by itself, whatever panicked while holding it.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const fn is_fence(code: Code) -> bool {
    matches!(code, Code::Fenced | Code::ProducerFenced | Code::InvalidProducerEpoch)
}

fn aborted(reason: &str) -> String {
    format!("the transaction is aborted: {reason}")
}

/// The reason and the error's name out of librdkafka's line.
fn take_apart(text: &str) -> (&str, &str) {
    let text = match text.split_once("Current transaction failed in state ") {
        Some((_, rest)) => rest.split_once(": ").map_or(rest, |(_, reason)| reason),
        None => text.strip_prefix("Fatal transaction error: ").unwrap_or(text),
    };
    let Some((reason, names)) = text.rsplit_once(" (") else { return (text, "") };
    let names = names.trim_end_matches(')');
    (reason, names.split_once(',').map_or(names, |(name, _)| name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(timeout: Duration) -> TransactionState {
        use crate::sink::transaction_identity::Owner;
        TransactionState::new(&Identity {
            transactional_id: "gantry-orders-0".into(),
            owner: Owner::Bridge("orders".into()),
            topic: "positions".into(),
            timeout,
        })
    }

    #[test]
    fn the_log_is_taken_apart() {
        for (text, expected) in [
            (
                "Current transaction failed in state InTransaction: Failed to add (after 0 ms) (INVALID_TXN_STATE, requires epoch bump)",
                ("Failed to add (after 0 ms)", "INVALID_TXN_STATE"),
            ),
            ("Fatal transaction error: fenced by newer instance (_FENCED)", ("fenced by newer instance", "_FENCED")),
            ("something else", ("something else", "")),
        ] {
            assert_eq!(take_apart(text), expected);
        }
    }

    #[test]
    fn a_fence_is_another_instance_unless_the_time_was_over() {
        let long = state(Duration::from_secs(60));
        long.has_begun();
        let failure = long.failure(Code::InvalidProducerEpoch, "orders");
        assert_eq!(failure.cause, ErrorKind::Refused);
        assert!(failure.reason.contains("gantry-orders-0") && failure.reason.contains("another instance"));
        let short = state(Duration::ZERO);
        short.has_begun();
        assert_eq!(short.failure(Code::InvalidProducerEpoch, "orders").cause, ErrorKind::Disconnected);
    }

    #[test]
    fn what_was_taken_back_has_the_reason_of_the_log() {
        let state = state(Duration::from_secs(60));
        state.line("FAIL", "Fatal transaction error: no (_FENCED)");
        state.line(FACILITY, "[thrd:main]: Current transaction failed in state InTransaction: no way (UNKNOWN)");
        let failure = state.failure(Code::PurgeQueue, "orders");
        assert_eq!(&*failure.reason, "the transaction is aborted: no way");
    }
}
