//! What RabbitMQ says of a connection as a whole, told to everybody who uses it.
//!
//! The client library gives each of its events to one listener only. So one task listens, and what it hears is state: whoever comes
//! later is told how things are.

use std::{pin::Pin, sync::Arc};

use futures_util::{Stream, StreamExt as _, stream};
use lapin::{Connection, Event};
use tokio::{sync::watch, task::AbortHandle};

/// How a connection is.
#[derive(Debug, Clone)]
pub(crate) enum Notice {
    /// RabbitMQ takes what is published.
    Up,
    /// It takes nothing for now, for that reason.
    Blocked(Arc<str>),
    /// The connection has ended.
    Ended(lapin::Error),
}

/// First how the connection is, then what becomes of it. It ends with the connection.
pub(crate) type Notices = Pin<Box<dyn Stream<Item = Notice> + Send>>;

/// Listens for everybody; ends when it is dropped.
pub(super) struct Telling {
    now: watch::Receiver<Notice>,
    listening: AbortHandle,
}

impl Telling {
    pub(super) fn of(connection: &Connection) -> Self {
        let (sender, now) = watch::channel(Notice::Up);
        let mut events = Box::pin(connection.events_listener());
        let listening = tokio::spawn(async move {
            while let Some(event) = events.next().await {
                let notice = match event {
                    Event::ConnectionBlocked(reason) => Notice::Blocked(reason.into()),
                    Event::ConnectionUnblocked => Notice::Up,
                    Event::Error(error) => Notice::Ended(error),
                    _ => continue,
                };
                sender.send_replace(notice);
            }
        });
        Self { now, listening: listening.abort_handle() }
    }

    /// Returns when RabbitMQ takes nothing, with its reason.
    pub(super) async fn blocked(&self) -> Arc<str> {
        let mut now = self.now.clone();
        loop {
            if let Notice::Blocked(reason) = &*now.borrow_and_update() {
                return Arc::clone(reason);
            }
            if now.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    pub(super) fn notices(&self) -> Notices {
        let mut now = self.now.clone();
        now.mark_changed();
        stream::unfold(now, |mut now| async {
            now.changed().await.ok()?;
            let notice = now.borrow_and_update().clone();
            Some((notice, now))
        })
        .boxed()
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        self.listening.abort();
    }
}
