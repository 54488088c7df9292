//! Accepts connections and answers on them. However many clients hang, they hold a bounded part of the process.
//!
//! # Contract
//! - At most [`Limits::connections`] are open. When one more comes, the one that has waited longest for its client is
//!   closed for it, so that who asks for `/healthz` gets an answer. While all of them are being answered, the new one is
//!   closed.
//! - A client that does not send a whole header, or does not read its answer, for [`Limits::patience`] is cut off; so is one
//!   that asks nothing for so long. `wire` does the same with bodies.
//! - Running out of file descriptors costs one accept a second, and is told once.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{Router, body::Body, extract::Request};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    task::AbortHandle,
};
use tokio_io_timeout::TimeoutStream;
use tower_service::Service as _;

/// Request lines and headers of real clients are below 8 KiB. It is held by each connection.
const MAX_HEADER_BYTES: usize = 64 << 10;

/// A pause after an accept that failed for a reason that will not pass at once.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// How much clients may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Open connections.
    pub(super) connections: usize,
    /// How long to wait for a client.
    pub(super) patience: Duration,
}

/// A connection, as its requests see it.
#[derive(Debug, Clone)]
pub(super) struct Client {
    /// Our address that it came to.
    pub(super) local: SocketAddr,
    /// Since when it has been waiting for its client; `None` while an answer is being made.
    waiting: Arc<Mutex<Option<Instant>>>,
}

/// While this lives, the connection is not closed in favour of another.
#[derive(Debug)]
pub(super) struct Answering(Client);

struct Open {
    client: Client,
    task: AbortHandle,
}

/// Serves for ever. Its connections end with the runtime.
pub(super) async fn serve(tcp: TcpListener, router: Router, limits: Limits) -> Infallible {
    let mut open: Vec<Open> = Vec::new();
    let mut exhausted = false;
    loop {
        let stream = match tcp.accept().await {
            Ok((stream, _)) => stream,
            Err(error) if is_of_connection(&error) => continue,
            Err(error) => {
                if !std::mem::replace(&mut exhausted, true) {
                    tracing::warn!("accepting on the control port: {error}; it goes on once a second");
                }
                make_room(&mut open);
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        exhausted = false;
        open.retain(|open| !open.task.is_finished());
        if open.len() >= limits.connections && !make_room(&mut open) {
            continue;
        }
        // Without an address it is closed already.
        let Ok(local) = stream.local_addr() else { continue };
        let client = Client::new(local);
        let task = tokio::spawn(converse(stream, client.clone(), router.clone(), limits.patience)).abort_handle();
        open.push(Open { client, task });
    }
}

/// Whether only the connection that would have come is concerned.
fn is_of_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Closes the connection that has waited longest for its client, if there is one.
fn make_room(open: &mut Vec<Open>) -> bool {
    let waiting = open.iter().enumerate().filter_map(|(index, open)| Some((open.client.waiting_since()?, index)));
    let Some((_, index)) = waiting.min() else { return false };
    open.swap_remove(index).task.abort();
    true
}

async fn converse(stream: TcpStream, client: Client, router: Router, patience: Duration) {
    // Answers are small and go out whole.
    let _ = stream.set_nodelay(true);
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(patience));
    let answer = service_fn(move |request: hyper::Request<Incoming>| {
        let mut request: Request = request.map(Body::new);
        request.extensions_mut().insert(client.clone());
        // A router is always ready.
        router.clone().call(request)
    });
    let mut http = http1::Builder::new();
    // The time to read a header begins with the answer before: it is that of an idle connection too.
    http.timer(TokioTimer::new()).header_read_timeout(patience).max_buf_size(MAX_HEADER_BYTES);
    if let Err(error) = http.serve_connection(TokioIo::new(pin!(stream)), answer).await {
        tracing::debug!("a connection to the control port ended: {error}");
    }
}

// === impl Client ===

impl Client {
    pub(super) fn new(local: SocketAddr) -> Self {
        Self { local, waiting: Arc::new(Mutex::new(Some(Instant::now()))) }
    }

    /// From here on it does not wait for its client.
    pub(super) fn answering(&self) -> Answering {
        self.set_waiting(None);
        Answering(self.clone())
    }

    fn waiting_since(&self) -> Option<Instant> {
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_waiting(&self, since: Option<Instant>) {
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.set_waiting(Some(Instant::now()));
    }
}
