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

use crate::connection::Connected;
pub use map::QueueMap;
pub use options::{BrokerHeaders, HeaderEncoding, PropertyOptions, SinkOptions, Tombstones, Unroutable};
use plan::Plan;
use publisher::{Order, Publisher};
use stage::STAGE;

/// One instance, from connect to close.
pub(crate) struct Sink {
    plan: Arc<Plan>,
    running: Option<Running>,
}

struct Running {
    orders: mpsc::Sender<Order>,
    /// A batch for which there was no room yet.
    waiting: Option<Batch>,
    publisher: Task,
    connected: Arc<Connected>,
}

/// The publisher's task. Dropped, it ends, and with it everything that is not confirmed.
struct Task {
    handle: JoinHandle<Result<()>>,
    /// Why it ended, once somebody asked.
    ended: Option<(ErrorKind, String)>,
}

// === impl Sink ===

impl Sink {
    fn new(plan: Plan) -> Self {
        Self { plan: Arc::new(plan), running: None }
    }

    fn running(&mut self) -> Result<&mut Running> {
        self.running.as_mut().ok_or_else(|| Error::internal("the RabbitMQ sink is not open"))
    }
}

#[async_trait]
impl gantry_sdk::Sink for Sink {
    async fn open(&mut self) -> Result<()> {
        let opened = open::open(&self.plan).await?;
        let connected = Arc::clone(&opened.connected);
        // One batch waits here while the publisher has enough to do: that is the back-pressure.
        let (orders, intake) = mpsc::channel(1);
        let publisher = Publisher::new(Arc::clone(&self.plan), opened, intake);
        let publisher = Task { handle: tokio::spawn(publisher.run()), ended: None };
        self.running = Some(Running { orders, waiting: None, publisher, connected });
        Ok(())
    }

    fn start(&mut self, batch: Batch) {
        if let Some(running) = &mut self.running {
            debug_assert!(running.waiting.is_none(), "started before it was ready");
            running.waiting = Some(batch);
        }
    }

    async fn ready(&mut self) -> Result<()> {
        self.running()?.hand_over().await
    }

    async fn flush(&mut self) -> Result<()> {
        let running = self.running()?;
        running.hand_over().await?;
        let (done, flushed) = oneshot::channel();
        running.order(Order::Flush(done)).await?;
        match flushed.await {
            Ok(()) => Ok(()),
            Err(_) => Err(running.publisher.end().await),
        }
    }

    async fn close(&mut self) -> Result<()> {
        let Some(Running { orders, waiting: _, publisher, connected }) = self.running.take() else { return Ok(()) };
        drop(orders);
        drop(publisher);
        connected.say_goodbye().await
    }
}

// === impl Running ===

impl Running {
    /// Gives the publisher what waits for room. Cancel-safe.
    async fn hand_over(&mut self) -> Result<()> {
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

    async fn order(&mut self, order: Order) -> Result<()> {
        match self.orders.send(order).await {
            Ok(()) => Ok(()),
            Err(_) => Err(self.publisher.end().await),
        }
    }
}

// === impl Task ===

impl Task {
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
