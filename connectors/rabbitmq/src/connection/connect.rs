//! Connects to the first broker that lets us in.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use gantry_sdk::{Error, ErrorKind, Result, plugin::CurrentOptions};
use lapin::{
    AsyncTcpStream, Connection, ConnectionProperties,
    uri::{AMQPUri, SASLMechanism},
};
use tokio::time::Instant;

use super::{
    ConnectionOptions,
    channel::Channel,
    endpoint::endpoint,
    escape::Escaping,
    failures, handshake,
    identity::Credentials,
    notices::{Notices, Telling},
    renewal::Renewal,
    runtime::Kit,
    socket::Cut,
};
use crate::error::{During, translate};

/// How long the other side may take to agree to a close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);

/// From one look for a free channel to the next.
const CHANNEL_PAUSE: Duration = Duration::from_millis(20);

/// A live connection. When it goes, its socket is shut down at once, so that nothing of it can linger.
pub(crate) struct Connected {
    connection: Connection,
    /// `host:port`.
    pub(crate) endpoint: Arc<str>,
    /// For error messages.
    pub(crate) vhost: Arc<str>,
    telling: Telling,
    /// One that is used up is replaced by another.
    is_shared: bool,
    /// Channels that were ever opened on it.
    opened: AtomicUsize,
    /// Nobody new comes to it.
    retired: AtomicBool,
    _cut: Cut,
}

/// Tries the URLs in turn, those that failed lately last. The error tells of each. `current` leads to the options as they are
/// later, for what expires in them.
pub(crate) async fn connect(options: &ConnectionOptions, name: &str, current: &CurrentOptions) -> Result<Connected> {
    let credentials = Arc::new(Credentials::read(&options.tls)?);
    let mut uris = options.endpoints().map_err(|reason| Error::config(format!("connection.urls: {reason}")))?;
    failures::sort(&mut uris, endpoint);
    let mut errors = Vec::new();
    for uri in uris {
        let endpoint = endpoint(&uri);
        let attempt = Attempt { uri, credentials: &credentials, name, current };
        match attempt.broker(options.connection_timeout.0).await {
            Ok(connected) => return Ok(connected),
            Err(error) => {
                tracing::debug!(endpoint, error = error.chain(), "could not connect");
                failures::note(&endpoint);
                errors.push(error);
            }
        }
    }
    Err(all_of(errors))
}

/// What is needed to get in at one URL.
struct Attempt<'a> {
    uri: AMQPUri,
    credentials: &'a Arc<Credentials>,
    name: &'a str,
    current: &'a CurrentOptions,
}

