//! Where the brokers listen, in the clear and encrypted, and how each program is told.
//!
//! Only the programs under measurement connect over TLS. The benchmark itself uses the open listeners.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use lapin::uri::AMQPUri;
use serde_json::{Value as Json, json};

/// The user that scripts/brokers gives Kafka's encrypted listener. It guards nothing.
const KAFKA_USER: [&str; 2] = ["bridge", "bridge-secret"];
/// By which gantry finds RabbitMQ: a URL that holds a password stands in no file.
pub(crate) const AMQP_URL_VARIABLE: &str = "GANTRY_BENCH_AMQP_URL";

/// Where the brokers are.
#[derive(Debug, Clone, Args)]
pub(crate) struct Endpoints {
    /// RabbitMQ.
    #[arg(
        long,
        env = "GANTRY_TEST_AMQP_URL",
        default_value = "amqp://guest:guest@127.0.0.1:21672/%2f",
        hide_env_values = true
    )]
    pub(crate) amqp_url: String,

    /// Kafka.
    #[arg(long, env = "GANTRY_TEST_KAFKA", default_value = "127.0.0.1:21092")]
    pub(crate) bootstrap_servers: String,

    /// RabbitMQ's encrypted listener; the rest is that of the URL.
    #[arg(long, env = "GANTRY_TEST_AMQPS", default_value = "127.0.0.1:21671")]
    amqps: String,

    /// Kafka's encrypted listener, with a log-in by SASL PLAIN.
    #[arg(long, env = "GANTRY_TEST_KAFKA_SECURE", default_value = "127.0.0.1:21097")]
    kafka_tls: String,

    /// Where the file ca.pem of the brokers' authority is.
    #[arg(long, env = "GANTRY_TEST_TLS", default_value = ".brokers/tls", value_name = "DIR")]
    tls_dir: PathBuf,
}

impl Endpoints {
    /// The port that RabbitMQ listens on.
    pub(crate) fn amqp_port(&self) -> Result<u16> {
        // The parser's own words may quote the URL, which holds a password.
        let uri: AMQPUri = self.amqp_url.parse().map_err(|_| anyhow::anyhow!("--amqp-url is no AMQP URL"))?;
        Ok(uri.authority.port)
    }

    /// RabbitMQ's URL for a program.
    pub(crate) fn url(&self, encrypted: bool) -> Result<String> {
        if !encrypted {
            return Ok(self.amqp_url.clone());
        }
        let parts = || {
            let (login, place) = self.amqp_url.split_once("://")?.1.rsplit_once('@')?;
            Some((login, place.split_once('/')?.1))
        };
        let (login, vhost) = parts().context("--amqp-url names no user or no virtual host")?;
        Ok(format!("amqps://{login}@{}/{vhost}", self.amqps))
    }

    /// The connections `rabbit` and `events` of gantry's configuration.
    pub(crate) fn connections(&self, encrypted: bool) -> Result<Json> {
        let mut rabbit = json!({ "urls": [format!("${{env:{AMQP_URL_VARIABLE}}}")] });
        let mut events = json!({ "bootstrap_servers": self.servers(encrypted) });
        if encrypted {
            let [username, password] = KAFKA_USER;
            rabbit["tls"] = json!({ "ca_file": self.authority()? });
            events["tls"] = rabbit["tls"].clone();
            events["sasl"] = json!({ "mechanism": "PLAIN", "username": username, "password": password });
        }
        Ok(json!({ "rabbit": { "rabbitmq": rabbit }, "events": { "kafka": events } }))
    }

    /// The same for the floor, as arguments.
    pub(crate) fn floor_arguments(&self, encrypted: bool) -> Result<Vec<String>> {
        let mut arguments = vec![self.url(encrypted)?, self.servers(encrypted).to_owned()];
        if encrypted {
            let (authority, [username, password]) = (self.authority()?, KAFKA_USER);
            let properties = [
                ("security.protocol", "sasl_ssl"),
                ("ssl.ca.location", &authority),
                ("sasl.mechanism", "PLAIN"),
                ("sasl.username", username),
                ("sasl.password", password),
            ];
            arguments.push(format!("--ca-file={authority}"));
            arguments.extend(properties.map(|(name, value)| format!("--kafka={name}={value}")));
        }
        Ok(arguments)
    }

    fn servers(&self, encrypted: bool) -> &str {
        if encrypted { &self.kafka_tls } else { &self.bootstrap_servers }
    }

    fn authority(&self) -> Result<String> {
        let file = self.tls_dir.join("ca.pem");
        ensure!(file.is_file(), "no {}: say with --tls-dir where the authority of the brokers is", file.display());
        let file = file.canonicalize().context("finding the authority of the brokers")?;
        file.into_os_string().into_string().map_err(|_| anyhow::anyhow!("--tls-dir is no UTF-8"))
    }
}
