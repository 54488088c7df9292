//! TLS and SASL.

use std::path::PathBuf;

use gantry_sdk::config::{Problem, Secret};
use rdkafka::ClientConfig;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::client::{Oidc, Origin, TokenSource, Trust};

/// How the connection is encrypted and who is trusted.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// Certificates (PEM) of the authorities to trust, instead of the system's.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// This client's own certificate (PEM), where brokers ask for one.
    #[serde(default)]
    pub certificate_file: Option<PathBuf>,
    /// The private key (PEM) of that certificate.
    #[serde(default)]
    pub key_file: Option<PathBuf>,
    /// The pass phrase of the private key.
    #[serde(default)]
    pub key_password: Option<Secret>,
    /// This client's own certificate and key as a PKCS#12 file, instead of `certificate_file` and `key_file`.
    #[serde(default)]
    pub pkcs12_file: Option<PathBuf>,
    /// The password of `pkcs12_file`.
    #[serde(default)]
    pub pkcs12_password: Option<Secret>,
    /// Check that the broker's certificate names the host that was connected to.
    #[serde(default = "yes")]
    pub verify_hostname: bool,
    /// Check the broker's certificate at all. Without it anyone in between can read and change everything.
    #[serde(default = "yes")]
    pub verify: bool,
}

/// Who logs in and how.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sasl {
    /// How to prove it.
    pub mechanism: Mechanism,
    /// Who logs in. For `OAUTHBEARER`: the principal, if not the token's own subject.
    #[serde(default)]
    pub username: Option<String>,
    /// The password, for `PLAIN` and `SCRAM`.
    #[serde(default)]
    pub password: Option<Secret>,
    /// `OAUTHBEARER`: a file that holds the token. It is read again whenever the token is about to expire, so whoever
    /// renews it (Kubernetes, a side-car) only has to replace the file.
    #[serde(default)]
    pub token_file: Option<PathBuf>,
    /// `OAUTHBEARER`: an identity provider that gives the token, instead of `token_file`.
    #[serde(default)]
    pub oidc: Option<OidcOptions>,
}

/// An identity provider, asked for a token by OAuth 2.0 client credentials.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OidcOptions {
    /// The provider's token endpoint: `https://…`.
    pub token_url: String,
    /// Who asks.
    pub client_id: String,
    /// What proves it.
    pub client_secret: Secret,
    /// What the token is to be good for; several with spaces between.
    #[serde(default)]
    pub scope: Option<String>,
    /// Certificates (PEM) of the authorities to trust for `token_url`, instead of the system's.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

/// A SASL mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum Mechanism {
    /// User and password as they are; only over TLS.
    #[serde(rename = "PLAIN")]
    Plain,
    /// Challenge and response with SHA-256.
    #[serde(rename = "SCRAM-SHA-256")]
    ScramSha256,
    /// Challenge and response with SHA-512.
    #[serde(rename = "SCRAM-SHA-512")]
    ScramSha512,
    /// A bearer token.
    #[serde(rename = "OAUTHBEARER")]
    OauthBearer,
}

const fn yes() -> bool {
    true
}

pub(super) const fn protocol(tls: Option<&Tls>, sasl: Option<&Sasl>) -> &'static str {
    match (tls, sasl) {
        (None, None) => "plaintext",
        (Some(_), None) => "ssl",
        (None, Some(_)) => "sasl_plaintext",
        (Some(_), Some(_)) => "sasl_ssl",
    }
}

// === impl Tls ===

impl Tls {
    pub(super) fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.certificate_file.is_some() != self.key_file.is_some() {
            problems.push(Problem::error("", "certificate_file and key_file belong together: give both or none"));
        }
        if self.key_password.is_some() && self.key_file.is_none() {
            problems.push(Problem::error("key_password", "there is no key_file that it could open"));
        }
        if self.pkcs12_file.is_some() && (self.certificate_file.is_some() || self.key_file.is_some()) {
            problems.push(Problem::error("pkcs12_file", "instead of certificate_file and key_file, not beside them"));
        }
        if self.pkcs12_password.is_some() && self.pkcs12_file.is_none() {
            problems.push(Problem::error("pkcs12_password", "is for pkcs12_file, which is not given"));
        }
        if !self.verify {
            problems.push(Problem::warning("verify", "anyone in between can read and change every message"));
        }
        problems
    }

    pub(super) fn apply(&self, config: &mut ClientConfig) {
        let files = [
            ("ssl.ca.location", &self.ca_file),
            ("ssl.certificate.location", &self.certificate_file),
            ("ssl.key.location", &self.key_file),
            ("ssl.keystore.location", &self.pkcs12_file),
        ];
        for (name, file) in files {
            if let Some(file) = file {
                config.set(name, file.to_string_lossy());
            }
        }
        let passwords = [("ssl.key.password", &self.key_password), ("ssl.keystore.password", &self.pkcs12_password)];
        for (name, password) in passwords {
            if let Some(password) = password {
                config.set(name, password.reveal());
            }
        }
        if !self.verify_hostname {
            config.set("ssl.endpoint.identification.algorithm", "none");
        }
        if !self.verify {
            config.set("enable.ssl.certificate.verification", "false");
        }
    }

    pub(super) fn trust(&self) -> Trust {
        Trust::new(self.ca_file.clone())
    }
}

