//! A bearer token from an identity provider: OAuth 2.0 client credentials (RFC 6749, section 4.4), as Kafka's own clients
//! ask for it (KIP-768). librdkafka could do it too, but only with libcurl linked in.

use std::{fs, path::PathBuf, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use gantry_sdk::config::Secret;
use serde::Deserialize;
use ureq::{
    Agent,
    tls::{PemItem, RootCerts, TlsConfig, TlsProvider, parse_pem},
};

/// How long the provider may take. The thread that asks serves a client's events too, and they wait.
pub(super) const TIMEOUT: Duration = Duration::from_secs(5);
/// The most that an answer may hold.
const LARGEST: u64 = 1 << 20;

/// How to ask for a token.
#[derive(Debug, Clone)]
pub(crate) struct Oidc {
    pub token_url: String,
    pub client_id: String,
    pub client_secret: Secret,
    pub scope: Option<String>,
    pub ca_file: Option<PathBuf>,
}

/// What the provider gave.
pub(super) struct Granted {
    pub(super) token: String,
    pub(super) lifetime: Option<Duration>,
}

/// RFC 6749, section 5.1, or 5.2 when it refuses.
#[derive(Deserialize)]
struct Answer {
    access_token: Option<String>,
    expires_in: Option<f64>,
    error: Option<String>,
    error_description: Option<String>,
}

impl Oidc {
    /// Asks for a token.
    pub(super) fn fetch(&self) -> Result<Granted, String> {
        let failed = |reason: String| format!("{}: {reason}", self.place());
        let mut form = vec![("grant_type", "client_credentials")];
        form.extend(self.scope.as_deref().map(|scope| ("scope", scope)));
        let request = self.agent().map_err(failed)?.post(&self.token_url);
        let request = request.header("Authorization", self.authorization()).header("Accept", "application/json");
        let mut response = request.send_form(form).map_err(|error| failed(self.without_secrets(&error.to_string())))?;
        let status = response.status();
        let text = response.body_mut().with_config().limit(LARGEST).read_to_string();
        let text = text.map_err(|error| failed(format!("reading its answer: {error}")))?;
        let answer = serde_json::from_str::<Answer>(&text).ok();
        match answer {
            Some(Answer { access_token: Some(token), expires_in, .. }) if status.is_success() => {
                let lifetime = expires_in.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
                Ok(Granted { token, lifetime })
            }
            Some(Answer { error: Some(error), error_description, .. }) => {
                let description = error_description.map(|text| format!(", {text}")).unwrap_or_default();
                Err(failed(self.without_secrets(&format!("it answered {status}: {error}{description}"))))
            }
            _ if status.is_success() => Err(failed("its answer holds no access_token".to_owned())),
            _ => Err(failed(format!("it answered {status}"))),
        }
    }

    /// Where it asks and as whom, for messages: the URL without its credentials and its query.
    pub(super) fn place(&self) -> String {
        let (scheme, rest) = self.token_url.split_once("://").unwrap_or(("", &self.token_url));
        let rest = rest.split(['?', '#']).next().unwrap_or_default();
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let host = authority.rsplit('@').next().unwrap_or_default();
        format!("fetching a token from {scheme}://{host}{path} as \"{}\"", self.client_id)
    }

    /// RFC 6749, section 2.3.1: both halves are form-encoded before they are joined.
    fn authorization(&self) -> String {
        let pair = format!("{}:{}", encoded(&self.client_id), encoded(self.client_secret.reveal()));
        format!("Basic {}", STANDARD.encode(pair))
    }

    fn agent(&self) -> Result<Agent, String> {
        let roots = match &self.ca_file {
            None => RootCerts::PlatformVerifier,
            Some(path) => {
                let wrong =
                    |reason: &dyn std::fmt::Display| format!("oidc.ca_file: reading {}: {reason}", path.display());
                let pem = fs::read(path).map_err(|error| wrong(&error))?;
                let certificates = parse_pem(&pem).filter_map(|item| match item {
                    Ok(PemItem::Certificate(certificate)) => Some(certificate),
                    _ => None,
                });
                let certificates: Vec<_> = certificates.collect();
                if certificates.is_empty() {
                    return Err(wrong(&"it holds no PEM certificate"));
                }
                RootCerts::from(certificates)
            }
        };
        let tls = TlsConfig::builder().provider(TlsProvider::NativeTls).root_certs(roots).build();
        let config = Agent::config_builder().tls_config(tls).timeout_global(Some(TIMEOUT));
        // A redirect would carry the credentials to somewhere else.
        Ok(config.http_status_as_error(false).max_redirects(0).build().new_agent())
    }

    fn without_secrets(&self, text: &str) -> String {
        match self.client_secret.reveal() {
            "" => text.to_owned(),
            secret => text.replace(secret, "…"),
        }
    }
}

/// As `application/x-www-form-urlencoded` has it.
fn encoded(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'*' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            // Writing to a String cannot fail.
            _ => _ = write!(out, "%{byte:02X}"),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn provider(url: &str) -> Oidc {
        Oidc {
            token_url: url.to_owned(),
            client_id: "gantry".to_owned(),
            client_secret: Secret::new("hunter2 &"),
            scope: None,
            ca_file: None,
        }
    }

    #[test]
    fn the_place_holds_no_secret() {
        let place = provider("https://u:hunter2@id.example:8443/realms/a/token?key=hunter2#x").place();
        assert_eq!(place, "fetching a token from https://id.example:8443/realms/a/token as \"gantry\"");
    }

    #[test]
    fn both_halves_are_encoded() {
        let expected = format!("Basic {}", STANDARD.encode("gantry:hunter2+%26"));
        assert_eq!(provider("http://h").authorization(), expected);
    }

    #[test]
    fn nobody_there_is_told_without_a_secret() {
        // Port 9 is nobody's on a machine of today.
        let error = provider("http://u:hunter2@127.0.0.1:9/token").fetch().err().unwrap();
        assert!(error.contains("http://127.0.0.1:9/token") && !error.contains("hunter2"), "{error}");
    }
}
