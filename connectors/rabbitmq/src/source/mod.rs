//! Queues as lanes, with bulk acknowledgements.
//!
//! - Each queue is a lane: one channel with exactly one consumer, on one connection for them all.
//! - A poll takes what a consumer already holds, from the lanes in turn, and waits only when none holds anything.
//! - A commit is a note; a sync sends one `basic.ack(tag, multiple)` a lane for all that was noted, on the lane's own channel.
//! - Every end of a consumer, channel or connection is an error of the next poll, with the reason.
//! - Memory is bounded by the window of each lane: the client library's own buffer has no other bound.
//! - [`options`] says what a person may write and [`config`] what is asked of it, [`lane`] has the queue's channel,
//!   [`deliveries`] is the seam to the client library, [`backlog`] counts what waits when the runtime asks, [`depth`]
//!   says it now and then, [`memory`] is what the next source knows, [`queue`] has the words of errors.

mod backlog;
mod config;
mod deliveries;
mod depth;
mod lane;
mod memory;
mod options;
mod probe;
mod queue;

use std::{
    sync::Arc,
    task::{Context as TaskContext, Poll},
    time::Duration,
};

use async_trait::async_trait;
use futures_util::future::join_all;
use gantry_sdk::{Closed, Context, Error, ErrorKind, Lane, Limits, Polled, Position, Result, health::Condition};

use crate::{
    DeclareOptions,
    connection::{Lease, Notices, Purpose, lease},
    error::{During, translate},
};
use depth::Watch;
use lane::QueueLane;
use memory::Memory;
pub use options::{GiveBack, SourceOptions};

/// How long giving back and saying goodbye may take together. A broker that is gone takes it all back by itself.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);

/// One for what the runtime asks, one for the depth.
const CHANNELS_TO_ASK_ON: usize = 2;

/// One instance, from connect to close.
pub(crate) struct Source {
    // Goes before the lanes: where nobody else uses it, what they hold goes back with the connection, in order (I5).
    connected: Lease,
    lanes: Vec<QueueLane>,
    depth: Option<Watch>,
    notices: Notices,
    turn: Turn,
    /// The runtime wants nothing more from the broker for now.
    suspended: bool,
    /// What the client library said of the end of the connection or of a channel. A lane without a consumer knows no reason
    /// of its own.
    trouble: Option<lapin::Error>,
    /// A commit that cannot be: the next sync says so.
    misled: Option<Error>,
    options: SourceOptions,
    context: Context,
}

#[async_trait]
impl gantry_sdk::Source for Source {
    async fn poll(&mut self, limits: Limits) -> Result<Polled> {
        // Cancel-safe: records leave the client library only in the very call that returns them.
        std::future::poll_fn(|context| {
            self.observe(context);
            self.poll_batch(context, limits)
        })
        .await
    }

    fn lane_key(&self, lane: Lane) -> Arc<str> {
        let queue = self.options.queues().nth(lane.0 as usize).unwrap_or_default();
        // Of each queue a task has one lane.
        format!("{queue}/{}", self.context.task).into()
    }

    fn commit(&mut self, lane: Lane, upto: &Position) {
        let noted = match (self.lanes.get_mut(lane.0 as usize), upto.as_u64()) {
            (Some(lane), Some(tag)) => lane.commit(tag),
            _ => Err(foreign()),
        };
        self.misled = self.misled.take().or_else(|| noted.err());
    }

    async fn sync(&mut self) -> Result<()> {
        // What was noted well is sent all the same.
        let sent = self.lanes.iter_mut().map(QueueLane::sync).fold(Ok(()), Result::and);
        self.misled.take().map_or(sent, Err)
    }

    async fn suspend(&mut self) -> Result<bool> {
        // A consumer of a stream that is started again would start elsewhere.
        if self.options.stream_offset_given() {
            return Ok(false);
        }
        self.suspended = true;
        self.lanes.iter_mut().for_each(QueueLane::suspend);
        Ok(true)
    }

    async fn resume(&mut self) -> Result<()> {
        self.suspended = false;
        self.lanes.iter_mut().try_for_each(QueueLane::resume)
    }

