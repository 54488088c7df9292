//! Connects to the first broker that lets us in.

use std::{pin::Pin, sync::Arc, time::Duration};

use futures_util::Stream;
use gantry_sdk::{Error, ErrorKind, Result};
use lapin::{
    Connection, ConnectionProperties, Event, runtime,
    uri::{AMQPUri, SASLMechanism},
};

use super::{ConnectionOptions, failures, handshake, identity::Credentials, socket::Cut};
use crate::error::{During, translate};

/// What RabbitMQ says of the connection as a whole.
pub(crate) type Events = Pin<Box<dyn Stream<Item = Event> + Send>>;

/// How long the other side may take to agree to a close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);

/// A live connection. When it goes, its socket is shut down at once, so that nothing of it can linger.
pub(crate) struct Connected {
    connection: Connection,
    /// `host:port`.
    pub(crate) endpoint: Arc<str>,
    /// For error messages.
    pub(crate) vhost: Arc<str>,
    _cut: Cut,
}

/// Tries the URLs in turn, those that failed lately last. The error tells of each.
pub(crate) async fn connect(options: &ConnectionOptions, name: &str) -> Result<Connected> {
    let credentials = Arc::new(Credentials::read(&options.tls)?);
    let mut uris = options.endpoints().map_err(|reason| Error::config(format!("connection.urls: {reason}")))?;
    failures::sort(&mut uris, endpoint);
    let mut errors = Vec::new();
    for uri in uris {
        let endpoint = endpoint(&uri);
        match attempt(uri, &credentials, options.connection_timeout.0, name).await {
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

async fn attempt(uri: AMQPUri, credentials: &Arc<Credentials>, timeout: Duration, name: &str) -> Result<Connected> {
    let endpoint: Arc<str> = endpoint(&uri).into();
    let vhost: Arc<str> = uri.vhost.as_str().into();
    let (scheme, mechanism) = (uri.scheme.clone(), uri.query.auth_mechanism.unwrap_or_default());
    let who = match mechanism {
        SASLMechanism::External => "by certificate".to_owned(),
        SASLMechanism::Anonymous => "without a name".to_owned(),
        _ => format!("as \"{}\"", uri.authority.userinfo.username),
    };
    let context = || format!("connecting to {endpoint} {who}, virtual host \"{vhost}\"");
    let cut = Cut::default();
    let (opener, credentials) = (cut.opener(), Arc::clone(credentials));
    let open = async move |uri: AMQPUri, _| opener.open(&uri, &credentials, timeout).await.map_err(lapin::Error::from);
    let runtime = runtime::default_runtime().map_err(|error| translate(&error, During::Connecting, context()))?;
    let connecting = Connection::connector(uri, runtime, open, properties(name));
    let connection = match tokio::time::timeout(timeout, connecting).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return Err(handshake::explain(&error, &scheme, mechanism, context())),
        Err(_) => return Err(Error::disconnected(format!("{}: no answer in {timeout:?}", context()))),
    };
    Ok(Connected { connection, endpoint, vhost, _cut: cut })
}

/// What RabbitMQ's management pages show of us. Automatic recovery stays off, see the crate's invariants.
fn properties(name: &str) -> ConnectionProperties {
    ConnectionProperties::default()
        .with_connection_name(name.into())
        .with_client_property("product".into(), "Gantry".into())
        .with_client_property("version".into(), env!("CARGO_PKG_VERSION").into())
}

fn endpoint(uri: &AMQPUri) -> String {
    let host = &uri.authority.host;
    if host.contains(':') {
        format!("[{host}]:{}", uri.authority.port)
    } else {
        format!("{host}:{}", uri.authority.port)
    }
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
    /// A new channel.
    pub(crate) async fn channel(&self) -> Result<lapin::Channel> {
        let context = || format!("opening a channel to {}", self.endpoint);
        self.connection.create_channel().await.map_err(|error| translate(&error, During::SettingUp, context()))
    }

    /// Blocked and unblocked, from now on.
    pub(crate) fn events(&self) -> Events {
        Box::pin(self.connection.events_listener())
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

    /// Says goodbye, in order: everything sent before is on its way when this returns. Bounded in time.
    pub(crate) async fn close(self) -> Result<()> {
        self.say_goodbye().await
    }

    /// The same for one that others may still hold; the socket goes with the last of them.
    pub(crate) async fn say_goodbye(&self) -> Result<()> {
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
}
