//! Channels that consume, one after the other, on connections that stay.
//!
//! A channel that ends gives back what it holds. If the next consumer of the queue came before that, it would get first what follows (I5). On one
//! connection RabbitMQ ends a channel and begins another side by side; so whoever comes next waits until those before have ended.
//!
//! A consumer goes after its channel. One that goes while its channel stands is cancelled by the client library, and a quorum queue gives back in
//! no order what the cancel meets on its way. With the channel, everything goes back in order.

use std::{
    ops::Deref,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures_util::{
    FutureExt as _,
    future::{BoxFuture, Shared, join_all},
};
use lapin::Consumer;

use super::channel::{Before, end_aside};

/// The end of a channel.
type Ending = Shared<BoxFuture<'static, ()>>;

/// The ends of channels that have consumed, by queue; whatever the broker, which seldom costs a wait that was not needed.
#[derive(Default)]
pub(super) struct Endings(Mutex<Vec<(Queue, Ending)>>);

/// A queue of a broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Queue {
    pub(super) vhost: Arc<str>,
    pub(super) name: Arc<str>,
}

/// A channel to consume a queue on. Dropped, it ends by itself, and the next one of that queue waits for it.
pub(crate) struct ConsumerChannel {
    channel: lapin::Channel,
    queue: Queue,
    endings: Arc<Endings>,
    /// The first consumer, while it is on its way.
    starting: Option<BoxFuture<'static, lapin::Result<Consumer>>>,
    has_ended: bool,
}

impl Endings {
    /// Returns when no channel that has consumed that queue holds anything of it any more.
    pub(super) async fn of_queue(&self, queue: &Queue) {
        let endings: Vec<_> = self.lock().iter().filter(|(of, _)| of == queue).map(|(_, end)| end.clone()).collect();
        join_all(endings).await;
    }

    fn add(&self, queue: Queue, ending: Ending) {
        let mut endings = self.lock();
        endings.retain(|(_, ending)| ending.clone().now_or_never().is_none());
        endings.push((queue, ending));
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Queue, Ending)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ConsumerChannel {
    pub(super) const fn new(channel: lapin::Channel, queue: Queue, endings: Arc<Endings>) -> Self {
        Self { channel, queue, endings, starting: None, has_ended: false }
    }

    /// The first consumer. If nobody waits for it any more, it goes with the channel.
    pub(crate) async fn consume(
        &mut self,
        starting: BoxFuture<'static, lapin::Result<Consumer>>,
    ) -> lapin::Result<Consumer> {
        let started = self.starting.insert(starting).await;
        self.starting = None;
        started
    }

    /// Ends it, and lets go of these consumers of it then. Ready when everything that it held has gone back; it ends whether or not anybody waits.
    pub(crate) fn end<C: Send + 'static>(&mut self, before: Before, consumers: C) -> Option<Ending> {
        if std::mem::replace(&mut self.has_ended, true) {
            return None;
        }
        let ending = end_aside(&self.channel, before, (self.starting.take(), consumers))?;
        let ending = ending.map(drop).boxed().shared();
        self.endings.add(self.queue.clone(), ending.clone());
        Some(ending)
    }
}

impl Deref for ConsumerChannel {
    type Target = lapin::Channel;

    fn deref(&self) -> &lapin::Channel {
        &self.channel
    }
}

impl Drop for ConsumerChannel {
    fn drop(&mut self) {
        self.end(Before::Unanswered, ());
    }
}
