//! Channels that consume, one after the other, on connections that stay.
//!
//! A channel that ends gives back what it holds. If the next consumer of the queue came before that, it would get first what follows (I5). On one
//! connection RabbitMQ ends a channel and begins another side by side; so whoever comes next waits for the answer.

use std::{
    ops::Deref,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures_util::{
    FutureExt as _,
    future::{BoxFuture, Shared, join_all},
};

use super::channel::Channel;

/// The end of a channel.
type Ending = Shared<BoxFuture<'static, ()>>;

/// The channels of these connections that have consumed and whose end is not answered yet, by queue.
#[derive(Default)]
pub(super) struct Endings(Mutex<Vec<(Arc<str>, Ending)>>);

/// A channel that consumes a queue. Dropped, it ends by itself, and the next one of that queue waits for it.
pub(crate) struct ConsumerChannel {
    channel: Channel,
    queue: Arc<str>,
    endings: Arc<Endings>,
}

impl Endings {
    /// Returns when no channel that has consumed that queue holds anything of it any more.
    pub(super) async fn of_queue(&self, queue: &str) {
        let endings: Vec<_> = self.lock().iter().filter(|(of, _)| **of == *queue).map(|(_, end)| end.clone()).collect();
        join_all(endings).await;
    }

    fn add(&self, queue: Arc<str>, ending: Ending) {
        let mut endings = self.lock();
        endings.retain(|(_, ending)| ending.clone().now_or_never().is_none());
        endings.push((queue, ending));
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Arc<str>, Ending)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ConsumerChannel {
    pub(super) const fn new(channel: Channel, queue: Arc<str>, endings: Arc<Endings>) -> Self {
        Self { channel, queue, endings }
    }

    /// Ends it. Ready when everything that it held has gone back. Begun when it is called, whether or not anybody waits.
    pub(crate) fn close(&self) -> impl Future<Output = ()> + Send + use<> {
        let ending = self.channel.close().boxed().shared();
        // The first poll sends it.
        if ending.clone().now_or_never().is_none() {
            self.endings.add(Arc::clone(&self.queue), ending.clone());
        }
        ending
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
        if self.channel.status().connected() {
            drop(self.close());
        }
    }
}
