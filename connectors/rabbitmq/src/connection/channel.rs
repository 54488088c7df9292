//! A channel that closes itself.
//!
//! The client library closes a channel when its last handle goes, and ends the whole connection if that fails (lapin 4.12,
//! `register_internal_future`): a question that RabbitMQ refuses by closing the channel, just when nobody waits for the answer any more, would
//! take all other channels along. So each is closed here, before its last handle goes, and nothing is left for the library to do.

use std::ops::Deref;

use futures_util::FutureExt as _;

/// A channel, as the client library has it.
pub(crate) struct Channel(lapin::Channel);

impl Channel {
    pub(super) const fn new(channel: lapin::Channel) -> Self {
        Self(channel)
    }

    /// Says goodbye. Returns when RabbitMQ has answered, or the channel has ended otherwise.
    pub(crate) fn close(&self) -> impl Future<Output = ()> + Send + use<> {
        let channel = self.0.clone();
        async move { drop(channel.close(200, "done".into()).await) }
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
        if self.0.status().connected() {
            // The first poll sends it. Nobody waits for the answer.
            let _ = self.close().now_or_never();
        }
    }
}
