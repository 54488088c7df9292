//! No interface: what the fuzz targets in `fuzz/` reach of this crate. It changes without notice.

use gantry_sdk::{Record, Value};
use lapin::{message::Delivery, types::AMQPValue};

use crate::convert;

/// The record that a delivery from that queue becomes.
pub fn record(queue: &str, delivery: Delivery) -> Record {
    convert::Converter::new(queue).record(delivery)
}

/// A field value of AMQP as ours.
pub fn from_amqp(value: &AMQPValue) -> Value {
    convert::from_amqp(value)
}

/// Our value as one of AMQP.
///
/// # Errors
/// What AMQP 0-9-1 cannot hold.
pub fn to_amqp(value: &Value) -> Result<AMQPValue, String> {
    convert::to_amqp(value)
}
