//! The connection to RabbitMQ.

use anyhow::{Context as _, Result};
use lapin::{Connection, DefaultConnectionBuilder, tcp::OwnedTLSConfig};

use crate::args::Args;

/// Connects, over TLS if the URL says so.
pub(crate) async fn connect(args: &Args) -> Result<Connection> {
    let authority = args.ca_file.as_ref().map(std::fs::read_to_string).transpose().context("reading --ca-file")?;
    let tls = OwnedTLSConfig { identity: None, cert_chain: authority };
    let builder = DefaultConnectionBuilder::new().context("starting the client library")?;
    let builder = builder.with_uri_str(args.amqp_url.clone()).with_tls_config(tls);
    builder.connect().await.context("connecting")
}
