//! A sink goes on with another producer when the one that it shared breaks up.
//!
//! It is halted since, and everything that librdkafka had of it came back. A sink whose batch was refused gets a producer of its own and
//! finds the record there ([`super::recovery`]), where it takes nobody along. Any other goes where its neighbours go, sends again what it
//! holds, in order, and only then takes new records (I5). One that has failed or closed stays where it is.

use std::{
    collections::VecDeque,
    sync::{Arc, PoisonError},
    time::Duration,
};

use gantry_sdk::Failure;

use super::{
    delivery::{Delivery, Token},
    members::Member,
    pool::{Pool, Seat},
    sending::Sender,
    sink_state::SinkState,
    stage::STAGE,
    writer::{Obstacle, Stamp},
};
use crate::headers::Scratch;

/// Between two looks whether librdkafka's queue has room.
const LOOK: Duration = Duration::from_millis(2);

impl Member for SinkState {
    fn delivery(&self) -> &Arc<Delivery> {
        &self.delivery
    }

    fn recover(&self) {
        self.step_recovery();
    }

    fn move_on(self: Arc<Self>) {
        // The next producer may break up in the middle of this: its thread waits here.
        let _moving = self.moving.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.delivery.is_recovering() {
            return;
        }
        let alone = self.delivery.was_refused();
        if !alone && let Some(failure) = self.delivery.overdue() {
            self.delivery.stop(failure);
            return;
        }
        let plan = &self.writer.plan;
        let spec = plan.producer_spec(self.batch, !alone);
        let mut taken = None;
        let joined = plan.context.shared.get_or_default::<Pool>().join(&spec, None, true, &mut |seat| {
            taken = Some(seat);
            Arc::clone(&self)
        });
        let (Ok(_), Some(seat)) = (&joined, taken) else {
            if let Err(error) = &joined {
                self.delivery.stop(Failure::ended(STAGE, error));
            }
            return;
        };
        self.delivery.restart_pace();
        self.take_seat(seat.clone());
        if alone {
            tracing::info!(
                bridge = &*plan.context.bridge,
                "Kafka refused a batch: the sink goes on with a producer of its own"
            );
        } else {
            send_again(&self, &seat);
        }
        seat.producer.wake();
    }
}

/// Sends what is held. When that producer breaks up as well, what is left is held again, for whoever moves the sink next.
fn send_again(sink: &SinkState, seat: &Seat) {
    let delivery = &*sink.delivery;
    let _gate = delivery.gate();
    let sender = Sender { writer: &sink.writer, delivery, seat };
    let mut scratch = Scratch::default();
    let mut pending: VecDeque<Token> = delivery.take_held().into_iter().map(|held| held.token).collect();
    sink.writer.times.tick();
    while let Some(token) = pending.front().copied() {
        if !delivery.is_recovering() || !seat.producer.is_open() {
            break;
        }
        match sender.send_again(token, Stamp::Own, &mut scratch) {
            Ok(()) => {}
            Err(Obstacle::Full | Obstacle::Unknown(_)) => {
                seat.producer.wake();
                std::thread::sleep(LOOK);
                continue;
            }
            Err(Obstacle::TooLarge(failure) | Obstacle::Failed(failure)) => delivery.refuse(token, failure),
        }
        pending.pop_front();
    }
    delivery.hold_again(pending);
    delivery.resume_if(|| seat.producer.is_open());
}