impl Attempt<'_> {
    async fn broker(&self, timeout: Duration) -> Result<Connected> {
        let deadline = Instant::now() + timeout;
        let addresses = self.addresses(timeout).await?;
        match addresses[..] {
            [only] => self.address(only, timeout, String::new()).await,
            _ => self.first_of(addresses, deadline).await,
        }
    }

    /// Tries each of the host's addresses, those that failed lately last, and gives each an even share of the time that is left:
    /// one that swallows everything leaves enough for the others.
    async fn first_of(&self, mut addresses: Vec<SocketAddr>, deadline: Instant) -> Result<Connected> {
        let endpoint = endpoint(&self.uri);
        let key = |address: &SocketAddr| format!("{endpoint} {}", address.ip());
        failures::sort(&mut addresses, key);
        let (mut errors, mut left) = (Vec::new(), addresses.len() as u32);
        for address in addresses {
            let share = deadline.saturating_duration_since(Instant::now()) / left.max(1);
            left -= 1;
            match self.address(address, share, format!(" ({})", address.ip())).await {
                // It answers: the others would say the same.
                Err(error) if error.kind().needs_a_person() => return Err(error),
                Err(error) => {
                    failures::note(&key(&address));
                    errors.push(error);
                }
                connected => return connected,
            }
        }
        Err(all_of(errors))
    }

    async fn addresses(&self, timeout: Duration) -> Result<Vec<SocketAddr>> {
        let authority = &self.uri.authority;
        let looking = tokio::net::lookup_host((authority.host.as_str(), authority.port));
        let found = match tokio::time::timeout(timeout, looking).await {
            Ok(Ok(found)) => found.collect::<Vec<_>>(),
            Ok(Err(error)) => return Err(Error::with_source(ErrorKind::Disconnected, self.context(""), error)),
            Err(_) => {
                let text = format!("{}: looking up its address: no answer in {timeout:?}", self.context(""));
                return Err(Error::disconnected(text));
            }
        };
        if found.is_empty() {
            return Err(Error::disconnected(format!("{}: the host has no address", self.context(""))));
        }
        Ok(found)
    }

    /// TCP, TLS and the handshake with one address. `which` names it where there are several.
    async fn address(&self, address: SocketAddr, timeout: Duration, which: String) -> Result<Connected> {
        let uri = self.uri.clone();
        let endpoint: Arc<str> = endpoint(&uri).into();
        let vhost: Arc<str> = uri.vhost.as_str().into();
        let (scheme, mechanism) = (uri.scheme.clone(), self.mechanism());
        let cut = Cut::default();
        let (opener, credentials, label) = (cut.opener(), Arc::clone(self.credentials), Arc::clone(&endpoint));
        let open = async move |uri: AMQPUri, _| {
            let stream = opener.open(&uri, address, &credentials, timeout).await.map_err(lapin::Error::from)?;
            let frame_max = uri.query.frame_max.unwrap_or_default();
            Ok(AsyncTcpStream::Plain(Escaping::new(stream, &label, frame_max)))
        };
        let connecting = Connection::connector(uri, Kit::current(), open, self.properties());
        let connection = match tokio::time::timeout(timeout, connecting).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => return Err(handshake::explain(&error, &scheme, mechanism, self.context(&which))),
            Err(_) => {
                let timeout = Duration::from_millis(u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX));
                return Err(Error::disconnected(format!("{}: no answer in {timeout:?}", self.context(&which))));
            }
        };
        let telling = Telling::of(&connection);
        let (opened, retired) = (AtomicUsize::new(0), AtomicBool::new(false));
        Ok(Connected { connection, endpoint, vhost, telling, is_shared: false, opened, retired, _cut: cut })
    }

    fn mechanism(&self) -> SASLMechanism {
        self.uri.query.auth_mechanism.unwrap_or_default()
    }

    fn context(&self, which: &str) -> String {
        let who = match self.mechanism() {
            SASLMechanism::External => "by certificate".to_owned(),
            SASLMechanism::Anonymous => "without a name".to_owned(),
            _ => format!("as \"{}\"", self.uri.authority.userinfo.username),
        };
        format!("connecting to {}{which} {who}, virtual host \"{}\"", endpoint(&self.uri), self.uri.vhost)
    }

    /// What RabbitMQ's management pages show of us, and a log-in that renews itself if it must. Automatic recovery stays off,
    /// see the crate's invariants.
    fn properties(&self) -> ConnectionProperties {
        let properties = ConnectionProperties::default()
            .with_connection_name(self.name.into())
            .with_client_property("product".into(), "Gantry".into())
            .with_client_property("version".into(), env!("CARGO_PKG_VERSION").into());
        match Renewal::of(&self.uri, self.current) {
            Some(renewal) => properties.with_auth_provider(renewal),
            None => properties,
        }
    }
}

fn is_full(error: &lapin::Error) -> bool {
    matches!(error.kind(), lapin::ErrorKind::ChannelsLimitReached)
}

/// One error of several: if only a person can mend each of them, so it is here; else time may.
fn all_of(errors: Vec<Error>) -> Error {
    let Some(first) = errors.first() else { return Error::config("connection.urls: names no broker") };
    let kind = first.kind();
    let kind = if errors.iter().all(|error| error.kind() == kind) {
        kind
    } else if errors.iter().all(|error| error.kind().needs_a_person()) {
        ErrorKind::Refused
    } else {
        ErrorKind::Disconnected
    };
    Error::new(kind, errors.iter().map(Error::chain).collect::<Vec<_>>().join("; "))
}

impl Connected {
    /// The same, for many.
    pub(super) fn shared(self) -> Self {
        Self { is_shared: true, ..self }
    }

    /// A new channel. Where no more are allowed it waits a moment for one that is being closed.
    pub(crate) async fn channel(&self) -> Result<Channel> {
        self.library_channel().await.map(Channel::new)
    }

    /// The same, for who ends it in a way of its own.
    pub(super) async fn library_channel(&self) -> Result<lapin::Channel> {
        let deadline = Instant::now() + CLOSE_TIMEOUT;
        self.opened.fetch_add(1, Ordering::Relaxed);
        loop {
            match self.connection.create_channel().await {
                Err(error) if is_full(&error) && Instant::now() < deadline => tokio::time::sleep(CHANNEL_PAUSE).await,
                // The client library refuses a channel's number for ever once RabbitMQ has closed that channel with an error, and begins anew
                // with the first number behind the last.
                Err(error) if self.is_alive() && (self.has_used_all() || self.is_shared && is_full(&error)) => {
                    self.retire();
                    return Err(Error::disconnected(format!(
                        "opening a channel to {}: the connection has used up its channels, and another one is opened",
                        self.endpoint
                    )));
                }
                Err(error) if is_full(&error) => {
                    return Err(Error::new(
                        ErrorKind::Refused,
                        format!(
                            "opening a channel to {}: only {} are allowed on a connection; raise `channel_max` there or in the \
                             URL",
                            self.endpoint,
                            self.channel_max()
                        ),
                    ));
                }
                opened => {
                    let context = || format!("opening a channel to {}", self.endpoint);
                    return opened.map_err(|error| translate(&error, During::SettingUp, context()));
                }
            }
        }
    }

