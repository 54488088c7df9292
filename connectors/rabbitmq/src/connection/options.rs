//! What a person writes about a connection, and what is wrong with it.

use gantry_sdk::config::{DurationText, KeyPath, Problem, Secret, Severity};
use lapin::uri::{AMQPScheme, AMQPUri, SASLMechanism};
use schemars::JsonSchema;
use serde::Deserialize;

use super::url;
use crate::convert::short_string;

/// How to reach RabbitMQ and get in.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConnectionOptions {
    /// Brokers of one cluster, each `amqp://user:password@host:port/vhost` or `amqps://…`; the default virtual host is
    /// written `/%2f` or left out. They are tried in turn; one that failed lately comes last.
    pub urls: Vec<Secret>,
    /// The user name; overrides the URLs'. Without either it is `guest`.
    #[serde(default)]
    pub username: Option<String>,
    /// The password, as it is, whatever characters it holds; overrides the URLs'.
    #[serde(default)]
    pub password: Option<Secret>,
    /// How to log in; overrides the URLs' `auth_mechanism`. Default: `plain`.
    #[serde(default)]
    pub auth_mechanism: Option<AuthMechanism>,
    /// The virtual host, as it is; overrides the URLs'. Without either it is `/`.
    #[serde(default)]
    pub vhost: Option<String>,
    /// How often each side says that it is alive; a peer that is silent for two of these is gone. The broker may shorten
    /// it. Default: the URL's `heartbeat`, else 10s.
    #[serde(default)]
    pub heartbeat: Option<DurationText>,
    /// How long TCP, TLS and the AMQP handshake with one broker may take together.
    #[serde(default = "default_connection_timeout")]
    pub connection_timeout: DurationText,
    /// The name in RabbitMQ's management pages. Default: `gantry consume` and `gantry publish`, or `gantry BRIDGE/TASK` for
    /// one that is not shared.
    #[serde(default)]
    pub connection_name: Option<String>,
    /// All bridges with the same options of a connection use one to consume and one to publish. `false`: a connection for each
    /// source, sink and dead letter of a task.
    #[serde(default = "shares")]
    pub share: bool,
    /// Certificates for `amqps://`. Without them the system's authorities are trusted.
    #[serde(default)]
    pub tls: TlsOptions,
}

/// How to log in: a SASL mechanism that RabbitMQ knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AuthMechanism {
    /// User name and password.
    Plain,
    /// The same, in the way of AMQP's own first drafts.
    Amqplain,
    /// The client's certificate: RabbitMQ takes the user's name from it.
    External,
}

/// Certificates for `amqps://`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TlsOptions {
    /// A PEM file of authorities to trust beside the system's.
    #[serde(default)]
    pub ca_file: Option<String>,
    /// A PEM file with the client's own certificate and, after it, its chain. Needs `key_file`.
    #[serde(default)]
    pub certificate_file: Option<String>,
    /// A PEM file with the private key of `certificate_file`, not encrypted.
    #[serde(default)]
    pub key_file: Option<String>,
    /// The client's own certificate and key as a PKCS#12 file, instead of `certificate_file` and `key_file`.
    #[serde(default)]
    pub pkcs12_file: Option<String>,
    /// The password of `pkcs12_file`.
    #[serde(default)]
    pub pkcs12_password: Option<Secret>,
}

const fn shares() -> bool {
    true
}

const fn default_connection_timeout() -> DurationText {
    DurationText::seconds(10)
}

/// RabbitMQ's heartbeat guide: 5 to 20 seconds suit most networks, less than 5 gives false alarms. With 10 a peer that
/// vanished without a word is noticed after 20 seconds.
const DEFAULT_HEARTBEAT_SECONDS: u16 = 10;

impl ConnectionOptions {
    /// What cannot work or will hurt, found without I/O.
    pub fn check(&self) -> Vec<Problem> {
        let mut problems = self.check_urls();
        if let Some(vhost) = &self.vhost
            && let Err(reason) = short_string(vhost)
        {
            problems.push(Problem::error("vhost", reason));
        }
        if let Some(heartbeat) = self.heartbeat {
            problems.extend(check_heartbeat(heartbeat));
        }
        if self.connection_timeout.0.is_zero() {
            problems
                .push(Problem::error("connection_timeout", "with 0 no connection is ever made; 10s is the default"));
        }
        problems.extend(self.tls.check().into_iter().map(|problem| problem.under("tls")));
        problems
    }

