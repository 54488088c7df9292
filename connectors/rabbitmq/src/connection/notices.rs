//! What RabbitMQ says of a connection as a whole, told to everybody who uses it.
//!
//! The client library gives each of its events to one listener only. So one task listens, and what it hears is state: whoever comes
//! later is told how things are, and nothing that is said hides what was said before.

use std::{pin::Pin, sync::Arc};

use futures_util::{Stream, StreamExt as _, stream};
use lapin::{Connection, ConnectionStatus, Event};
use tokio::{sync::watch, task::AbortHandle};

/// How a connection is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Notice {
    /// RabbitMQ takes nothing that is published for now, for that reason.
    pub(crate) blocked: Option<Arc<str>>,
    /// The connection has ended.
    pub(crate) ended: Option<lapin::Error>,
}

/// First how the connection is, then how it is after each change, also when only a channel has ended: those who wait for nothing else see it then. It ends
/// with the connection.
pub(crate) type Notices = Pin<Box<dyn Stream<Item = Notice> + Send>>;

/// Listens for everybody; ends when it is dropped.
pub(super) struct Telling {
    now: watch::Receiver<Notice>,
    listening: AbortHandle,
}

impl Telling {
    pub(super) fn of(connection: &Connection) -> Self {
        let (sender, now) = watch::channel(Notice::default());
        let (mut events, status) = (Box::pin(connection.events_listener()), connection.status().clone());
        let listening = tokio::spawn(async move {
            while let Some(event) = events.next().await {
                sender.send_modify(|notice| note(notice, event, &status));
            }
        });
        Self { now, listening: listening.abort_handle() }
    }

    /// Returns when RabbitMQ takes nothing, with its reason.
    pub(super) async fn blocked(&self) -> Arc<str> {
        let mut now = self.now.clone();
        match now.wait_for(|notice| notice.blocked.is_some()).await.map(|notice| notice.blocked.clone()) {
            Ok(Some(reason)) => reason,
            _ => std::future::pending().await,
        }
    }

    pub(super) fn notices(&self) -> Notices {
        let mut now = self.now.clone();
        now.mark_changed();
        let notices = stream::unfold(now, |mut now| async {
            now.changed().await.ok()?;
            let notice = now.borrow_and_update().clone();
            Some((notice, now))
        });
        notices.fuse().boxed()
    }
}

fn note(notice: &mut Notice, event: Event, status: &ConnectionStatus) {
    match event {
        Event::ConnectionBlocked(reason) => notice.blocked = Some(reason.into()),
        Event::ConnectionUnblocked => notice.blocked = None,
        // Told of a channel's end, too.
        Event::Error(error) if !status.connected() => notice.ended = Some(error),
        _ => {}
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        self.listening.abort();
    }
}
