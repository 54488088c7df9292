//! A TCP or TLS stream to one broker that can be cut from outside.
//!
//! The client library reads its socket on a thread of its own. When the other side accepts and then says nothing, that
//! thread would wait for ever, one more at each attempt. [`Cut`] holds a second handle of the same socket and shuts it
//! down when it goes, which wakes and ends the thread whatever it waits for.

use std::{
    io,
    net::{Shutdown, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_compat::{Compat, CompatExt};
use lapin::{
    AsyncTcpStream,
    uri::{AMQPScheme, AMQPUri},
};
use tokio::net::TcpStream;

use super::{handshake::Unverified, identity::Credentials};

/// Shuts the socket down when dropped, or keeps it from opening if it has not yet.
#[derive(Debug, Default)]
pub(crate) struct Cut(Arc<Mutex<State>>);

/// The side of a [`Cut`] that opens the socket.
#[derive(Debug, Clone)]
pub(crate) struct Opener(Arc<Mutex<State>>);

#[derive(Debug, Default)]
enum State {
    #[default]
    Waiting,
    Open(std::net::TcpStream),
    Cut,
}

impl Cut {
    /// To open the socket with.
    pub(crate) fn opener(&self) -> Opener {
        Opener(Arc::clone(&self.0))
    }
}

impl Drop for Cut {
    fn drop(&mut self) {
        let before = std::mem::replace(&mut *lock(&self.0), State::Cut);
        if let State::Open(socket) = before {
            // It fails when the socket is closed already, which is what we want.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

impl Opener {
    /// Connects to that address of the URL's host, and for `amqps` encrypts.
    pub(crate) async fn open(
        &self,
        uri: &AMQPUri,
        address: SocketAddr,
        credentials: &Credentials,
        timeout: Duration,
    ) -> io::Result<AsyncTcpStream<Compat<TcpStream>>> {
        // Bounded here too: this runs on the client library's thread, which nobody can interrupt before there is a socket.
        let stream = tokio::time::timeout(timeout, TcpStream::connect(address)).await??;
        stream.set_nodelay(true)?;
        let stream = AsyncTcpStream::Plain(self.keep(stream)?.compat());
        match uri.scheme {
            AMQPScheme::AMQP => Ok(stream),
            AMQPScheme::AMQPS => {
                let (connector, objection) = credentials.connector()?;
                let opened = stream.into_openssl(&connector, &uri.authority.host).await;
                opened.map_err(|error| match objection.get() {
                    Some(reason) => io::Error::other(Unverified(*reason)),
                    None => error,
                })
            }
        }
    }

    fn keep(&self, stream: TcpStream) -> io::Result<TcpStream> {
        let stream = stream.into_std()?;
        let handle = stream.try_clone()?;
        let mut state = lock(&self.0);
        if matches!(*state, State::Cut) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        *state = State::Open(handle);
        TcpStream::from_std(stream)
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use tokio::{io::AsyncReadExt, net::TcpListener};

    use super::*;

    async fn listener() -> (TcpListener, AMQPUri, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        (listener, AMQPUri::default(), address)
    }

    #[tokio::test]
    async fn a_cut_ends_the_connection_while_the_stream_lives() {
        let (listener, uri, address) = listener().await;
        let cut = Cut::default();
        let opened = cut.opener().open(&uri, address, &Credentials::default(), Duration::from_secs(5)).await;
        let _stream = opened.map_err(|error| panic!("{error}"));
        let (mut peer, _) = listener.accept().await.expect("it was connected to");
        drop(cut);
        let mut byte = [0];
        assert_eq!(peer.read(&mut byte).await.expect("an orderly end"), 0);
    }

    #[tokio::test]
    async fn what_was_cut_before_never_opens() {
        let (_listener, uri, address) = listener().await;
        let cut = Cut::default();
        let opener = cut.opener();
        drop(cut);
        let opened = opener.open(&uri, address, &Credentials::default(), Duration::from_secs(5)).await;
        assert_eq!(opened.err().map(|error| error.kind()), Some(io::ErrorKind::TimedOut));
    }
}
