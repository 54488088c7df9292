//! One queue: a channel with exactly one consumer.
//!
//! The channel makes the lane's acknowledgements its own: a delivery tag counts from 1 on its channel, and this is the only
//! place that has both.

use std::{
    sync::Arc,
    task::{Context, Poll, ready},
};

use futures_util::FutureExt;
use gantry_sdk::{Error, ErrorKind, Record, Result};
use lapin::{
    Channel,
    options::{BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions},
};

use super::{
    GiveBack, SourceOptions,
    deliveries::{Deliveries, End},
};
use crate::{
    connection::Connected,
    error::{During, kind, translate},
};

/// One queue being consumed.
pub(super) struct Lane {
    channel: Channel,
    deliveries: Deliveries,
    queue: Arc<str>,
    /// `host:port, virtual host "…"`, for error messages.
    place: Arc<str>,
    /// The highest tag handed out.
    delivered: u64,
    /// The highest tag acknowledged.
    committed: u64,
    /// Set when the consumer ended behind records that could still be handed out.
    ended: Option<End>,
    /// The length of the last batch: the next one will be much the same.
    usual: usize,
    give_back: GiveBack,
    /// The person chose a place in a stream; without one a stream's consumer starts at its end each time.
    stream_offset_given: bool,
}

/// Records of one poll, and the tag of the last.
pub(super) type Taken = (Vec<Record>, u64);

impl Lane {
    /// Starts consuming. The prefetch is set before, so that the broker never sends more.
    pub(super) async fn open(connected: &Connected, queue: &str, options: &SourceOptions, name: &str) -> Result<Self> {
        let place: Arc<str> = connected.place().into();
        let context = || format!("consuming queue \"{queue}\" on {place}");
        let failed = |error: lapin::Error| match kind(&error, During::SettingUp) {
            ErrorKind::Missing => missing(queue, &place, &connected.vhost),
            _ => translate(&error, During::SettingUp, context()),
        };
        let tag = options.consumer_tag(name).map_err(Error::config)?;
        let arguments = options.consumer_arguments().map_err(Error::config)?;
        let consume = BasicConsumeOptions { exclusive: options.exclusive, ..BasicConsumeOptions::default() };
        let channel = connected.channel().await?;
        // I4, on the broker's side.
        channel.basic_qos(options.prefetch, BasicQosOptions { global: false }).await.map_err(failed)?;
        let consumer = channel.basic_consume(super::name(queue)?, tag, consume, arguments).await.map_err(failed)?;
        Ok(Self {
            channel,
            deliveries: Deliveries::new(consumer, queue),
            queue: queue.into(),
            place,
            delivered: 0,
            committed: 0,
            ended: None,
            usual: 1,
            give_back: options.give_back,
            stream_offset_given: options.arguments.get("x-stream-offset").is_some(),
        })
    }

    /// Takes what is here, up to a count and a size. What a dead channel left behind is not handed out: it could never be
    /// acknowledged, and its messages come again on the next channel.
    pub(super) fn poll_take(&mut self, context: &mut Context<'_>, most: usize, bytes: usize) -> Poll<Result<Taken>> {
        if !self.channel.status().connected() {
            return self.poll_end(context).map(Err);
        }
        if let Some(end) = self.ended.take() {
            return Poll::Ready(Err(self.explain(end)));
        }
        let mut records = Vec::new();
        let mut size = 0;
        while records.len() < most && size < bytes {
            match self.deliveries.poll_next(context) {
                Poll::Pending => break,
                Poll::Ready(Ok((tag, record))) => {
                    if records.is_empty() {
                        records.reserve(self.usual.min(most));
                    }
                    self.delivered = tag;
                    size += record.size();
                    records.push(record);
                }
                Poll::Ready(Err(End::Cancelled)) if !records.is_empty() => {
                    self.ended = Some(End::Cancelled);
                    break;
                }
                Poll::Ready(Err(end)) => return Poll::Ready(Err(self.explain(end))),
            }
        }
        match records.first() {
            None => Poll::Pending,
            Some(first) => match self.refuse_stream(first) {
                Some(error) => Poll::Ready(Err(error)),
                None => {
                    self.usual = records.len();
                    Poll::Ready(Ok((records, self.delivered)))
                }
            },
        }
    }