    async fn watch_connection(&mut self) -> Error {
        std::future::poll_fn(|context| {
            self.observe(context);
            self.poll_tend(context)
        })
        .await
    }

    async fn backlog(&mut self) -> Result<Option<u64>> {
        if !has_channels_to_ask_on(&self.connected, &self.options) {
            return Ok(None);
        }
        backlog::ready(&self.connected, self.options.queues()).await.map(Some)
    }

    async fn reject(&mut self, lane: Lane, last: &Position, back: u32) -> Result<()> {
        let lane = self.lanes.get_mut(lane.0 as usize);
        // The tags of a lane have no gaps.
        match (lane, last.as_u64().and_then(|last| last.checked_sub(back.into()))) {
            (Some(lane), Some(tag)) => lane.reject(tag),
            _ => Err(foreign()),
        }
    }

    async fn close(mut self: Box<Self>) -> Result<Closed> {
        let Self { lanes, connected, depth, .. } = &mut *self;
        let closing = async {
            // A lane whose channel ended has nothing to give back any more; the broker took it.
            join_all(lanes.iter_mut().filter(|lane| lane.is_alive()).map(QueueLane::close)).await;
            depth.take();
            connected.release().await
        };
        let closed = tokio::time::timeout(CLOSE_TIMEOUT, closing).await;
        closed.unwrap_or_else(|_| {
            Err(Error::disconnected(format!(
                "giving back messages to {}: no answer in {CLOSE_TIMEOUT:?}; RabbitMQ takes them back when {}",
                self.connected.place(),
                if self.connected.is_shared() { "their channels have ended" } else { "the connection is cut" }
            )))
        })?;
        Ok(Closed::default())
    }
}

impl Source {
    /// Connects, declares what was asked for and starts a consumer a queue. Dropped half-way, it cuts the connection.
    pub(crate) async fn open(options: SourceOptions, context: Context) -> Result<Box<dyn gantry_sdk::Source>> {
        // Who we are in RabbitMQ's management pages.
        let name = format!("gantry {}/{}", context.bridge, context.task);
        let channels = options.queues().count() + CHANNELS_TO_ASK_ON;
        let connection = DeclareOptions::connection(options.declare.as_ref(), &options.connection);
        let connected = lease(&connection, Purpose::Consume, &name, &context, channels).await?;
        let mut source = Box::new(Self {
            notices: connected.notices(),
            connected,
            lanes: Vec::new(),
            depth: None,
            turn: Turn::default(),
            suspended: false,
            trouble: None,
            misled: None,
            options,
            context,
        });
        if let Err(error) = source.set_up(&name).await {
            // The first error is the one to tell.
            let _ = source.connected.release().await;
            return Err(error);
        }
        source.depth = watch(&source.connected, &source.options, &source.context).await;
        source.context.health.set(Condition::Up);
        Ok(source)
    }

    /// The lanes share what the task may hold, in equal parts.
    async fn set_up(&mut self, name: &str) -> Result<()> {
        let Self { connected, options, lanes, context, .. } = self;
        let queues: Vec<_> = options.queues().collect();
        let (count, most) = (queues.len(), connected.channels());
        if count > most {
            return Err(Error::new(
                ErrorKind::Refused,
                format!(
                    "consuming {count} queues on {}: each takes a channel, and only {most} are allowed on a connection; raise \
                     `channel_max` there or in the URL, or share the queues out among several bridges",
                    connected.place()
                ),
            ));
        }
        if let Some(declare) = &options.declare {
            let channel = connected.channel().await?;
            declare.apply(&channel, &queues, &connected.place()).await?;
        }
        let share = context.in_flight_bytes / count.max(1);
        let memory = context.remembered.get_or_default::<Memory>();
        for (queue, memory) in queues.iter().zip(memory.of(&connected.vhost, &queues)) {
            lanes.push(QueueLane::open(connected, queue, options, name, share, memory).await?);
        }
        Ok(())
    }

