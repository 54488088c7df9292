//! After the broker refused a batch: finds the record that it refuses, and sends the others again in order.
//!
//! Kafka takes or refuses a batch as a whole, and librdkafka fails all its records alike. One poisonous record would
//! take its neighbours to the dead letter with it. So nothing new is sent, everything that librdkafka still holds is
//! taken back, and it is sent again in ever smaller portions, each waited for, until the refused portion is one record:
//! that one is rejected. Then the portions grow again. Runs on the poll thread.
//!
//! A record that is refused for its time is no bad record: it is sent once more, with the time of sending.
//!
//! Batches behind the refused one may be on their way already. A broker refuses them for the gap before them, unless the
//! producer is new to the partition: then it takes them. They count as taken back all the same and are written a second
//! time, so that the last write of a key is the latest one (I5).

use std::{collections::VecDeque, sync::atomic::Ordering, time::Duration};

use gantry_sdk::Failure;
use rdkafka::{producer::Producer as _, types::RDKafkaErrorCode};

use super::{
    STAGE,
    delivery::{Held, Reach, Refusal, Token},
    sink_state::SinkState,
    writer::{Obstacle, Stamp},
};
use crate::{error, headers::Scratch};

/// How long one look for reports takes.
const STEP: Duration = Duration::from_millis(2);

/// Sends again what was taken back, and rejects what the broker refuses. Returns early when the sink stops or closes.
pub(super) fn run(shared: &SinkState) {
    let _gate = shared.delivery.gate();
    let mut pending: VecDeque<Token> = VecDeque::new();
    let mut portion = drain(shared, &mut pending);
    let found = pending.len();
    let mut rejected = 0;
    let mut scratch = Scratch::default();
    let mut restamped = None;
    while !pending.is_empty() && !over(shared) {
        let count = portion.clamp(1, pending.len());
        let sent = send(shared, &mut pending, count, restamped, &mut scratch);
        let refused = settle(shared);
        if let ([Held { token, refusal: Some(refusal), .. }], 1) = (refused.as_slice(), sent)
            && restamped != Some(*token)
            && is_untimely(shared, *token, refusal)
        {
            restamped = Some(*token);
            pending.push_front(*token);
            portion = 1;
            continue;
        }
        rejected += usize::from(sent == 1 && refused.iter().any(|held| held.refusal.is_some()));
        portion = next_portion(shared, &mut pending, refused, sent);
    }
    if let Some(failure) = shared.delivery.stopped() {
        pending.into_iter().for_each(|token| shared.delivery.refuse(token, failure.clone()));
        return;
    }
    if !over(shared) {
        tracing::info!(
            bridge = &*shared.writer.plan.context.bridge,
            found,
            rejected,
            "Kafka refused a batch; sent again"
        );
        shared.delivery.resume();
    }
}

/// Waits until librdkafka has nothing left; fills `pending` and says how much of it to send at once.
fn drain(shared: &SinkState, pending: &mut VecDeque<Token>) -> usize {
    while shared.producer().in_flight_count() > 0 && !over(shared) {
        // What was in flight comes back to the queue when the broker refuses it for the gap before it.
        shared.delivery.take_back(Reach::Queued);
        shared.poll(STEP);
    }
    let held = shared.delivery.take_held();
    // The refused batch was one at most: half of it is the first guess.
    let refused = held.iter().filter(|held| held.refusal.is_some()).count();
    pending.extend(held.into_iter().map(|held| held.token));
    refused.div_ceil(2)
}

/// Sends the first `count` records; says how many are with librdkafka now.
fn send(
    shared: &SinkState,
    pending: &mut VecDeque<Token>,
    count: usize,
    restamped: Option<Token>,
    scratch: &mut Scratch,
) -> usize {
    let mut sent = 0;
    shared.writer.times.tick();
    for _ in 0..count {
        let Some(token) = pending.pop_front() else { break };
        let stamp = if restamped == Some(token) { Stamp::Sending } else { Stamp::Own };
        match offer(shared, token, stamp, scratch) {
            Ok(()) => sent += 1,
            // A topic is looked up before its first record is sent, so recovery meets none that is unknown.
            Err(Obstacle::Full | Obstacle::Unknown(_)) => {
                pending.push_front(token);
                break;
            }
            Err(Obstacle::TooLarge(failure) | Obstacle::Failed(failure)) => shared.delivery.refuse(token, failure),
        }
    }
    sent
}

fn offer(shared: &SinkState, token: Token, stamp: Stamp, scratch: &mut Scratch) -> Result<(), Obstacle> {
    // The slot stays until its last record is accounted for, and this one is not.
    let Some(records) = shared.delivery.records(token) else { return Ok(()) };
    let record = &records[token.index() as usize];
    let destination = shared.writer.destination(record).map_err(Obstacle::Failed)?;
    shared.writer.send(record, destination.name(), token, stamp, scratch)
}

/// Waits for the reports of everything that was sent; yields what came back.
fn settle(shared: &SinkState) -> Vec<Held> {
    while shared.producer().in_flight_count() > 0 && !over(shared) {
        if shared.delivery.was_refused() {
            shared.delivery.take_back(Reach::Queued);
        }
        shared.poll(STEP);
    }
    shared.delivery.take_held()
}

/// Rejects the record that was refused alone, or puts what came back in front of the rest. Says how much to send next.
fn next_portion(shared: &SinkState, pending: &mut VecDeque<Token>, back: Vec<Held>, sent: usize) -> usize {
    if let ([Held { token, refusal: Some(refusal), .. }], 1) = (back.as_slice(), sent) {
        shared.delivery.refuse(*token, verdict(shared, refusal));
        return 1;
    }
    let refused = back.iter().any(|held| held.refusal.is_some());
    let next = if refused { back.len().div_ceil(2) } else { sent.max(1) * 2 };
    for held in back.into_iter().rev() {
        pending.push_front(held.token);
    }
    next
}

/// Whether the broker refuses this record for a time of its own, which is not the record's fault.
fn is_untimely(shared: &SinkState, token: Token, Refusal { code, .. }: &Refusal) -> bool {
    if *code != RDKafkaErrorCode::InvalidTimestamp {
        return false;
    }
    let records = shared.delivery.records(token);
    let record = records.as_ref().and_then(|records| records.get(token.index() as usize));
    let time = record.and_then(|record| shared.writer.time_of(record));
    time.inspect(|time| shared.writer.times.refused(*time)).is_some()
}

/// What it means that the broker refuses this record alone. If it is for its time, that is by now this machine's: not its
/// fault, and it is delivered once the clocks agree.
fn verdict(shared: &SinkState, Refusal { code, topic }: &Refusal) -> Failure {
    match code {
        RDKafkaErrorCode::InvalidTimestamp => Failure::retriable(STAGE, error::wrong_clock(topic)),
        RDKafkaErrorCode::MessageSizeTooLarge => {
            shared.writer.doubt_limit();
            Failure::rejected(STAGE, error::reason(*code, topic))
        }
        code => Failure::rejected(STAGE, error::reason(*code, topic)),
    }
}

fn over(shared: &SinkState) -> bool {
    shared.stopping.load(Ordering::Relaxed) || !shared.delivery.is_recovering()
}
