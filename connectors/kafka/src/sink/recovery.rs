//! After the broker refused a batch: finds the record that it refuses, and sends the others again in order.
//!
//! Kafka takes or refuses a batch as a whole, and librdkafka fails all its records alike. One poisonous record would
//! take its neighbours to the dead letter with it. So nothing new is sent, everything that librdkafka still holds is
//! taken back, and it is sent again in ever smaller portions, each waited for, until the refused portion is one record:
//! that one is rejected. Then the portions grow again. It needs a producer for itself, and goes on a step at a time on the thread that
//! serves it.
//!
//! A record that is refused for its time is no bad record: it is sent once more, with the time of sending.
//!
//! Batches behind the refused one may be on their way already. A broker refuses them for the gap before them, unless the
//! producer is new to the partition: then it takes them. They count as taken back all the same and are written a second
//! time, so that the last write of a key is the latest one (I5).

use std::collections::VecDeque;

use gantry_sdk::Failure;
use rdkafka::{producer::Producer as _, types::RDKafkaErrorCode};

use super::{
    delivery::{Held, Reach, Refusal, Token},
    sending::Sender,
    stage::STAGE,
    writer::{Obstacle, Stamp, Writer},
};
use crate::{error, headers::Scratch};

/// A recovery that goes on.
#[derive(Default)]
pub(super) struct Recovery {
    /// What is to be sent again, in order.
    pending: VecDeque<Token>,
    /// How many are sent next.
    portion: usize,
    /// How many are on their way; `None`: what came before is still taken back.
    sent: Option<usize>,
    /// Refused for its time, and sent again with another.
    restamped: Option<Token>,
    found: usize,
    rejected: usize,
    scratch: Scratch,
}

impl Recovery {
    /// Does what can be done without waiting; says whether it is over. The reports that have come are taken in.
    pub(super) fn step(&mut self, sender: &Sender<'_>) -> bool {
        let delivery = sender.delivery;
        if !delivery.is_recovering() {
            if let Some(failure) = delivery.stopped() {
                self.pending.drain(..).for_each(|token| delivery.refuse(token, failure.clone()));
            }
            return true;
        }
        if self.sent.is_none() {
            // Whoever is sending sees the halt and stops: nothing slips in behind what is taken back.
            delivery.wait_for_sender();
        }
        if sender.seat.producer.in_flight_count() > 0 {
            // What was in flight comes back to the queue when the broker refuses it for the gap before it.
            if self.sent.is_none() || delivery.was_refused() {
                delivery.take_back(Reach::Queued);
            }
            return false;
        }
        match self.sent {
            None => self.begin(delivery.take_held()),
            Some(sent) => self.settle(sender, delivery.take_held(), sent),
        }
        if !delivery.is_recovering() {
            // The record that was refused alone has stopped the sink.
            return self.step(sender);
        }
        if self.pending.is_empty() {
            tracing::info!(
                bridge = &*sender.writer.plan.context.bridge,
                found = self.found,
                rejected = self.rejected,
                "Kafka refused a batch; sent again"
            );
            delivery.resume();
            return true;
        }
        self.sent = Some(self.send(sender));
        false
    }

    fn begin(&mut self, held: Vec<Held>) {
        // The refused batch was one at most: half of it is the first guess.
        self.portion = held.iter().filter(|held| held.refusal.is_some()).count().div_ceil(2);
        self.found = held.len();
        self.pending.extend(held.into_iter().map(|held| held.token));
    }

    /// Sends the next records; says how many are with librdkafka now.
    fn send(&mut self, sender: &Sender<'_>) -> usize {
        let mut sent = 0;
        sender.writer.times.tick();
        for _ in 0..self.portion.clamp(1, self.pending.len()) {
            let Some(token) = self.pending.pop_front() else { break };
            let stamp = if self.restamped == Some(token) { Stamp::Sending } else { Stamp::Own };
            match sender.send_again(token, stamp, &mut self.scratch) {
                Ok(()) => sent += 1,
                // A topic is looked up before its first record is sent, so recovery meets none that is unknown.
                Err(Obstacle::Full | Obstacle::Unknown(_)) => {
                    self.pending.push_front(token);
                    break;
                }
                Err(Obstacle::TooLarge(failure) | Obstacle::Failed(failure)) => sender.delivery.refuse(token, failure),
            }
        }
        sent
    }

    /// All reports of a portion have come, and so much of it came back: rejects the record that was refused alone, or puts what came
    /// back in front of the rest.
    fn settle(&mut self, sender: &Sender<'_>, back: Vec<Held>, sent: usize) {
        if let ([Held { token, refusal: Some(refusal), .. }], 1) = (back.as_slice(), sent) {
            if self.restamped != Some(*token) && is_untimely(sender, *token, refusal) {
                self.restamped = Some(*token);
                self.pending.push_front(*token);
            } else {
                self.rejected += 1;
                sender.delivery.refuse(*token, verdict(sender.writer, refusal));
            }
            self.portion = 1;
            return;
        }
        let refused = back.iter().any(|held| held.refusal.is_some());
        self.portion = if refused { back.len().div_ceil(2) } else { sent.max(1) * 2 };
        for held in back.into_iter().rev() {
            self.pending.push_front(held.token);
        }
    }
}

/// Whether the broker refuses this record for a time of its own, which is not the record's fault.
fn is_untimely(sender: &Sender<'_>, token: Token, Refusal { code, .. }: &Refusal) -> bool {
    if *code != RDKafkaErrorCode::InvalidTimestamp {
        return false;
    }
    let records = sender.delivery.records(token);
    let record = records.as_ref().and_then(|records| records.get(token.index() as usize));
    let time = record.and_then(|record| sender.writer.time_of(record));
    time.inspect(|time| sender.writer.times.refused(*time)).is_some()
}

/// What it means that the broker refuses this record alone. If it is for its time, that is by now this machine's: not its
/// fault, and it is delivered once the clocks agree.
fn verdict(writer: &Writer, Refusal { code, topic }: &Refusal) -> Failure {
    match code {
        RDKafkaErrorCode::InvalidTimestamp => Failure::retriable(STAGE, error::wrong_clock(topic)),
        RDKafkaErrorCode::MessageSizeTooLarge => {
            writer.doubt_limit();
            Failure::rejected(STAGE, error::reason(*code, topic))
        }
        code => Failure::rejected(STAGE, error::reason(*code, topic)),
    }
}