    fn check_urls(&self) -> Vec<Problem> {
        if self.urls.is_empty() {
            return vec![Problem::error("urls", "names no broker: write at least one amqp:// or amqps:// URL")];
        }
        let mut problems = Vec::new();
        let mut encrypted = false;
        for (index, url) in self.urls.iter().enumerate() {
            let path = KeyPath::from("urls").index(index);
            match url::parse(url.reveal()) {
                Err(reason) => problems.push(Problem::error(path, reason)),
                Ok(uri) => {
                    encrypted |= uri.scheme == AMQPScheme::AMQPS;
                    if uri.vhost.is_empty() && self.vhost.is_none() {
                        problems.push(Problem::warning(
                            path,
                            "the / at its end names a virtual host whose name is empty; for the default one write /%2f or \
                             leave the / out",
                        ));
                    }
                }
            }
        }
        if problems.iter().all(|problem| problem.severity == Severity::Warning) {
            problems.extend(self.check_external());
        }
        if problems.is_empty() && !encrypted && self.tls != TlsOptions::default() {
            problems.push(Problem::warning("tls", "is never used: no URL begins with amqps://"));
        }
        problems
    }

    /// A log-in by certificate needs one, and a connection that carries it.
    fn check_external(&self) -> Option<Problem> {
        let uris = self.endpoints().ok()?;
        let is_external = |uri: &&AMQPUri| uri.query.auth_mechanism == Some(SASLMechanism::External);
        if !uris.iter().any(|uri| is_external(&uri)) {
            return None;
        }
        let path = if self.auth_mechanism.is_some() { "auth_mechanism" } else { "urls" };
        if uris.iter().filter(is_external).any(|uri| uri.scheme != AMQPScheme::AMQPS) {
            return Some(Problem::error(
                path,
                "external logs in by certificate, which only amqps:// shows to the broker",
            ));
        }
        let has_certificate = self.tls.certificate_file.is_some() || self.tls.pkcs12_file.is_some();
        (!has_certificate).then(|| {
            let text =
                "external logs in by certificate: give tls.certificate_file and tls.key_file, or tls.pkcs12_file";
            Problem::error(path, text)
        })
    }

    /// The URLs with everything that overrides a part of them, in the order they were written.
    pub(crate) fn endpoints(&self) -> Result<Vec<AMQPUri>, String> {
        self.urls.iter().map(|url| Ok(self.overridden(url::parse(url.reveal())?))).collect()
    }

    /// Where it connects to, for [`gantry_sdk::Description`]: `host:port` each, and `/vhost` behind it if that is not the
    /// default one. A reference to a variable or file that is not there stands as it is written. What does not parse is left
    /// out.
    pub(crate) fn addresses(&self) -> Vec<String> {
        self.urls.iter().filter_map(|url| self.address(url.reveal())).collect()
    }

    fn address(&self, url: &str) -> Option<String> {
        let behind = |vhost: &str| if vhost == "/" { String::new() } else { format!("/{}", vhost.replace('/', "%2f")) };
        if let Some(reference) = url::reference(url) {
            return Some(format!("{reference}{}", self.vhost.as_deref().map_or_else(String::new, behind)));
        }
        let AMQPUri { authority, vhost, .. } = self.overridden(url::parse(url).ok()?);
        let (host, port, vhost) = (authority.host, authority.port, behind(&vhost));
        Some(if host.contains(':') { format!("[{host}]:{port}{vhost}") } else { format!("{host}:{port}{vhost}") })
    }

    fn overridden(&self, mut uri: AMQPUri) -> AMQPUri {
        let user = &mut uri.authority.userinfo;
        if let Some(username) = &self.username {
            user.username.clone_from(username);
        }
        if let Some(password) = &self.password {
            password.reveal().clone_into(&mut user.password);
        }
        if let Some(vhost) = &self.vhost {
            uri.vhost.clone_from(vhost);
        }
        if let Some(mechanism) = self.auth_mechanism {
            uri.query.auth_mechanism = Some(mechanism.into());
        }
        let own = self.heartbeat.map(|heartbeat| u16::try_from(heartbeat.0.as_secs()).unwrap_or(u16::MAX));
        // 0 would leave the choice to the broker, whose 60 seconds notice a dead peer only after two minutes.
        let heartbeat = own.or(uri.query.heartbeat).filter(|seconds| *seconds > 0);
        uri.query.heartbeat = Some(heartbeat.unwrap_or(DEFAULT_HEARTBEAT_SECONDS));
        uri
    }
}

fn check_heartbeat(heartbeat: DurationText) -> Option<Problem> {
    let millis = heartbeat.0.as_millis();
    if millis == 0 || !millis.is_multiple_of(1000) || millis / 1000 > u128::from(u16::MAX) {
        return Some(Problem::error(
            "heartbeat",
            "must be whole seconds, at least 1s: without heartbeats a connection that died without a word would look \
             alive for ever",
        ));
    }
    (millis < 5000).then(|| {
        Problem::warning("heartbeat", "below 5s a busy broker or network looks like a dead one; 5s to 20s suit most")
    })
}

