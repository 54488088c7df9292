//! How to reach a Kafka cluster: options and what they become in librdkafka. No I/O.
//!
//! Everything that librdkafka can be told is reachable by `properties`; what has an option of its own, and what would
//! break a guarantee, is refused there with the reason.

mod properties;
mod security;

use std::sync::Arc;

use gantry_sdk::config::{DurationText, Problem};
use rdkafka::ClientConfig;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};
use serde_json::Value as Json;

use crate::client::{BaseContext, ClientState};

pub use properties::{Properties, PropertyText};
pub(crate) use properties::{Rule, check_properties};
pub use security::{Mechanism, OidcOptions, Sasl, Tls};

/// A cluster and how to log in to it: what `connections: { x: { kafka: … } }` holds.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConnectionOptions {
    /// Brokers to ask first, each `host:port`: one text with commas between, or a list. The others are learnt from them.
    pub bootstrap_servers: BootstrapServers,
    /// Encrypts the connection. `tls: {}` trusts the certificate authorities of the system.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Tls")]
    pub tls: Option<Tls>,
    /// Logs in by SASL.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Sasl")]
    pub sasl: Option<Sasl>,
    /// The name that quotas and broker logs know this client by. Default: `gantry` for a producer that is shared, else
    /// `gantry-BRIDGE-TASK`.
    #[serde(default)]
    pub client_id: Option<String>,
    /// `true`: all sinks with the same options of a connection, and the same that concern the producer, write by one. Else each
    /// sink and dead letter of a task has a producer of its own.
    #[serde(default)]
    pub share: bool,
    /// How long opening may take before it counts as failed.
    #[serde(default = "default_connect_timeout")]
    pub connect_timeout: DurationText,
    /// Any other librdkafka property by its own name, for everything that uses this connection.
    #[serde(default)]
    pub properties: Properties,
}

/// Brokers to ask first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootstrapServers(pub Vec<String>);

const fn default_connect_timeout() -> DurationText {
    DurationText::seconds(10)
}

/// `tls:` with nothing after it would otherwise read as "no TLS".
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// Properties of librdkafka that have an option of their own in [`ConnectionOptions`].
const RULES: &[Rule] = &[
    Rule::own("bootstrap.servers", "bootstrap_servers"),
    Rule::own("metadata.broker.list", "bootstrap_servers"),
    Rule::own("client.id", "client_id"),
    Rule::own("security.protocol", "tls and sasl"),
    Rule::own("ssl.ca.location", "tls.ca_file"),
    Rule::own("ssl.certificate.location", "tls.certificate_file"),
    Rule::own("ssl.key.location", "tls.key_file"),
    Rule::own("ssl.key.password", "tls.key_password"),
    Rule::own("ssl.endpoint.identification.algorithm", "tls.verify_hostname"),
    Rule::own("enable.ssl.certificate.verification", "tls.verify"),
    Rule::own("sasl.mechanism", "sasl.mechanism"),
    Rule::own("sasl.mechanisms", "sasl.mechanism"),
    Rule::own("sasl.username", "sasl.username"),
    Rule::own("sasl.password", "sasl.password"),
    Rule::own("ssl.keystore.location", "tls.pkcs12_file"),
    Rule::own("ssl.keystore.password", "tls.pkcs12_password"),
    Rule::refused("ssl.key.pem", "it would be shown: use tls.key_file instead"),
    Rule::own("sasl.oauthbearer.method", "sasl.token_file or sasl.oidc"),
    Rule::own("sasl.oauthbearer.client.id", "sasl.oidc.client_id"),
    Rule::own("sasl.oauthbearer.client.secret", "sasl.oidc.client_secret"),
    Rule::own("sasl.oauthbearer.scope", "sasl.oidc.scope"),
    Rule::own("sasl.oauthbearer.token.endpoint.url", "sasl.oidc.token_url"),
    Rule::refused("plugin.library.paths", "plug-ins that are loaded at run time are not supported"),
    Rule::refused("log.queue", "logging belongs to Gantry"),
    Rule::refused("statistics.interval.ms", "Gantry sets it for its own use, and nobody else reads statistics"),
];

impl ConnectionOptions {
    /// What is wrong or will hurt; paths are relative to the connection's own section. `more` are the rules of the
    /// source or sink that uses the connection.
    pub(crate) fn check(&self, more: &[Rule]) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.bootstrap_servers.0.is_empty() {
            problems.push(Problem::error("bootstrap_servers", "name at least one broker, like \"kafka1:9092\""));
        }
        for server in &self.bootstrap_servers.0 {
            if server.is_empty() || server.contains(char::is_whitespace) {
                problems
                    .push(Problem::error("bootstrap_servers", format!("\"{server}\" is not of the form host:port")));
            }
        }
        if self.connect_timeout.0.is_zero() {
            problems.push(Problem::error("connect_timeout", "0ms leaves no time to connect"));
        }
        problems.extend(self.tls.iter().flat_map(Tls::check).map(|problem| problem.under("tls")));
        problems.extend(self.sasl.iter().flat_map(|sasl| sasl.check(self.tls.is_some())).map(|p| p.under("sasl")));
        problems.extend(check_properties(&self.properties, &[RULES, more]));
        problems
    }

    /// Where it connects to, for messages.
    pub(crate) fn address(&self) -> String {
        self.bootstrap_servers.0.join(",")
    }

    /// The context of a client that uses this connection, or the part of it that logs in and complains.
    pub(crate) fn base_context(&self, client_state: Arc<ClientState>) -> BaseContext {
        let trust = self.tls.as_ref().map(Tls::trust).unwrap_or_default();
        BaseContext { client_state, token: self.sasl.as_ref().and_then(Sasl::token), trust }
    }

    /// Puts it into a client's configuration.
    pub(crate) fn apply(&self, config: &mut ClientConfig) {
        config.set("bootstrap.servers", self.address());
        // Notices a half-open connection even when nothing is sent.
        config.set("socket.keepalive.enable", "true");
        config.set("security.protocol", security::protocol(self.tls.as_ref(), self.sasl.as_ref()));
        if let Some(tls) = &self.tls {
            tls.apply(config);
        }
        if let Some(sasl) = &self.sasl {
            sasl.apply(config);
        }
        self.properties.apply(config);
    }
}

/// Rules of [`ConnectionOptions`] for properties that a source or a sink sets for itself.
pub(crate) const CONNECTION_RULES: &[Rule] = RULES;

// === impl BootstrapServers ===

impl<'de> Deserialize<'de> for BootstrapServers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const EXPECTED: &str = "expected \"host:port\", with commas between several, or a list of them";
        let split = |text: &str| text.split(',').map(|server| server.trim().to_owned()).collect::<Vec<_>>();
        match Json::deserialize(deserializer)? {
            Json::String(text) => Ok(Self(split(&text))),
            Json::Array(items) => {
                let texts = items.iter().map(|item| item.as_str().map(split));
                let lists: Option<Vec<_>> = texts.collect();
                Ok(Self(lists.ok_or_else(|| de::Error::custom(EXPECTED))?.concat()))
            }
            _ => Err(de::Error::custom(EXPECTED)),
        }
    }
}

impl JsonSchema for BootstrapServers {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "BootstrapServers".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "array"],
            "items": { "type": "string" },
            "examples": ["kafka1:9092,kafka2:9092", ["kafka1:9092", "kafka2:9092"]]
        })
    }

    fn inline_schema() -> bool {
        true
    }
}

#[cfg(test)]
mod tests;
