//! A TCP proxy that does to connections what networks do to them: cut, refuse, fall silent, delay, throttle, reset.
//!
//! A client is told the proxy's address instead of the broker's. [`Proxy::set`] changes how the wire behaves from now on,
//! for open connections too; [`Proxy::cut`] ends what is open.

use std::{
    io::{self, ErrorKind},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::{mpsc, watch},
    task::JoinHandle,
    time::Instant,
};

use super::{SOON, eventually, random::Random};

/// Small, so that a reset falls into the middle of a frame and a throttled wire flows evenly.
const CHUNK: usize = 16 * 1024;

/// Chunks on a slow wire, a direction: with two seconds of latency it still moves 2 MB a second.
const ON_THE_WIRE: usize = 256;

/// How the wire behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Faults {
    /// New connections are closed at once.
    pub refuse: bool,
    /// Half-open: nothing passes any more, in neither direction, and nobody is told. A connection that was open, or is made,
    /// while this is on never works again, like one that a firewall has forgotten; it ends when both sides give it up.
    pub silent: bool,
    /// How much later everything arrives.
    pub latency: Duration,
    /// How much passes, a direction and connection. 0: as much as can.
    pub bytes_per_second: u64,
    /// How many chunks of ten thousand reset their connection instead of passing.
    pub resets: u64,
}

/// Forwards every connection to one address.
pub struct Proxy {
    port: u16,
    wire: Wire,
    accepting: JoinHandle<()>,
}

/// What all connections share.
#[derive(Clone)]
struct Wire {
    faults: watch::Sender<Faults>,
    cuts: watch::Sender<u64>,
    open: Arc<AtomicUsize>,
    seed: Arc<AtomicU64>,
}

impl Proxy {
    /// On any free port, to `upstream` (`host:port`).
    pub async fn start(upstream: &str) -> Self {
        Self::start_on(0, upstream, 0).await
    }

    /// On this port, as soon as the test before has let go of it. The seed decides which chunks are hit by resets.
    pub async fn start_on(port: u16, upstream: &str, seed: u64) -> Self {
        let what = format!("port {port} is free for a proxy");
        let listener = eventually(&what, SOON, async || TcpListener::bind(("127.0.0.1", port)).await.ok()).await;
        let port = listener.local_addr().expect("it is bound").port();
        let wire = Wire {
            faults: watch::Sender::new(Faults::default()),
            cuts: watch::Sender::new(0),
            open: Arc::new(AtomicUsize::new(0)),
            seed: Arc::new(AtomicU64::new(seed)),
        };
        let accepting = tokio::spawn(accept(listener, upstream.to_owned(), wire.clone()));
        Self { port, wire, accepting }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The same URL or address, with this proxy's port in place of the broker's.
    pub fn instead_of(&self, address: &str) -> String {
        let (_, place) = address.rsplit_once('@').unwrap_or(("", address));
        let place = place.split('/').next().expect("split gives something");
        let host = place.rsplit_once(':').expect("a port").0;
        address.replacen(place, &format!("{host}:{}", self.port), 1)
    }

    /// How the wire behaves from now on.
    pub fn set(&self, faults: Faults) {
        self.wire.faults.send_replace(faults);
    }

    /// New connections work again. Those that fell silent stay so.
    pub fn heal(&self) {
        self.set(Faults::default());
    }

    /// Resets every connection that is open.
    pub fn cut(&self) {
        self.wire.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// How many connections are open, as their clients see it.
    pub fn open(&self) -> usize {
        self.wire.open.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}

async fn accept(listener: TcpListener, upstream: String, wire: Wire) {
    loop {
        // It fails when this process has too many files open: the client sees a timeout, and the test says why.
        let Ok((client, _)) = listener.accept().await else { continue };
        let (upstream, wire) = (upstream.clone(), wire.clone());
        tokio::spawn(async move {
            wire.open.fetch_add(1, Ordering::Relaxed);
            wire.connect(client, &upstream).await;
            wire.open.fetch_sub(1, Ordering::Relaxed);
        });
    }
}

// === impl Wire ===

impl Wire {
    async fn connect(&self, mut client: TcpStream, upstream: &str) {
        let (mut faults, mut cuts) = (self.faults.subscribe(), self.cuts.subscribe());
        let now = *faults.borrow_and_update();
        if now.refuse {
            return reset(client);
        }
        if now.silent {
            tokio::select! {
                () = swallow(&mut client) => {}
                _ = cuts.changed() => reset(client),
            }
            return;
        }
        let Ok(mut server) = TcpStream::connect(upstream).await else { return reset(client) };
        let ended = tokio::select! {
            ended = self.forward(&mut client, &mut server) => ended,
            _ = cuts.changed() => Err(ErrorKind::ConnectionReset.into()),
            () = silence(&mut faults) => tokio::select! {
                ((), ()) = async { tokio::join!(swallow(&mut client), swallow(&mut server)) } => Ok(()),
                _ = cuts.changed() => Err(ErrorKind::ConnectionReset.into()),
            },
        };
        if ended.is_err() {
            reset(client);
            reset(server);
        }
    }

    async fn forward(&self, client: &mut TcpStream, server: &mut TcpStream) -> io::Result<()> {
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let (client_read, client_write) = client.split();
        let (server_read, server_write) = server.split();
        tokio::try_join!(self.carry(client_read, server_write), self.carry(server_read, client_write))?;
        Ok(())
    }

    /// One direction: what is read now is written when the latency has passed.
    async fn carry(&self, mut from: ReadHalf<'_>, mut to: WriteHalf<'_>) -> io::Result<()> {
        let mut random = Random::new(self.seed.fetch_add(1, Ordering::Relaxed));
        let (sender, mut receiver) = mpsc::channel::<(Instant, Vec<u8>)>(ON_THE_WIRE);
        let reading = async move {
            loop {
                let mut chunk = vec![0; CHUNK];
                let read = from.read(&mut chunk).await?;
                if read == 0 {
                    return Ok(());
                }
                chunk.truncate(read);
                let faults = *self.faults.borrow();
                if random.chance(faults.resets) {
                    return Err(ErrorKind::ConnectionReset.into());
                }
                // The other half has failed, and says so itself.
                if sender.send((Instant::now() + faults.latency, chunk)).await.is_err() {
                    return Ok(());
                }
            }
        };
        let writing = async move {
            while let Some((due, chunk)) = receiver.recv().await {
                tokio::time::sleep_until(due).await;
                let rate = self.faults.borrow().bytes_per_second;
                if let Some(micros) = (chunk.len() as u64 * 1_000_000).checked_div(rate) {
                    tokio::time::sleep(Duration::from_micros(micros)).await;
                }
                to.write_all(&chunk).await?;
            }
            to.shutdown().await
        };
        tokio::try_join!(reading, writing)?;
        Ok(())
    }
}

async fn silence(faults: &mut watch::Receiver<Faults>) {
    drop(faults.wait_for(|faults| faults.silent).await);
}

/// Reads into nothing until the other side gives up.
async fn swallow(stream: &mut TcpStream) {
    let mut chunk = vec![0; CHUNK];
    while let Ok(1..) = stream.read(&mut chunk).await {}
}

/// Closes with a reset: the peer is not told that everything was well.
fn reset(stream: TcpStream) {
    let _ = stream.set_zero_linger();
    drop(stream);
}
