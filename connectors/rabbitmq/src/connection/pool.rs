//! Connections that bridges share: those with the same options use one to consume and one to publish.
//!
//! # The contract
//! - A connection is opened by the first that needs it, and closed by the last that leaves it. While one opens, others wait for
//!   it; if it fails, it has failed for all that waited.
//! - Whoever uses one says how many channels it needs. A further connection is opened when these would be more than the broker allows on one.
//! - The end of a connection is the end for everybody on it. Each opens anew, and the first of them brings a connection for all.
//! - To consume and to publish are apart: a broker that is short of memory or disk reads nothing from a connection that
//!   publishes, acknowledgements as little as messages (RabbitMQ, *memory alarms*).

use std::{
    ops::Deref,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use gantry_sdk::{Context, Error, ErrorKind, Result};

use super::{
    ConnectionOptions,
    connect::{Connected, connect},
    consumer_channel::{ConsumerChannel, Endings, Queue},
};

/// How long the channels of a queue's last consumer may take to end. RabbitMQ answers at once, but for a node that is very busy.
const ENDING_TIMEOUT: Duration = Duration::from_secs(30);

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Consume,
    Publish,
}

/// All connections of the process that are shared, by what leads to them.
#[derive(Default)]
struct Pool {
    all: Mutex<Vec<Arc<Connections>>>,
    /// Also of connections whose options have changed since.
    endings: Arc<Endings>,
}

/// Those with the same options, for the same purpose.
struct Connections {
    options: ConnectionOptions,
    purpose: Purpose,
    open: Mutex<Vec<Member>>,
    /// Held while one opens; what the last failure was.
    opening: tokio::sync::Mutex<Option<Failed>>,
    endings: Arc<Endings>,
}

struct Member {
    connected: Arc<Connected>,
    users: usize,
    /// That its users may have open.
    channels: usize,
}

struct Failed {
    at: Instant,
    kind: ErrorKind,
    reason: String,
}

/// The use of a connection. Dropped, it is left; the last one of a connection cuts it then, unless it was [released](Lease::release).
pub(crate) struct Lease {
    connected: Arc<Connected>,
    channels: usize,
    /// `None`: nobody else uses the connection.
    connections: Option<Arc<Connections>>,
    endings: Arc<Endings>,
    left: AtomicBool,
}

/// A connection with these options, on which so many channels may be open; fewer if the broker allows fewer on any. One that is not
/// shared is shown by `name` in RabbitMQ's management pages.
pub(crate) async fn lease(
    options: &ConnectionOptions,
    purpose: Purpose,
    name: &str,
    context: &Context,
    channels: usize,
) -> Result<Lease> {
    let pool = context.shared.get_or_default::<Pool>();
    if options.share {
        return pool.connections(options, purpose).lease(context, channels).await;
    }
    let name = options.connection_name.as_deref().unwrap_or(name);
    let connected = Arc::new(connect(options, name, &context.options).await?);
    let channels = channels.min(connected.channel_max());
    let endings = Arc::clone(&pool.endings);
    Ok(Lease { connected, channels, connections: None, endings, left: AtomicBool::new(false) })
}

impl Pool {
    fn connections(&self, options: &ConnectionOptions, purpose: Purpose) -> Arc<Connections> {
        let mut all = lock(&self.all);
        // Those that nobody uses or opens: options change, and every set of them would stay.
        all.retain(|connections| Arc::strong_count(connections) > 1);
        let found = all.iter().find(|one| one.purpose == purpose && one.options == *options);
        found.cloned().unwrap_or_else(|| {
            let connections = Arc::new(Connections {
                options: options.clone(),
                purpose,
                open: Mutex::default(),
                opening: tokio::sync::Mutex::default(),
                endings: Arc::clone(&self.endings),
            });
            all.push(connections.clone());
            connections
        })
    }
}

