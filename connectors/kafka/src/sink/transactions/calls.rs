//! librdkafka's transactional calls. They block; one at a time.

use std::time::{Duration, Instant};

use gantry_sdk::{Error, Result};
use rdkafka::{
    error::KafkaError,
    producer::{BaseRecord, Producer as _},
    types::RDKafkaErrorCode as Code,
};

use super::position::PositionRecord;
use crate::{
    error,
    sink::{
        delivery::Token,
        sink_state::{SinkState, closing},
        transaction_state::TransactionState,
    },
};

/// How long one call may take before it is seen whether it is still wanted. librdkafka goes on with it at the next.
const SLICE: Duration = Duration::from_millis(500);
/// How long an abort may take.
const ABORT: Duration = Duration::from_secs(3);
/// Between two looks whether the positions are there.
const LOOK: Duration = Duration::from_millis(20);
/// librdkafka counts a record until shortly after its report.
const SETTLING: Duration = Duration::from_micros(200);

/// Fences older producers of the same transactional id, and aborts what they left open.
pub(super) fn init(shared: &SinkState) -> Result<()> {
    let state = state_of(shared)?;
    repeat(shared, state, opening_deadline(shared), "asking Kafka for a transactional producer", || {
        shared.producer().init_transactions(SLICE)
    })
}

/// Until when a step of the opening may last that begins now.
pub(super) fn opening_deadline(shared: &SinkState) -> Instant {
    Instant::now() + shared.writer.plan.connect_timeout().max(SLICE)
}

/// Begins a transaction; nothing is asked of the broker yet.
pub(super) fn begin(shared: &SinkState, state: &TransactionState) -> Result<()> {
    alive(shared)?;
    shared.producer().begin_transaction().map_err(|failed| meaning(shared, state, "beginning a transaction", &failed))
}

/// Produces the positions, and commits.
pub(super) fn commit(shared: &SinkState, state: &TransactionState, positions: &[PositionRecord]) -> Result<()> {
    alive(shared)?;
    let deadline = Instant::now() + state.timeout();
    for position in positions {
        send(shared, state, position)?;
    }
    // Tells librdkafka not to linger; the poll thread serves the reports. The commit's own wait for them is much coarser.
    while shared.producer().flush(Duration::ZERO).is_err() && Instant::now() < deadline {
        if state.wait_for_positions(LOOK) {
            std::thread::sleep(SETTLING);
        }
        alive(shared)?;
        wanted(shared, state)?;
    }
    repeat(shared, state, deadline, "committing the transaction", || shared.producer().commit_transaction(SLICE))
}

/// Aborts the open transaction.
pub(super) fn abort(shared: &SinkState, state: &TransactionState) -> Result<()> {
    let aborted = shared.producer().abort_transaction(ABORT);
    aborted.map_err(|failed| meaning(shared, state, "aborting the transaction", &failed))
}

fn send(shared: &SinkState, state: &TransactionState, position: &PositionRecord) -> Result<()> {
    let Some(identity) = &shared.writer.plan.identity else { return Ok(()) };
    state.position_sent();
    shared.delivery.sending();
    let record = BaseRecord {
        topic: &identity.topic,
        partition: Some(0),
        payload: Some(position.value.as_bytes()),
        key: Some(position.key.as_bytes()),
        timestamp: None,
        headers: None,
        delivery_opaque: Token::POSITION.to_opaque(shared.seat().number),
    };
    shared.producer().send(record).map_err(|(failed, _)| {
        state.position_reported();
        shared.delivery.not_sent();
        let code = failed.rdkafka_error_code().unwrap_or(Code::Unknown);
        let failure = state.failure(code, &identity.topic);
        Error::new(failure.cause, format!("storing positions: {}", failure.reason))
    })
}

/// Calls until it is done, cannot be done, or is not wanted any more. A call that ran out of time is called again, and goes on.
fn repeat(
    shared: &SinkState,
    state: &TransactionState,
    deadline: Instant,
    doing: &str,
    call: impl Fn() -> Result<(), KafkaError>,
) -> Result<()> {
    loop {
        alive(shared)?;
        wanted(shared, state)?;
        let Err(failed) = call() else { return Ok(()) };
        alive(shared)?;
        if Instant::now() >= deadline || !goes_on(&failed) {
            return Err(meaning(shared, state, doing, &failed));
        }
    }
}

fn goes_on(failed: &KafkaError) -> bool {
    match failed {
        KafkaError::Flush(Code::OperationTimedOut) => true,
        KafkaError::Transaction(failed) => failed.is_retriable() && !failed.is_fatal() && !failed.txn_requires_abort(),
        _ => false,
    }
}

fn meaning(shared: &SinkState, state: &TransactionState, doing: &str, failed: &KafkaError) -> Error {
    let refusal = shared.producer().client_state.errors().refusal;
    match failed {
        KafkaError::Transaction(own) if own.code() != Code::OperationTimedOut => {
            let error = state.failed(own);
            Error::new(error.kind(), format!("{doing}: {}", error.chain()))
        }
        other => match refusal {
            Some(refusal) => Error::new(gantry_sdk::ErrorKind::Refused, format!("{doing}: {refusal}")),
            None => Error::disconnected(format!("{doing}: Kafka does not answer ({})", error::plain(other))),
        },
    }
}

/// The sink gave up: its reason says more than what a call would.
fn alive(shared: &SinkState) -> Result<()> {
    match shared.delivery.stopped() {
        Some(failure) => Err(Error::new(failure.cause, &*failure.reason)),
        None => Ok(()),
    }
}

fn wanted(shared: &SinkState, state: &TransactionState) -> Result<()> {
    if state.closes() {
        return Err(closing());
    }
    shared.wanted()
}

fn state_of(shared: &SinkState) -> Result<&TransactionState> {
    let state = shared.delivery.transaction().map(AsRef::as_ref);
    state.ok_or_else(|| Error::internal("the sink has no transactions"))
}