    /// Does something that RabbitMQ has to answer, unless it has blocked the connection: then it reads nothing, the client library sends nothing,
    /// and whoever waited would do so without a word.
    pub(crate) async fn unless_blocked<T>(&self, doing: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            biased;
            reason = self.telling.blocked() => {
                Err(Error::disconnected(format!("RabbitMQ at {} has blocked the connection: {reason}", self.place())))
            }
            done = doing => done,
        }
    }

    /// Whether it is open for so many channels of somebody new.
    pub(super) fn takes(&self, channels: usize) -> bool {
        self.is_alive()
            && !self.retired.load(Ordering::Relaxed)
            && self.opened.load(Ordering::Relaxed) + channels <= self.channel_max()
    }

    /// Whoever is on it goes on, and nobody new comes.
    pub(crate) fn retire(&self) {
        self.retired.store(true, Ordering::Relaxed);
    }

    fn has_used_all(&self) -> bool {
        self.opened.load(Ordering::Relaxed) > self.channel_max()
    }

    /// How many channels both sides agreed on.
    pub(crate) fn channel_max(&self) -> usize {
        self.connection.configuration().channel_max().into()
    }

    /// How it is now, and what becomes of it.
    pub(crate) fn notices(&self) -> Notices {
        self.telling.notices()
    }

    /// Where it leads, for error messages.
    pub(crate) fn place(&self) -> String {
        format!("{}, virtual host \"{}\"", self.endpoint, self.vhost)
    }

    /// The largest frame that both sides agreed on, in bytes; 0 for any.
    pub(crate) fn frame_max(&self) -> usize {
        self.connection.configuration().frame_max() as usize
    }

    /// Whether the connection still stands; a channel can end alone.
    pub(crate) fn is_alive(&self) -> bool {
        self.connection.status().connected()
    }

    /// The connection was lost: another broker comes first next time.
    pub(crate) fn note_lost(&self) {
        failures::note(&self.endpoint);
    }

    /// Says goodbye, in order: everything sent before is on its way when this returns. Bounded in time. The socket goes when
    /// the last that holds this does.
    pub(crate) async fn close(&self) -> Result<()> {
        if !self.is_alive() {
            return Ok(());
        }
        let context = || format!("closing the connection to {}", self.endpoint);
        let closing = self.connection.close(200, "the bridge stops".into());
        match tokio::time::timeout(CLOSE_TIMEOUT, closing).await {
            Ok(Ok(())) => Ok(()),
            // It ended before we could end it: the same to us.
            Ok(Err(_)) if !self.is_alive() => Ok(()),
            Ok(Err(error)) => Err(translate(&error, During::Running, context())),
            Err(_) => Err(Error::disconnected(format!("{}: no answer in {CLOSE_TIMEOUT:?}", context()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_error_that_time_can_mend_decides() {
        let error = |kind| Error::new(kind, "x");
        assert_eq!(all_of(vec![error(ErrorKind::Refused), error(ErrorKind::Refused)]).kind(), ErrorKind::Refused);
        let mixed = vec![error(ErrorKind::Refused), error(ErrorKind::Disconnected)];
        assert_eq!(all_of(mixed).kind(), ErrorKind::Disconnected);
        let persons = vec![error(ErrorKind::Refused), error(ErrorKind::Missing)];
        assert_eq!(all_of(persons).kind(), ErrorKind::Refused);
    }

    #[tokio::test]
    async fn an_address_that_swallows_everything_leaves_time_for_the_next() {
        let listener = async || tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        // The one accepts and says nothing; nobody listens at the other.
        let silent = listener().await;
        let closed = listener().await.local_addr().expect("it is bound");
        let addresses = vec![silent.local_addr().expect("it is bound"), closed];
        let credentials = Arc::new(Credentials::default());
        let uri = "amqp://several.invalid".parse().expect("it is a good URL");
        let attempt = Attempt { uri, credentials: &credentials, name: "test", current: &CurrentOptions::default() };
        let tried = attempt.first_of(addresses, Instant::now() + Duration::from_millis(400)).await;
        let Err(error) = tried else { panic!("nobody is there") };
        assert_eq!(error.kind(), ErrorKind::Disconnected);
        let chain = error.chain();
        assert!(chain.contains("several.invalid:5672 (127.0.0.1) as \"guest\""), "{chain}");
        assert!(chain.contains("no answer in") && chain.contains("refused"), "{chain}");
    }
}
