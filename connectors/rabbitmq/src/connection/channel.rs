//! A channel that closes itself, and harms no other one of its connection.
//!
//! The client library (lapin 4.12) ends the whole connection when
//! - it closes a channel by itself, whose last handle has gone, and that fails (`register_internal_future`);
//! - both sides close a channel at the same time: it has forgotten the channel when RabbitMQ's answer comes.
//!
//! Both happen when a channel goes just as RabbitMQ refuses something on it. So a channel that goes is first asked for an answer:
//! then everything sent before is done with. If RabbitMQ has closed the channel meanwhile, that was it; else it is closed here.

use std::ops::Deref;

use lapin::options::BasicQosOptions;
use tokio::{runtime::Handle, task::JoinHandle};

/// A channel, as the client library has it.
pub(crate) struct Channel(lapin::Channel);

impl Channel {
    pub(super) const fn new(channel: lapin::Channel) -> Self {
        Self(channel)
    }

    /// Ends it. Ready when RabbitMQ has answered, or the channel has ended otherwise; what is on its way before that has arrived then.
    pub(crate) fn end(&self) -> impl Future<Output = ()> + Send + use<> {
        end(self.0.clone(), Before::Unanswered)
    }
}

impl Deref for Channel {
    type Target = lapin::Channel;

    fn deref(&self) -> &lapin::Channel {
        &self.0
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        drop(end_aside(&self.0, Before::Unanswered, ()));
    }
}

/// What was sent on a channel before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Before {
    /// RabbitMQ has answered everything that it might refuse.
    Answered,
    /// It may still refuse something.
    Unanswered,
}

/// Ends a channel that nobody waits for; what is `held` goes after it. `None`: it has ended.
pub(super) fn end_aside<T: Send + 'static>(
    channel: &lapin::Channel,
    before: Before,
    held: T,
) -> Option<JoinHandle<()>> {
    if !channel.status().connected() {
        return None;
    }
    // Without a runtime everything ends, and the connection with it.
    let runtime = Handle::try_current().ok()?;
    let ending = end(channel.clone(), before);
    Some(runtime.spawn(async move {
        ending.await;
        drop(held);
    }))
}

async fn end(channel: lapin::Channel, before: Before) {
    // Any question would do. An error means that the channel has ended.
    if before == Before::Answered || channel.basic_qos(1, BasicQosOptions::default()).await.is_ok() {
        drop(channel.close(200, "done".into()).await);
    }
}
