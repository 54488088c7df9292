//! A password that is an access token (OAuth 2) expires while the connection lives: the broker gets the next one before.
//!
//! The client library asks when, and for what, and sends `connection.update-secret`. When a token expires is read from the
//! token itself, which only a JWT says (RFC 7519, `exp`); the next one is where the configuration's reference leads then.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use gantry_sdk::{Result, config::deserialize, plugin::CurrentOptions};
use lapin::{
    auth::AuthProvider,
    types::{LongString, ShortString},
    uri::{AMQPUri, SASLMechanism},
};
use serde_json::Value as Json;

use super::{ConnectionOptions, endpoint::endpoint};

/// The broker is told no more often, whatever a token says.
const SHORTEST: Duration = Duration::from_secs(1);

/// After a token has expired and no other is there, it is looked for so often, until the broker ends the connection.
const OVERDUE: Duration = Duration::from_secs(5);

/// Logs in with the token, and knows when and where to get the next one.
pub(super) struct Renewal {
    endpoint: String,
    username: String,
    token: Mutex<String>,
    options: CurrentOptions,
}

impl Renewal {
    /// `None` when the password is no token, or there is nowhere to look for the next one.
    pub(super) fn of(uri: &AMQPUri, options: &CurrentOptions) -> Option<Self> {
        let user = &uri.authority.userinfo;
        let is_plain = uri.query.auth_mechanism.unwrap_or_default() == SASLMechanism::Plain;
        (is_plain && options.are_known() && expiry(&user.password).is_some()).then(|| Self {
            endpoint: endpoint(uri),
            username: user.username.clone(),
            token: Mutex::new(user.password.clone()),
            options: options.clone(),
        })
    }

    /// The token that the configuration leads to now.
    fn next(&self) -> Result<String, String> {
        let options = self.options.read().map_err(|error| error.chain())?;
        let connection: ConnectionOptions =
            deserialize(options.get("connection").unwrap_or(&Json::Null)).map_err(|problem| problem.to_string())?;
        let uris = connection.endpoints()?;
        let ours = uris.into_iter().find(|uri| endpoint(uri) == self.endpoint);
        Ok(ours.ok_or("its URL is not in the configuration any more")?.authority.userinfo.password)
    }

    fn token(&self) -> MutexGuard<'_, String> {
        self.token.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AuthProvider for Renewal {
    fn mechanism(&self) -> ShortString {
        SASLMechanism::Plain.name().into()
    }

    fn auth_starter(&self) -> Result<LongString, String> {
        Ok(format!("\0{}\0{}", self.username, *self.token()).into())
    }

    fn valid_for(&self) -> Option<Duration> {
        let left = expiry(&self.token())?.duration_since(SystemTime::now());
        // Early enough for another look or two if the next one is not there yet.
        Some(left.map_or(OVERDUE, |left| (left * 4 / 5).max(SHORTEST)))
    }

    fn refresh(&self) -> Result<LongString, String> {
        let next = self.next()?;
        let is_new = next != *self.token();
        tracing::debug!(endpoint = self.endpoint, is_new, "telling RabbitMQ the access token");
        self.token().clone_from(&next);
        Ok(next.into())
    }
}

/// When a token expires, if it is a JWT that says so.
fn expiry(token: &str) -> Option<SystemTime> {
    let mut parts = token.split('.');
    let (_, claims, _, None) = (parts.next()?, parts.next()?, parts.next()?, parts.next()) else { return None };
    let claims: Json = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
    // RFC 7519: a number, with or without a fraction.
    SystemTime::UNIX_EPOCH.checked_add(Duration::try_from_secs_f64(claims.get("exp")?.as_f64()?).ok()?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn token(exp: &Json) -> String {
        let part = |json: &Json| URL_SAFE_NO_PAD.encode(json.to_string());
        format!("{}.{}.c2lnbmVk", part(&json!({ "alg": "RS256" })), part(&json!({ "sub": "x", "exp": exp })))
    }

    #[test]
    fn a_token_says_when_it_expires_and_a_password_does_not() {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs_f64(seconds);
        assert_eq!(expiry(&token(&json!(1_700_000_000))), Some(at(1_700_000_000.0)));
        assert_eq!(expiry(&token(&json!(1_700_000_000.5))), Some(at(1_700_000_000.5)));
        for other in ["", "hunter2", "a.b.c", &token(&json!("soon")), &token(&json!(-1)), &token(&json!(1e300))] {
            assert_eq!(expiry(other), None, "{other}");
        }
    }
}
