//! The runtime that the client library runs on: tokio, with streams of our own.
//!
//! The library takes any runtime, and a stream of the type that this one says. Only that is ours; all else is tokio's.

use std::{
    io::{self, Read, Write},
    net::SocketAddr,
    os::fd::{AsFd, AsRawFd},
    time::{Duration, Instant},
};

use async_compat::{Compat, CompatExt as _};
use async_rs::{
    Tokio,
    traits::{Executor, Reactor, RuntimeKit},
    util::Task,
};
use futures_io::{AsyncRead, AsyncWrite};
use futures_util::Stream;
use lapin::AsyncTcpStream;
use tokio::net::TcpStream;

use super::escape::Escaping;

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct Kit(Tokio);

/// What the client library reads and writes: encrypted or not.
pub(super) type Transport = Escaping<AsyncTcpStream<Compat<TcpStream>>>;

impl Kit {
    /// The runtime that we are on.
    pub(super) fn current() -> async_rs::Runtime<Self> {
        async_rs::Runtime::new(Self(Tokio::current()))
    }
}

impl RuntimeKit for Kit {}

impl Executor for Kit {
    type Task<T: Send + 'static> = <Tokio as Executor>::Task<T>;

    fn block_on<T, F: Future<Output = T>>(&self, future: F) -> T {
        self.0.block_on(future)
    }

    fn spawn<T: Send + 'static, F: Future<Output = T> + Send + 'static>(&self, future: F) -> Task<Self::Task<T>> {
        self.0.spawn(future)
    }

    fn spawn_blocking<T: Send + 'static, F: FnOnce() -> T + Send + 'static>(&self, call: F) -> Task<Self::Task<T>> {
        self.0.spawn_blocking(call)
    }
}

impl Reactor for Kit {
    type TcpStream = Transport;
    type Sleep = <Tokio as Reactor>::Sleep;

    fn register<H: Read + Write + AsFd + AsRawFd + Send + 'static>(
        &self,
        socket: H,
    ) -> io::Result<impl AsyncRead + AsyncWrite + Send + Unpin + 'static> {
        self.0.register(socket)
    }

    fn sleep(&self, duration: Duration) -> Self::Sleep {
        self.0.sleep(duration)
    }

    fn interval(&self, duration: Duration) -> impl Stream<Item = Instant> + Send + 'static {
        self.0.interval(duration)
    }

    #[expect(clippy::manual_async_fn, reason = "an async fn would hold on to self, and the future must be 'static")]
    fn tcp_connect_addr(
        &self,
        address: SocketAddr,
    ) -> impl Future<Output = io::Result<Self::TcpStream>> + Send + 'static {
        async move {
            let stream = AsyncTcpStream::Plain(TcpStream::connect(address).await?.compat());
            Ok(Escaping::new(stream, &address.to_string(), 0))
        }
    }
}