    /// Blocked and unblocked, as RabbitMQ tells, and what waits in the queues.
    fn observe(&mut self, context: &mut TaskContext<'_>) {
        if let Some(depth) = &mut self.depth {
            depth.observe(context);
        }
        while let Poll::Ready(Some(notice)) = self.notices.as_mut().poll_next(context) {
            self.context.health.set(notice.blocked.map_or(Condition::Up, Condition::Blocked));
            // How a connection ends is the consumers' to tell, where there are any.
            self.trouble = notice.ended;
        }
    }

    fn poll_batch(&mut self, context: &mut TaskContext<'_>, limits: Limits) -> Poll<Result<Polled>> {
        if let Some(error) = self.end_in_silence() {
            return Poll::Ready(Err(error));
        }
        let bytes = limits.bytes.max(1);
        for index in self.turn.order(self.lanes.len()) {
            let Poll::Ready(taken) = self.lanes[index].poll_take(context, limits.records, bytes) else { continue };
            self.turn.served(index);
            return Poll::Ready(match taken {
                Ok((records, tag)) => {
                    Ok(Polled::Batch { lane: lane_id(index), records, last: tag.into(), answers: None })
                }
                Err(error) => Err(self.ended(error)),
            });
        }
        if self.suspended && self.lanes.iter().all(QueueLane::is_suspended) {
            return Poll::Ready(Ok(Polled::Suspended));
        }
        Poll::Pending
    }

    fn poll_tend(&mut self, context: &mut TaskContext<'_>) -> Poll<Error> {
        if let Some(error) = self.end_in_silence() {
            return Poll::Ready(error);
        }
        let mut end = None;
        for lane in &mut self.lanes {
            // Each of them is looked at, so that each can wake the task.
            if let Poll::Ready(error) = lane.poll_tend(context) {
                end.get_or_insert(error);
            }
        }
        match end {
            Some(error) => Poll::Ready(self.ended(error)),
            None => Poll::Pending,
        }
    }

    /// While suspended no consumer can tell the end of its channel; the connection's events wake us instead.
    fn end_in_silence(&mut self) -> Option<Error> {
        let lane = self.lanes.iter().find(|lane| lane.is_suspended() && !lane.is_alive())?;
        let error = match &self.trouble {
            Some(error) => {
                translate(error, During::Running, format!("holding the connection to {}", self.connected.place()))
            }
            None => lane.queue.gone(),
        };
        Some(self.ended(error))
    }

    fn ended(&self, error: Error) -> Error {
        if !self.connected.is_alive() {
            self.connected.note_lost();
        }
        error
    }
}

/// Whose turn it is: the lane after the one that was served last, so that a busy one starves no other.
#[derive(Debug, Default, Clone, Copy)]
struct Turn(usize);

impl Turn {
    fn order(self, lanes: usize) -> impl Iterator<Item = usize> {
        (0..lanes).map(move |step| (self.0 + step) % lanes)
    }

    fn served(&mut self, lane: usize) {
        self.0 = lane + 1;
    }
}

fn foreign() -> Error {
    Error::internal("a position that is not of this source")
}

/// Of the tasks of a bridge, which read the same queues, the first says how deep these are. Without a channel to ask on
/// nobody does.
async fn watch(connected: &Lease, options: &SourceOptions, context: &Context) -> Option<Watch> {
    if context.task > 0 || !has_channels_to_ask_on(connected, options) {
        return None;
    }
    let channel = connected.channel().await.ok()?;
    Watch::new(channel, options.queues(), context.depth.clone()).ok()
}

/// Each queue takes a channel for itself; the others are for questions.
fn has_channels_to_ask_on(connected: &Lease, options: &SourceOptions) -> bool {
    connected.channels() >= options.queues().count() + CHANNELS_TO_ASK_ON
}

/// Lanes are as many as queues in a file.
fn lane_id(index: usize) -> Lane {
    Lane(u32::try_from(index).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lane_after_the_one_served_comes_first() {
        let mut turn = Turn::default();
        assert_eq!(turn.order(3).collect::<Vec<_>>(), [0, 1, 2]);
        turn.served(0);
        assert_eq!(turn.order(3).collect::<Vec<_>>(), [1, 2, 0]);
        turn.served(2);
        assert_eq!(turn.order(3).collect::<Vec<_>>(), [0, 1, 2]);
    }
}