    /// Why the channel ended, past whatever it left behind.
    fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<Error> {
        loop {
            if let Some(end) = self.ended.take() {
                return Poll::Ready(self.explain(end));
            }
            if let Err(end) = ready!(self.deliveries.poll_next(context)) {
                return Poll::Ready(self.explain(end));
            }
        }
    }

    fn explain(&self, end: End) -> Error {
        let context = format!("consuming queue \"{}\" on {}", self.queue, self.place);
        match end {
            End::Failed(error) => translate(&error, During::Running, context),
            End::Cancelled if self.channel.status().connected() => Error::disconnected(format!(
                "{context}: RabbitMQ cancelled the consumer: the queue was deleted or its leader went away"
            )),
            End::Cancelled => Error::disconnected(format!("{context}: the channel was closed")),
        }
    }

    /// A stream keeps its messages whatever we acknowledge, and its consumer starts at the end of it each time: every
    /// reconnect would skip what came in between. That is for the person to choose, not for us.
    fn refuse_stream(&self, first: &Record) -> Option<Error> {
        let silent_gaps =
            self.committed == 0 && !self.stream_offset_given && first.headers.get("x-stream-offset").is_some();
        silent_gaps.then(|| {
            Error::config(format!(
                "consuming queue \"{}\" on {}: it is a stream, of which every reconnect would skip messages: use an ordinary \
                 queue, or choose where to start with `arguments: {{ x-stream-offset: first }}`",
                self.queue, self.place
            ))
        })
    }

    /// Everything up to and including that tag is settled: one acknowledgement.
    ///
    /// It is put in order behind what was sent before, and not waited for: the client library says only when it is
    /// written, and if it never is, the channel has ended, which the next call reports.
    pub(super) fn commit(&mut self, tag: u64) -> Result<()> {
        let context = || format!("acknowledging messages of queue \"{}\" on {}", self.queue, self.place);
        if !self.channel.status().connected() {
            return Err(Error::disconnected(format!("{}: the channel has ended", context())));
        }
        // I2. A tag acknowledged twice would close the channel.
        if tag <= self.committed {
            return Ok(());
        }
        if tag > self.delivered {
            return Err(Error::internal(format!("{}: {tag} was never delivered", context())));
        }
        let acknowledging = self.channel.basic_ack(tag, BasicAckOptions { multiple: true });
        if let Some(Err(error)) = acknowledging.now_or_never() {
            return Err(translate(&error, During::Running, context()));
        }
        self.committed = tag;
        Ok(())
    }

    /// Ends the channel and with it the consumer, and returns everything not acknowledged, also what was never handed out.
    pub(super) async fn give_back(&self) -> Result<(), lapin::Error> {
        if self.give_back == GiveBack::Nack {
            // The broker's answer comes behind its last delivery: after it nothing more arrives.
            self.channel.basic_cancel(self.deliveries.consumer_tag(), BasicCancelOptions::default()).await?;
            // Tag 0 with multiple: everything outstanding on the channel (AMQP 0-9-1, basic.nack).
            self.channel.basic_nack(0, BasicNackOptions { multiple: true, requeue: true }).await?;
        }
        self.channel.close(200, "the bridge stops".into()).await
    }

    /// Whether the channel still stands.
    pub(super) fn is_alive(&self) -> bool {
        self.channel.status().connected()
    }
}

fn missing(queue: &str, place: &str, vhost: &str) -> Error {
    Error::new(
        ErrorKind::Missing,
        format!(
            "consuming queue \"{queue}\" on {place}: there is no such queue. Create it, for example with `rabbitmqadmin \
             --vhost={vhost} declare queue name={queue} durable=true`, or let the bridge create it with `declare: {{ queue: \
             {{}} }}`"
        ),
    )
}
