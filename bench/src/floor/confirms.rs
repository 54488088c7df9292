//! What RabbitMQ has not confirmed yet: a bounded window, in the order of publishing.

use std::collections::VecDeque;

use anyhow::{Context as _, Result, bail};
use futures_util::{
    FutureExt as _,
    future::{BoxFuture, pending, ready},
};
use lapin::Confirmation;

/// Publishes a message and waits for its confirm.
pub(crate) type Publishing<'a> = BoxFuture<'a, lapin::Result<Confirmation>>;

/// Offsets of messages that are published, each with its confirm to come.
pub(crate) struct Unconfirmed<'a> {
    window: usize,
    published: VecDeque<(i64, Publishing<'a>)>,
    /// The last offset that is confirmed without a gap, until it is taken.
    confirmed: Option<i64>,
}

impl<'a> Unconfirmed<'a> {
    /// At most so many at a time.
    pub(crate) const fn new(window: usize) -> Self {
        Self { window, published: VecDeque::new(), confirmed: None }
    }

    pub(crate) fn has_room(&self) -> bool {
        self.published.len() < self.window
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.published.is_empty()
    }

    /// Publishes. The first poll puts the message in order behind those before; nothing waits until it is written or confirmed.
    pub(crate) fn publish(&mut self, offset: i64, mut publishing: Publishing<'a>) {
        let early = (&mut publishing).now_or_never();
        self.published.push_back((offset, early.map_or(publishing, |early| ready(early).boxed())));
    }

    /// Returns when the first one is confirmed; those behind it that are, too, come along. Never, if there is none.
    pub(crate) async fn confirmed(&mut self) -> Result<()> {
        let Some((_, publishing)) = self.published.front_mut() else { return pending().await };
        let mut confirmation = publishing.await;
        loop {
            let Some((offset, _)) = self.published.pop_front() else { return Ok(()) };
            match confirmation.context("waiting for a confirm")? {
                Confirmation::Ack(None) => self.confirmed = Some(offset),
                other => bail!("RabbitMQ did not take the record at offset {offset}: {other:?}"),
            }
            let next = self.published.front_mut().and_then(|(_, publishing)| publishing.now_or_never());
            let Some(next) = next else { return Ok(()) };
            confirmation = next;
        }
    }

    /// The last offset that is confirmed without a gap, once.
    pub(crate) fn take_confirmed(&mut self) -> Option<i64> {
        self.confirmed.take()
    }
}
