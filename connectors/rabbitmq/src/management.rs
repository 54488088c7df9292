//! Which exchange leads where: the bindings of a virtual host, asked of RabbitMQ's management API.
//!
//! Only `gantry graph` asks, and only when it is given the API's URL; no bridge depends on the management plugin. Nothing that
//! is said of a failure holds the user or the password.

use std::time::Duration;

use gantry_sdk::{Endpoint, Error, Result, config::deserialize, endpoint::Route};
use serde::Deserialize;
use serde_json::Value as Json;
use ureq::{
    Agent,
    tls::{RootCerts, TlsConfig, TlsProvider},
};
use url::Url;

use crate::ConnectionOptions;

/// How long the API may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// As many bindings as fit in this are read: some hundred thousand.
const LARGEST_ANSWER: u64 = 64 << 20;

/// A binding as the API shows it.
#[derive(Debug, Deserialize)]
struct Binding {
    /// The exchange; the default one has no name.
    source: String,
    destination: String,
    /// `queue` or `exchange`.
    destination_type: String,
}

/// The bindings of the connection's virtual host. User and password are the URL's, else the connection's.
pub(crate) fn routes(connection: &Json, url: &str) -> Result<Vec<Route>> {
    let connection: ConnectionOptions =
        deserialize(connection).map_err(|problem| Error::config(format!("connection: {problem}")))?;
    let broker = connection.endpoints().map_err(Error::config)?.into_iter().next();
    let broker = broker.ok_or_else(|| Error::config("the connection names no broker"))?;
    // The error of the parser would not quote it, but says nothing that helps.
    let wrong = || Error::config("the URL of the management API is not one: write it like http://rabbit1:15672");
    let mut url = Url::parse(url).map_err(|_| wrong())?;
    let place = url.host_str().filter(|_| matches!(url.scheme(), "http" | "https")).ok_or_else(wrong)?.to_owned();
    let place = url.port().map_or_else(|| place.clone(), |port| format!("{place}:{port}"));
    if url.username().is_empty() {
        let user = &broker.authority.userinfo;
        url.set_username(&user.username).and_then(|()| url.set_password(Some(&user.password))).map_err(|()| wrong())?;
    }
    url.set_query(None);
    url.path_segments_mut().map_err(|()| wrong())?.pop_if_empty().extend(["api", "bindings", &broker.vhost]);

    let bindings = ask(&url).map_err(|reason| {
        Error::config(format!("asking the management API at {place} for the bindings of {:?}: {reason}", broker.vhost))
    })?;
    // Every queue is bound to the default exchange by its name; that is no news.
    let told = bindings.into_iter().filter(|binding| !binding.source.is_empty());
    Ok(told
        .map(|Binding { source, destination, destination_type }| {
            let kind = if destination_type == "exchange" { "exchange" } else { "queue" };
            Route { from: Endpoint::exact("exchange", source), to: Endpoint::exact(kind, destination) }
        })
        .collect())
}

fn ask(url: &Url) -> Result<Vec<Binding>, String> {
    let tls = TlsConfig::builder().provider(TlsProvider::NativeTls).root_certs(RootCerts::PlatformVerifier).build();
    let config = Agent::config_builder().tls_config(tls).timeout_global(Some(TIMEOUT));
    // A redirect would carry the credentials to somewhere else.
    let agent = config.http_status_as_error(false).max_redirects(0).build().new_agent();
    // The client sends what the URL says before the @ as basic authentication. Its errors may quote the URL.
    let secret = url.password().unwrap_or_default().to_owned();
    let hide = |error: ureq::Error| match secret.as_str() {
        "" => error.to_string(),
        secret => error.to_string().replace(secret, "…"),
    };
    let mut response = agent.get(url.as_str()).call().map_err(hide)?;
    match response.status().as_u16() {
        200 => response.body_mut().with_config().limit(LARGEST_ANSWER).read_json().map_err(hide),
        401 | 403 => {
            Err("it refuses this user: it needs the tag `management` or `monitoring`, and this virtual host".to_owned())
        }
        404 => Err("there is no such virtual host, or this is not RabbitMQ's management API".to_owned()),
        status => Err(format!("it answers {status}")),
    }
}
