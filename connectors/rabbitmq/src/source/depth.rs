//! How many messages wait in the queues, asked now and then, for people and their graphs.
//!
//! By passive declares on a channel of their own: it is closed if a queue is missing (AMQP 0-9-1, `queue.declare`), and the
//! channels that move messages do not notice. The questions go along with what the source does anyway; nothing waits for the
//! answers.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytestring::ByteString;
use futures_util::{FutureExt, future::BoxFuture};
use gantry_sdk::{Depth, QueueDepth, Result};
use lapin::{
    options::QueueDeclareOptions,
    types::{FieldTable, ShortString},
};
use tokio::time::{Instant, Sleep};

use crate::{connection::Channel, names};

/// From an answer to the next question: seldom enough to cost nothing, often enough for a graph.
const GAP: Duration = Duration::from_secs(15);

/// Asks, and says what it heard.
pub(super) struct Watch {
    channel: Channel,
    queues: Vec<ShortString>,
    depth: Depth,
    asking: Option<BoxFuture<'static, lapin::Result<Vec<QueueDepth>>>>,
    timer: Pin<Box<Sleep>>,
    /// The channel has ended. How is for those to tell that move messages.
    is_over: bool,
}

impl Watch {
    /// Asks for the first time as soon as it is observed.
    pub(super) fn new<'a>(channel: Channel, queues: impl Iterator<Item = &'a str>, depth: Depth) -> Result<Self> {
        let queues = queues.map(names::checked).collect::<Result<_>>()?;
        let timer = Box::pin(tokio::time::sleep(Duration::ZERO));
        Ok(Self { channel, queues, depth, asking: None, timer, is_over: false })
    }

    /// Goes as far as it can now; the task is woken for more.
    pub(super) fn observe(&mut self, context: &mut Context<'_>) {
        while !self.is_over {
            let Some(asking) = &mut self.asking else {
                if self.timer.as_mut().poll(context).is_pending() {
                    return;
                }
                self.asking = Some(ask(self.channel.clone(), self.queues.clone()).boxed());
                continue;
            };
            let Poll::Ready(answer) = asking.poll_unpin(context) else { return };
            self.asking = None;
            self.is_over = answer.is_err();
            self.depth.set(answer.unwrap_or_default());
            self.timer.as_mut().reset(Instant::now() + GAP);
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // Nobody knows any more.
        self.depth.set(Vec::new());
    }
}

async fn ask(channel: lapin::Channel, queues: Vec<ShortString>) -> lapin::Result<Vec<QueueDepth>> {
    let mut depths = Vec::with_capacity(queues.len());
    for name in queues {
        let queue = ByteString::from(name.as_str());
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let declared = channel.queue_declare(name, options, FieldTable::default()).await?;
        depths.push(QueueDepth { queue, records: declared.message_count().into() });
    }
    Ok(depths)
}
