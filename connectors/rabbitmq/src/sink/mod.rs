//! Publishes records to exchanges, with publisher confirms.
//!
//! # What it promises
//! - A record is settled when RabbitMQ has confirmed it and has not returned it: a message that no queue takes is confirmed
//!   too, after it came back ([`returns`]).
//! - All records of a lane go over one channel, in order (I5). What RabbitMQ refuses for now (`basic.nack`) is sent again, before
//!   anything for the same destination that is behind it and not sent yet; what goes elsewhere does not wait ([`waiting`]).
//!   What was confirmed is never sent again by the sink.
//! - A record that RabbitMQ will never take (too large, a foreign `user_id`, an exchange that is not there) closes the
//!   channel. The sink opens another, finds that record and refuses it alone ([`channel_error`]).
//! - `Connection.Blocked` is back-pressure: [`Condition::Blocked`](gantry_sdk::health::Condition::Blocked), and nothing fails.
//! - When the connection goes, what is not confirmed is abandoned: the runtime opens another sink.
//!
//! # Parts
//! [`options`] and [`map`] what a person writes · [`config`] what is asked of it · [`plan`] options made ready ·
//! [`message`] and [`headers`] one record as AMQP writes it · [`open`] connecting and checking · [`publisher`] the task
//! that owns the channels · [`channel`] one channel: window, order, what is sent again · [`item`] one record on its way
//! · [`unconfirmed`] what is not confirmed yet · [`waiting`] what a destination refuses for now

mod channel;
mod channel_error;
mod config;
pub(crate) mod headers;
mod item;
mod limits;
mod map;
mod message;
mod open;
mod options;
mod plan;
mod probe;
mod publisher;
mod returns;
mod stage;
mod unconfirmed;
mod waiting;

use std::sync::Arc;

use async_trait::async_trait;
use gantry_sdk::{Batch, Error, ErrorKind, Result};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use crate::connection::Lease;
pub use map::QueueMap;
pub use options::{BrokerHeaders, HeaderEncoding, PropertyOptions, SinkOptions, Tombstones, Unroutable};
use plan::Plan;
use publisher::{Order, Publisher};
use stage::STAGE;

/// One instance, from connect to close.
pub(crate) struct Sink {
    orders: mpsc::Sender<Order>,
    /// A batch for which there was no room yet.
    waiting: Option<Batch>,
    publisher: Task,
    connected: Arc<Lease>,
}

/// The publisher's task. Dropped, it ends, and with it everything that is not confirmed.
struct Task {
    /// Tells it that the sink is closed.
    closing: Option<oneshot::Sender<()>>,
    handle: JoinHandle<Result<()>>,
    /// Why it ended, once somebody asked.
    ended: Option<(ErrorKind, String)>,
}

// === impl Sink ===

#[async_trait]
impl gantry_sdk::Sink for Sink {
    fn start(&mut self, batch: Batch) {
        debug_assert!(self.waiting.is_none(), "started before it was ready");
        self.waiting = Some(batch);
    }

    async fn ready(&mut self) -> Result<()> {
        if self.waiting.is_none() {
            return Ok(());
        }
        match self.orders.reserve().await {
            Ok(room) => {
                if let Some(batch) = self.waiting.take() {
                    room.send(Order::Put(batch));
                }
                Ok(())
            }
            Err(_) => Err(self.publisher.end().await),
        }
    }

    async fn flush(&mut self) -> Result<()> {
        self.ready().await?;
        let (done, flushed) = oneshot::channel();
        if self.orders.send(Order::Flush(done)).await.is_ok() && flushed.await.is_ok() {
            return Ok(());
        }
        Err(self.publisher.end().await)
    }

    async fn close(self: Box<Self>) -> Result<()> {
        let Self { mut publisher, connected, .. } = *self;
        // What is not confirmed is abandoned before the connection is left.
        publisher.close().await;
        drop(publisher);
        connected.release().await
    }
}

impl Sink {
    /// Connects, declares and checks what was asked for. Dropped half-way, it cuts the connection.
    async fn open(plan: Plan) -> Result<Box<dyn gantry_sdk::Sink>> {
        let plan = Arc::new(plan);
        let opened = open::open(&plan).await?;
        let connected = Arc::clone(&opened.connected);
        // One batch waits here while the publisher has enough to do: that is the back-pressure.
        let (orders, intake) = mpsc::channel(1);
        let (closing, closed) = oneshot::channel();
        let publisher = Publisher::new(plan, opened, intake, closed);
        let publisher = Task { closing: Some(closing), handle: tokio::spawn(publisher.run()), ended: None };
        Ok(Box::new(Self { orders, waiting: None, publisher, connected }))
    }
}

// === impl Task ===

impl Task {
    /// Returns when it has ended, and its channels with it.
    async fn close(&mut self) {
        drop(self.closing.take());
        if self.ended.is_none() {
            // How it ended does not matter any more.
            drop((&mut self.handle).await);
        }
    }

    /// Why the publisher is gone.
    async fn end(&mut self) -> Error {
        if let Some((kind, text)) = &self.ended {
            return Error::new(*kind, text.as_str());
        }
        let error = match (&mut self.handle).await {
            Ok(Err(error)) => error,
            Ok(Ok(())) => Error::internal("the RabbitMQ sink is closed"),
            Err(panic) => Error::internal(format!("the RabbitMQ sink: {panic}")),
        };
        self.ended = Some((error.kind(), error.chain()));
        error
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.handle.abort();
    }
}