impl From<AuthMechanism> for SASLMechanism {
    fn from(mechanism: AuthMechanism) -> Self {
        match mechanism {
            AuthMechanism::Plain => Self::Plain,
            AuthMechanism::Amqplain => Self::AMQPlain,
            AuthMechanism::External => Self::External,
        }
    }
}

impl TlsOptions {
    fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.certificate_file.is_some() != self.key_file.is_some() {
            problems.push(Problem::error("", "certificate_file and key_file need each other"));
        }
        if self.certificate_file.is_some() && self.pkcs12_file.is_some() {
            problems.push(Problem::error("pkcs12_file", "instead of certificate_file and key_file, not beside them"));
        }
        if self.pkcs12_password.is_some() && self.pkcs12_file.is_none() {
            problems.push(Problem::error("pkcs12_password", "is for pkcs12_file, which is not given"));
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use gantry_sdk::config::deserialize;
    use serde_json::json;

    use super::*;

    fn options(json: serde_json::Value) -> ConnectionOptions {
        deserialize(&json).expect("the test's options parse")
    }

    fn messages(json: serde_json::Value) -> Vec<String> {
        options(json).check().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_plain_url_has_no_problems_and_a_heartbeat() {
        let options = options(json!({ "urls": ["amqp://rabbit1"] }));
        assert_eq!(options.check(), []);
        let uri = &options.endpoints().expect("it parses")[0];
        assert_eq!(uri.query.heartbeat, Some(10));
        assert_eq!(uri.vhost, "/");
    }

    #[test]
    fn what_stands_apart_overrides_the_url() {
        let options = options(json!({
            "urls": ["amqp://a:b@rabbit1/c?heartbeat=30"],
            "username": "gantry", "password": "p@ss/w:rd%", "vhost": "/orders", "heartbeat": "15s",
        }));
        assert_eq!(options.check(), []);
        let uri = &options.endpoints().expect("it parses")[0];
        assert_eq!(uri.authority.userinfo.username, "gantry");
        assert_eq!(uri.authority.userinfo.password, "p@ss/w:rd%");
        assert_eq!(uri.vhost, "/orders");
        assert_eq!(uri.query.heartbeat, Some(15));
    }

    #[test]
    fn every_problem_is_found_at_once() {
        let found = messages(json!({
            "urls": ["http://rabbit1", "amqp://rabbit2:port"],
            "vhost": "v".repeat(256), "heartbeat": "0s", "connection_timeout": "0ms",
            "tls": { "key_file": "k", "pkcs12_password": "secret" },
        }));
        assert_eq!(found.len(), 7, "{found:#?}");
        assert!(found.iter().all(|message| !message.contains("secret")), "{found:#?}");
    }

    #[test]
    fn what_will_hurt_is_a_warning() {
        let options = options(json!({ "urls": ["amqp://rabbit1/"], "heartbeat": "2s" }));
        let problems = options.check();
        assert_eq!(problems.len(), 2, "{problems:#?}");
        assert!(problems.iter().all(|problem| problem.severity == Severity::Warning));
    }

    #[test]
    fn no_url_and_unused_certificates_are_told() {
        assert_eq!(messages(json!({ "urls": [] })).len(), 1);
        let unused = messages(json!({ "urls": ["amqp://rabbit1"], "tls": { "ca_file": "ca.pem" } }));
        assert!(unused[0].starts_with("tls: is never used"), "{unused:?}");
    }

    #[test]
    fn a_login_by_certificate_needs_one_and_amqps() {
        let with = |url: &str, more: serde_json::Value| {
            let mut json = json!({ "urls": [url] });
            json.as_object_mut().expect("it is one").extend(more.as_object().expect("it is one").clone());
            messages(json)
        };
        let tls = json!({ "certificate_file": "c", "key_file": "k" });
        let external = json!({ "auth_mechanism": "external", "tls": tls });
        assert_eq!(with("amqps://rabbit1", external.clone()), Vec::<String>::new());
        assert_eq!(with("amqps://rabbit1?auth_mechanism=external", json!({ "tls": tls })), Vec::<String>::new());
        assert!(
            with("amqp://rabbit1", external)[0].starts_with("auth_mechanism: external logs in by certificate, which")
        );
        assert!(with("amqps://rabbit1", json!({ "auth_mechanism": "external" }))[0].contains("tls.pkcs12_file"));
        assert!(with("amqps://rabbit1?auth_mechanism=external", json!({}))[0].starts_with("urls: external"));
        let plain = options(json!({ "urls": ["amqps://rabbit1?auth_mechanism=external"], "auth_mechanism": "plain" }));
        assert_eq!(plain.endpoints().expect("it parses")[0].query.auth_mechanism, Some(SASLMechanism::Plain));
    }

    #[test]
    fn debug_shows_no_secret() {
        let options = options(json!({ "urls": ["amqp://u:hunter2@rabbit1"], "password": "hunter2" }));
        assert!(!format!("{options:?}").contains("hunter2"));
    }
}