// === impl Sasl ===

impl Sasl {
    pub(super) fn check(&self, encrypted: bool) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mechanism = self.mechanism.as_str();
        if self.mechanism == Mechanism::OauthBearer {
            self.check_bearer(&mut problems);
        } else {
            if self.username.as_deref().is_none_or(str::is_empty) {
                problems.push(Problem::error("username", format!("{mechanism} needs a user name")));
            }
            if self.password.is_none() {
                problems.push(Problem::error("password", format!("{mechanism} needs a password")));
            }
            let of_bearer = [("token_file", self.token_file.is_some()), ("oidc", self.oidc.is_some())];
            for (option, _) in of_bearer.into_iter().filter(|(_, is_given)| *is_given) {
                problems.push(Problem::error(option, format!("only OAUTHBEARER takes a token, not {mechanism}")));
            }
        }
        if !encrypted && matches!(self.mechanism, Mechanism::Plain | Mechanism::OauthBearer) {
            problems.push(Problem::warning(
                "mechanism",
                format!("{mechanism} without tls sends what it proves itself with in clear text"),
            ));
        }
        problems
    }

    fn check_bearer(&self, problems: &mut Vec<Problem>) {
        if self.token_file.is_some() == self.oidc.is_some() {
            let text =
                "OAUTHBEARER needs one of the two: the token_file that holds the token, or the oidc that gives it";
            problems.push(Problem::error("token_file", text));
        }
        if self.password.is_some() {
            problems.push(Problem::error("password", "OAUTHBEARER takes token_file or oidc, not a password"));
        }
        problems.extend(self.oidc.iter().flat_map(OidcOptions::check).map(|problem| problem.under("oidc")));
    }

    /// Where the bearer token comes from, when that is how to log in.
    pub(super) fn token(&self) -> Option<TokenSource> {
        if self.mechanism != Mechanism::OauthBearer {
            return None;
        }
        let origin = match (&self.token_file, &self.oidc) {
            (Some(path), _) => Origin::File(path.clone()),
            (None, Some(options)) => Origin::Provider(options.provider()),
            (None, None) => return None,
        };
        Some(TokenSource { origin, principal: self.username.clone() })
    }

    pub(super) fn apply(&self, config: &mut ClientConfig) {
        config.set("sasl.mechanism", self.mechanism.as_str());
        if self.mechanism == Mechanism::OauthBearer {
            return;
        }
        if let Some(username) = &self.username {
            config.set("sasl.username", username);
        }
        if let Some(password) = &self.password {
            config.set("sasl.password", password.reveal());
        }
    }
}

// === impl OidcOptions ===

impl OidcOptions {
    fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let rest = self.token_url.strip_prefix("https://").or_else(|| self.token_url.strip_prefix("http://"));
        let authority = rest.and_then(|rest| rest.split(['/', '?', '#']).next());
        match authority {
            None | Some("") => problems.push(Problem::error("token_url", "is not of the form https://host/path")),
            Some(authority) if authority.contains('@') => {
                problems
                    .push(Problem::error("token_url", "holds a user name: use client_id and client_secret instead"));
            }
            Some(_) if self.token_url.starts_with("http://") => problems.push(Problem::warning(
                "token_url",
                "http:// sends the client's secret and the token in clear text: use https://",
            )),
            Some(_) => {}
        }
        if self.client_id.is_empty() {
            problems.push(Problem::error("client_id", "is empty: it is the name that the identity provider knows"));
        }
        problems
    }

    fn provider(&self) -> Oidc {
        let Self { token_url, client_id, client_secret, scope, ca_file } = self.clone();
        Oidc { token_url, client_id, client_secret, scope, ca_file }
    }
}

// === impl Mechanism ===

impl Mechanism {
    /// Its name in the protocol.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
            Self::OauthBearer => "OAUTHBEARER",
        }
    }
}
