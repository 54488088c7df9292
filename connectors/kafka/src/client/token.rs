//! The bearer token of SASL `OAUTHBEARER`: from a file that someone else keeps fresh, or from an identity provider.
//!
//! No error holds a token or a client's secret.

mod file;
mod oidc;

use std::{
    path::PathBuf,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use rdkafka::client::OAuthToken;
use serde_json::Value as Json;

pub(crate) use oidc::Oidc;

/// How long a token counts as good when nobody says how long. librdkafka asks again at four fifths of it.
const OPAQUE_LIFETIME: Duration = Duration::from_secs(300);

/// Where tokens come from and whose they are.
#[derive(Debug, Clone)]
pub(crate) struct TokenSource {
    pub origin: Origin,
    /// The principal, if not the token's own subject.
    pub principal: Option<String>,
}

/// Where tokens come from.
#[derive(Debug, Clone)]
pub(crate) enum Origin {
    /// This file.
    File(PathBuf),
    /// An identity provider.
    Provider(Oidc),
}

impl TokenSource {
    /// A token as it is now. Asking an identity provider blocks, for [`oidc::TIMEOUT`] at most.
    pub(crate) fn get(&self) -> Result<OAuthToken, String> {
        match &self.origin {
            Origin::File(path) => {
                let token = file::read(path)?;
                self.dated(token, None).map_err(|reason| format!("{}: {reason}", path.display()))
            }
            Origin::Provider(provider) => {
                let granted = provider.fetch()?;
                self.dated(granted.token, granted.lifetime).map_err(|reason| format!("{}: {reason}", provider.place()))
            }
        }
    }

    /// With its owner and its end: what the token says itself counts, then what came with it.
    fn dated(&self, token: String, lifetime: Option<Duration>) -> Result<OAuthToken, &'static str> {
        let claims = claims(&token);
        let text = |name: &str| claims.as_ref()?.get(name)?.as_str().map(str::to_owned);
        let principal_name = self.principal.clone().or_else(|| text("sub")).unwrap_or_else(|| "gantry".to_owned());
        let expires =
            claims.as_ref().and_then(|claims| claims.get("exp")?.as_f64()).map(|seconds| (seconds * 1e3) as i64);
        let lifetime = || now_ms().saturating_add(millis(lifetime.unwrap_or(OPAQUE_LIFETIME)));
        let lifetime_ms = expires.unwrap_or_else(lifetime);
        if lifetime_ms <= now_ms() {
            return Err("the token has expired: whoever renews it does not");
        }
        Ok(OAuthToken { token, principal_name, lifetime_ms })
    }
}

/// The claims of a JSON Web Token; `None` for a token that is none.
fn claims(token: &str) -> Option<Json> {
    let payload = token.split('.').nth(1)?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?).ok()
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, millis)
}

#[cfg(test)]
mod tests;