impl Connections {
    async fn lease(self: &Arc<Self>, context: &Context, channels: usize) -> Result<Lease> {
        let asked = Instant::now();
        if let Some(lease) = self.join(channels) {
            return Ok(lease);
        }
        // The one lock that is held while something is waited for: that is what it is for.
        let mut failed = self.opening.lock().await;
        if let Some(lease) = self.join(channels) {
            return Ok(lease);
        }
        if let Some(Failed { kind, reason, .. }) = failed.as_ref().filter(|failed| failed.at >= asked) {
            return Err(Error::new(*kind, reason.as_str()));
        }
        let name = match self.purpose {
            Purpose::Consume => "gantry consume",
            Purpose::Publish => "gantry publish",
        };
        let name = self.options.connection_name.as_deref().unwrap_or(name);
        match connect(&self.options, name, &context.options).await {
            Ok(connected) => {
                *failed = None;
                Ok(self.add(connected, channels))
            }
            Err(error) => {
                *failed = Some(Failed { at: Instant::now(), kind: error.kind(), reason: error.chain() });
                Err(error)
            }
        }
    }

    /// One that is open and has room.
    fn join(self: &Arc<Self>, channels: usize) -> Option<Lease> {
        let mut open = lock(&self.open);
        open.retain(|member| member.connected.is_alive());
        let has_room = |member: &&mut Member| {
            member.connected.takes(channels) && member.channels + channels <= member.connected.channel_max()
        };
        let member = open.iter_mut().find(has_room)?;
        member.users += 1;
        member.channels += channels;
        Some(self.used(member.connected.clone(), channels))
    }

    fn add(self: &Arc<Self>, connected: Connected, channels: usize) -> Lease {
        let connected = Arc::new(connected.shared());
        let channels = channels.min(connected.channel_max());
        lock(&self.open).push(Member { connected: connected.clone(), users: 1, channels });
        self.used(connected, channels)
    }

    fn used(self: &Arc<Self>, connected: Arc<Connected>, channels: usize) -> Lease {
        let endings = Arc::clone(&self.endings);
        Lease { connected, channels, connections: Some(self.clone()), endings, left: AtomicBool::new(false) }
    }

    /// Whether that was its last user.
    fn leave(&self, connected: &Arc<Connected>, channels: usize) -> bool {
        let mut open = lock(&self.open);
        let Some(index) = open.iter().position(|member| Arc::ptr_eq(&member.connected, connected)) else {
            // It has ended, and nobody comes to it any more.
            return false;
        };
        open[index].users -= 1;
        open[index].channels -= channels;
        let last = open[index].users == 0;
        if last {
            open.swap_remove(index);
        }
        last
    }
}

impl Lease {
    /// How many channels it may have open at once.
    pub(crate) const fn channels(&self) -> usize {
        self.channels
    }

    /// Whether others may use the connection, too.
    pub(crate) const fn is_shared(&self) -> bool {
        self.connections.is_some()
    }

    /// Leaves the connection; the last one says goodbye. Its channels are closed before, where others go on.
    pub(crate) async fn release(&self) -> Result<()> {
        if self.leave() { self.connected.close().await } else { Ok(()) }
    }

    /// Whether nobody uses the connection any more.
    fn leave(&self) -> bool {
        let first = !self.left.swap(true, Ordering::Relaxed);
        first && self.connections.as_ref().is_none_or(|connections| connections.leave(&self.connected, self.channels))
    }

    /// A channel to consume that queue on. Opened when no other one of the process holds anything of the queue any more.
    ///
    /// # Errors
    /// One that does not end: a connection that does not answer. The next attempt is on another one.
    pub(crate) async fn consumer_channel(&self, queue: &Arc<str>) -> Result<ConsumerChannel> {
        let queue = Queue { vhost: Arc::clone(&self.vhost), name: Arc::clone(queue) };
        if tokio::time::timeout(ENDING_TIMEOUT, self.endings.of_queue(&queue)).await.is_err() {
            self.retire();
            let doing = format!("consuming queue \"{}\" on {}", queue.name, self.place());
            return Err(Error::disconnected(format!(
                "{doing}: the channel that consumed it before has not ended in {ENDING_TIMEOUT:?}"
            )));
        }
        Ok(ConsumerChannel::new(self.library_channel().await?, queue, Arc::clone(&self.endings)))
    }
}

impl Deref for Lease {
    type Target = Connected;

    fn deref(&self) -> &Connected {
        &self.connected
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.leave();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
