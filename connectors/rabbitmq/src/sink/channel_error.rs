//! Why RabbitMQ closed a channel, and what is at fault: one record, or the options.
//!
//! A soft error (AMQP 0-9-1 §1.2) says the reason and not the delivery tag. What was on its way is sent again on a new channel, one
//! message after the other, until the channel closes again: then it was that one.

use gantry_sdk::{Error, ErrorKind};
use lapin::ErrorKind as Lapin;

use super::plan::Plan;
use crate::error::{During, translate};

/// What a closed channel means.
#[derive(Debug)]
pub(super) enum ChannelError {
    /// A message that was on its way; the text says what is wrong with it.
    Record(String),
    /// Everything that this sink publishes, or the connection.
    Sink(Error),
}

/// Judges the error that a channel ended with.
pub(super) fn judge(error: &lapin::Error, plan: &Plan, place: &str) -> ChannelError {
    let doing = || format!("publishing to {place}");
    let Lapin::ProtocolError(reply) = error.kind() else {
        return ChannelError::Sink(translate(error, During::Running, doing()));
    };
    let (code, text) = (reply.get_id(), reply.get_message().to_string());
    let refused = || ChannelError::Record(format!("RabbitMQ refused it: {code} {text}"));
    let is_fixed = plan.exchange.is_fixed();
    match code {
        404 if is_fixed => {
            ChannelError::Sink(Error::new(ErrorKind::Missing, format!("{}: {code} {text}. {CREATE}", doing())))
        }
        // With "topic" it is about the routing key, which may be another record's own.
        403 if is_fixed && !text.contains("access to topic") => {
            ChannelError::Sink(Error::new(ErrorKind::Refused, format!("{}: {code} {text}", doing())))
        }
        403 | 404 | 406 => refused(),
        _ => ChannelError::Sink(translate(error, During::Running, doing())),
    }
}

/// What a person can do about an exchange that is not there.
pub(super) const CREATE: &str =
    "Create it, or let the bridge create it with `declare: { exchange: { name: …, type: … } }`";
