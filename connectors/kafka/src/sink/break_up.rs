//! The end of a producer that is shared, after one of its sinks has got into trouble, or itself.
//!
//! # What it promises
//! - What is not sent comes back and is held; what is on its way is answered first. Only when a broker is silent for long it is taken back
//!   as well, and then it is sent again, perhaps twice.
//! - Everything has come back before a sink goes on elsewhere, so nothing of it is overtaken by what follows (I5).
//! - A sink that is not in trouble itself loses nothing, fails nothing and keeps its order.
//!
//! Nobody but the sinks of this producer waits for it: it is served by a thread of its own.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use gantry_sdk::Failure;
use rdkafka::producer::Producer as _;

use super::{delivery::Reach, producer::ProducerState, stage::STAGE};

/// How long one look for reports takes.
const STEP: Duration = Duration::from_millis(2);
/// How long an answer to what is on its way may take.
const ANSWERS: Duration = Duration::from_secs(10);
/// How long it may take until what was taken back has come back. librdkafka does it at once.
const REPORTS: Duration = Duration::from_secs(10);

/// Breaks the producer up. Its thread has nothing else to do any more.
pub(super) fn run(producer: &ProducerState) {
    // Here and nowhere else: who is halted is moved by this thread, and only after that.
    let members = producer.members.all();
    members.iter().for_each(|member| member.delivery().halt());
    // Whoever is sending sees the halt and stops: what librdkafka has now is all there will be.
    members.iter().for_each(|member| member.delivery().wait_for_sender());
    drop(members);
    drain(producer);
    producer.is_drained();
    for member in producer.members.all() {
        Arc::clone(&member).move_on();
    }
}

fn drain(producer: &ProducerState) {
    let begun = Instant::now();
    while producer.in_flight_count() > 0 {
        let members = producer.members.all();
        // For those that have failed, or are gone, no answer counts.
        let matters =
            members.iter().any(|member| member.delivery().is_recovering() && member.delivery().in_flight() > 0);
        let reach = if matters && begun.elapsed() < ANSWERS { Reach::Queued } else { Reach::Everything };
        // Again and again: what was on its way comes back to the queue when it is to be tried again.
        producer.take_back_now(reach);
        producer.serve(STEP);
        if begun.elapsed() >= ANSWERS + REPORTS {
            // Without their reports nobody knows what became of them: the sinks end, and their successors send them again.
            let missing = members.iter().filter(|member| member.delivery().in_flight() > 0);
            missing.for_each(|member| member.delivery().stop(Failure::retriable(STAGE, UNREPORTED)));
            return;
        }
    }
}

const UNREPORTED: &str = "the client library does not say what became of records that were taken back";
