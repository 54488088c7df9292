//! A wire to RabbitMQ that can fall silent, be slow, be cut, or say things that the broker did not.

use std::{sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, tcp::OwnedWriteHalf},
    sync::{Mutex, watch},
    task::JoinHandle,
};

use super::amqp_url;

/// How the wire is.
#[derive(Clone)]
struct Wire {
    silent: watch::Receiver<bool>,
    latency: watch::Receiver<Duration>,
}

/// Forwards every connection to the test broker.
pub(crate) struct Proxy {
    port: u16,
    /// The side to the client, to say things in the broker's name.
    to_client: Arc<Mutex<Option<OwnedWriteHalf>>>,
    silent: watch::Sender<bool>,
    /// How long everything takes, each way.
    latency: watch::Sender<Duration>,
    /// Everything that clients sent.
    sent: Arc<Mutex<Vec<u8>>>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let to_client = Arc::new(Mutex::new(None));
        let (silent, latency) = (watch::Sender::new(false), watch::Sender::new(Duration::ZERO));
        let sent = Arc::default();
        let wire = Wire { silent: silent.subscribe(), latency: latency.subscribe() };
        let accepting = tokio::spawn(accept(listener, Arc::clone(&to_client), Arc::clone(&sent), wire));
        Self { port, to_client, silent, latency, sent, accepting }
    }

    pub(crate) fn url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}/%2f", self.port)
    }

    /// Whether a client has sent these bytes.
    pub(crate) async fn has_sent(&self, bytes: &[u8]) -> bool {
        self.sent.lock().await.windows(bytes.len()).any(|window| window == bytes)
    }

    /// Nothing passes any more, and both sides believe that the other is there.
    pub(crate) fn fall_silent(&self) {
        self.silent.send_replace(true);
    }

    /// From now on everything takes so long, each way.
    pub(crate) fn slow_down(&self, latency: Duration) {
        self.latency.send_replace(latency);
    }

    /// Both sides see the end of the connection, and nobody listens any more.
    pub(crate) async fn fail(&self) {
        self.accepting.abort();
        *self.to_client.lock().await = None;
    }

    /// The client sees the end of the connection, and the broker then too; the next one is welcome.
    pub(crate) async fn drop_connection(&self) {
        *self.to_client.lock().await = None;
    }

    /// Whether somebody is connected through it.
    pub(crate) async fn is_used(&self) -> bool {
        self.to_client.lock().await.is_some()
    }

    /// A method frame in the broker's name. Only while nothing else is on its way.
    pub(crate) async fn say(&self, channel: u16, class: u16, method: u16, arguments: &[u8]) {
        let length = u32::try_from(arguments.len() + 4).expect("it is short");
        let mut frame = vec![1];
        frame.extend(channel.to_be_bytes());
        frame.extend(length.to_be_bytes());
        frame.extend(class.to_be_bytes());
        frame.extend(method.to_be_bytes());
        frame.extend(arguments);
        frame.push(0xce);
        let mut guard = self.to_client.lock().await;
        let side = guard.as_mut().expect("a client is connected");
        side.write_all(&frame).await.expect("the client listens");
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// One connection at a time, which is all that a source makes.
async fn accept(
    listener: TcpListener,
    to_client: Arc<Mutex<Option<OwnedWriteHalf>>>,
    sent: Arc<Mutex<Vec<u8>>>,
    wire: Wire,
) {
    let broker = amqp_url();
    let broker = broker.rsplit('@').next().and_then(|rest| rest.split('/').next()).expect("the URL names a host");
    loop {
        let (client, _) = listener.accept().await.expect("it listens");
        let server = TcpStream::connect(broker).await.expect("RabbitMQ answers; if not, run scripts/brokers up");
        let (client_read, client_write) = client.into_split();
        let (server_read, server_write) = server.into_split();
        *to_client.lock().await = Some(client_write);
        let upstream = Arc::new(Mutex::new(Some(server_write)));
        tokio::join!(
            forward(client_read, upstream, Some(Arc::clone(&sent)), wire.clone()),
            forward(server_read, Arc::clone(&to_client), None, wire.clone()),
        );
    }
}

async fn forward(
    mut from: tokio::net::tcp::OwnedReadHalf,
    to: Arc<Mutex<Option<OwnedWriteHalf>>>,
    copy: Option<Arc<Mutex<Vec<u8>>>>,
    mut wire: Wire,
) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        tokio::select! {
            biased;
            () = fell_silent(&mut wire.silent) => return std::future::pending().await,
            read = from.read(&mut buffer) => {
                let read = read.unwrap_or(0);
                if let Some(copy) = &copy {
                    copy.lock().await.extend_from_slice(&buffer[..read]);
                }
                let latency = *wire.latency.borrow();
                tokio::time::sleep(latency).await;
                let mut guard = to.lock().await;
                let Some(side) = guard.as_mut() else { return };
                if read == 0 || side.write_all(&buffer[..read]).await.is_err() {
                    // Dropped, it says goodbye.
                    *guard = None;
                    return;
                }
            }
        }
    }
}

async fn fell_silent(silent: &mut watch::Receiver<bool>) {
    drop(silent.wait_for(|silent| *silent).await);
}
