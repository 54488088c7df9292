//! What a lane needs to consume its queue, again and again, on one channel.

use futures_util::future::{self, BoxFuture};
use gantry_sdk::{Error, Result};
use lapin::{
    Channel, Consumer,
    options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions, QueueDeclareOptions},
    types::{FieldTable, ShortString},
};

use crate::{convert::short_string, names, source::SourceOptions};

/// The queue and how to consume it.
pub(super) struct Subscription {
    queue: ShortString,
    tag: ShortString,
    options: BasicConsumeOptions,
    arguments: FieldTable,
    /// Consumers so far.
    consumers: u32,
}

/// A consumer that is on its way.
pub(super) type Starting = BoxFuture<'static, lapin::Result<Consumer>>;

/// Whether no message waits in the queue, once the broker has answered.
pub(super) type Asking = BoxFuture<'static, lapin::Result<bool>>;

impl Subscription {
    pub(super) fn new(queue: &str, options: &SourceOptions, name: &str) -> Result<Self> {
        Ok(Self {
            queue: names::checked(queue)?,
            tag: options.consumer_tag(name).map_err(Error::config)?,
            options: BasicConsumeOptions { exclusive: options.exclusive, ..BasicConsumeOptions::default() },
            arguments: options.consumer_arguments().map_err(Error::config)?,
            consumers: 0,
        })
    }

    /// What its consumers are given.
    pub(super) fn arguments(&mut self) -> &mut FieldTable {
        &mut self.arguments
    }

    /// Starts the next consumer. The prefetch is set before, so that the broker never sends more (I4, on the broker's side);
    /// RabbitMQ applies it to consumers that start later.
    pub(super) fn start(&mut self, channel: &Channel, prefetch: u16) -> Starting {
        self.consumers += 1;
        let (channel, tag) = (channel.clone(), self.next_tag());
        let (queue, options, arguments) = (self.queue.clone(), self.options, self.arguments.clone());
        Box::pin(async move {
            let limit = channel.basic_qos(prefetch, BasicQosOptions { global: false });
            let consume = channel.basic_consume(queue, tag, options, arguments);
            // In one go: the broker takes them in order.
            future::try_join(limit, consume).await.map(|((), consumer)| consumer)
        })
    }

    /// Asks whether no message waits in the queue.
    pub(super) fn ask(&self, channel: &Channel) -> Asking {
        let (channel, queue) = (channel.clone(), self.queue.clone());
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        Box::pin(async move {
            let queue = channel.queue_declare(queue, options, FieldTable::default()).await?;
            // RabbitMQ says none and none when a quorum queue does not answer in time (`rabbit_quorum_queue:stat`). There is
            // a consumer: ours.
            Ok(queue.message_count() == 0 && queue.consumer_count() > 0)
        })
    }

    /// Each has a name of its own: a quorum queue knows a consumer by it for as long as it waits for its acknowledgements.
    /// They sort by age, so that a quorum queue gives back what several left behind in order (`rabbit_fifo:handle_down`).
    fn next_tag(&self) -> ShortString {
        if self.consumers == 1 || self.tag.as_str().is_empty() {
            return self.tag.clone();
        }
        // Empty: the broker makes one up.
        short_string(&format!("{} #{:03}", self.tag.as_str(), self.consumers)).unwrap_or_default()
    }
}

/// Asks the broker to send nothing more to that consumer. Its answer ends the consumer's deliveries, behind the last one.
pub(super) async fn cancel(channel: &Channel, tag: ShortString) -> lapin::Result<()> {
    channel.basic_cancel(tag, BasicCancelOptions::default()).await
}
