//! Keeps the source's health true while it runs. librdkafka reconnects by itself and says little: an error is a reason to
//! ask the cluster.

use std::time::{Duration, Instant};

use gantry_sdk::{Error, ErrorKind, health::Condition};
use rdkafka::consumer::Consumer as _;

use super::{events::Consumer, plan::Plan};
use crate::{
    client::{ANY_TOPIC, LOCKED_OUT},
    error,
};

/// How often it looks.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long asking the cluster may take; events wait for so long.
const PROBE: Duration = Duration::from_secs(1);

pub(super) struct Watch {
    looked: Instant,
    down_since: Option<Instant>,
}

impl Watch {
    pub(super) fn new() -> Self {
        Self { looked: Instant::now(), down_since: None }
    }

    /// Looks, if it is time to. The error is that this instance will not work again.
    pub(super) fn look(&mut self, consumer: &Consumer, plan: &Plan) -> Result<(), Error> {
        if self.looked.elapsed() < INTERVAL {
            return Ok(());
        }
        self.looked = Instant::now();
        let chatter = &consumer.context().voice.chatter;
        if !chatter.take_suspicion() && self.down_since.is_none() {
            return Ok(());
        }
        let topic = plan.options.named().next().unwrap_or(ANY_TOPIC);
        let Err(failed) = consumer.fetch_metadata(Some(topic), PROBE) else {
            self.down_since = None;
            chatter.forgive();
            plan.context.health.set(Condition::Up);
            return Ok(());
        };
        let trouble = chatter.trouble();
        let refused = trouble.refusal.is_some();
        let why = trouble.refusal.or(trouble.transport).unwrap_or_else(|| error::plain(&failed));
        let reason = format!("no connection to Kafka at {}: {why}", plan.options.connection.address());
        let since = *self.down_since.get_or_insert_with(Instant::now);
        if refused && since.elapsed() >= LOCKED_OUT {
            return Err(Error::new(ErrorKind::Refused, reason));
        }
        plan.context.health.set(Condition::Down(reason.into()));
        Ok(())
    }
}
