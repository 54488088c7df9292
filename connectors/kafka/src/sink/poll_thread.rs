//! The thread that serves a producer's events: delivery reports, errors, log lines.
//!
//! librdkafka calls nobody by itself; this thread asks it, and callbacks run here. It also sends again after a refused
//! batch ([`super::recovery`]), breaks a producer up that is shared ([`super::break_up`]), and keeps the health of its sinks true
//! ([`super::watch`]). It ends when the last sink has left, or when the producer has broken up.

use std::{sync::Arc, thread, time::Duration};

use gantry_sdk::{Error, Result};
use rdkafka::producer::Producer as _;

use super::{break_up, delivery::Reach, members::Member, producer::ProducerState, watch::Watch};

/// How long one look for events takes. Events are served as they come; it is also how long a stop may wait.
///
/// A little more than whole milliseconds: rdkafka asks librdkafka to wait for whole ones only (`BaseProducer::poll`), and spins through what is left
/// of the last.
const TURN: Duration = Duration::from_micros(50_100);

/// How long one look takes while a sink sends again.
const STEP: Duration = Duration::from_millis(2);

/// How long it rests while nothing is on its way. What librdkafka says meanwhile, of a broker that goes or comes, can wait.
const REST: Duration = Duration::from_secs(1);

/// Starts serving.
pub(super) fn start(producer: Arc<ProducerState>) -> Result<()> {
    // The bridge's name, or the client's. Linux shows 15 bytes of it.
    let who = producer.spec.who.split(['/', ' ']).next().unwrap_or_default();
    let name = format!("kafka {who}").chars().take(15).collect();
    thread::Builder::new()
        .name(name)
        .spawn(move || serve(&producer))
        .map(drop)
        .map_err(|error| Error::internal(format!("starting the thread that serves librdkafka: {error}")))
}

fn serve(producer: &Arc<ProducerState>) {
    producer.serve_here();
    let mut watch = Watch::new(producer.is_successor);
    while !producer.members.close_if_empty() {
        if !producer.is_open() {
            break_up::run(producer);
            return;
        }
        if producer.is_idle() {
            thread::park_timeout(REST);
            producer.serve(Duration::ZERO);
        } else {
            producer.serve(if is_recovering(producer) { STEP } else { TURN });
        }
        for member in producer.members.all() {
            look_after(producer, &*member);
        }
        watch.look(producer);
    }
}

fn is_recovering(producer: &ProducerState) -> bool {
    !producer.is_shared() && producer.members.all().iter().any(|member| member.delivery().is_recovering())
}

fn look_after(producer: &ProducerState, member: &dyn Member) {
    let delivery = member.delivery();
    // After a stop, too: what was still to be sent again fails with it.
    if !producer.is_shared() && (delivery.is_recovering() || delivery.stopped().is_some()) {
        member.recover();
    }
    if let Some(failure) = delivery.transaction().and_then(|transaction| transaction.given_up()) {
        delivery.stop(failure);
    }
    if delivery.is_halted()
        && delivery.stopped().is_some()
        && producer.in_flight_count() > 0
        && delivery.in_flight() > 0
    {
        // A record may have slipped in while the sink stopped; nobody would ever hear of it.
        delivery.take_back(Reach::Everything);
    }
}
