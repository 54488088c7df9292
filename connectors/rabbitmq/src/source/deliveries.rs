//! The seam to the client library's consumer: the only place that reads deliveries.
//!
//! What it promises, so that a decoder of our own can replace it: deliveries come one by one in the broker's order,
//! already as records; [`Poll::Pending`] means that nothing is here *now* and that the task will be woken; and every
//! way in which a consumer can end is an [`ConsumerEnd`], never silence.
//!
//! lapin yields an error and then `None` when the channel or the connection ends (by the broker, the network or a
//! missing heartbeat), and `None` alone when the broker cancels the consumer.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_util::Stream;
use gantry_sdk::Record;
use lapin::Consumer;

use crate::convert::Converter;

/// What a consumer brings.
pub(super) struct Deliveries {
    consumer: Consumer,
    converter: Converter,
}

/// Why there will be no more.
#[derive(Debug)]
pub(super) enum ConsumerEnd {
    /// The consumer ended and nobody said why: `basic.cancel` from the broker if the channel still stands.
    Cancelled,
    /// Channel or connection ended.
    Failed(lapin::Error),
}

impl Deliveries {
    pub(super) fn new(consumer: Consumer, queue: &str) -> Self {
        Self { consumer, converter: Converter::new(queue) }
    }

    /// Goes on with another consumer of the same queue. The one before has brought its last delivery.
    pub(super) fn follow(&mut self, consumer: Consumer) {
        self.consumer = consumer;
    }

    /// The consumer, to outlive its channel.
    pub(super) fn consumer(&self) -> Consumer {
        self.consumer.clone()
    }

    /// The next delivery that is already here, with its tag.
    pub(super) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<(u64, Record), ConsumerEnd>> {
        Poll::Ready(match ready!(Pin::new(&mut self.consumer).poll_next(context)) {
            // The delivery's own acker goes with it: one acknowledgement covers a whole batch.
            Some(Ok(delivery)) => Ok((delivery.delivery_tag, self.converter.record(delivery))),
            Some(Err(error)) => Err(ConsumerEnd::Failed(error)),
            None => Err(ConsumerEnd::Cancelled),
        })
    }

    /// The tag that the broker knows the consumer by.
    pub(super) fn consumer_tag(&self) -> lapin::types::ShortString {
        self.consumer.tag()
    }
}
