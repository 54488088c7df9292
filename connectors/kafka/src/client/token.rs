//! The bearer token of SASL `OAUTHBEARER`, from a file that someone else keeps fresh.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use rdkafka::client::OAuthToken;
use serde_json::Value as Json;

/// How long a token counts as good when it does not say itself. librdkafka asks again at four fifths of it.
const OPAQUE_LIFETIME: Duration = Duration::from_secs(300);

/// Where the token lies and whose it is.
#[derive(Debug, Clone)]
pub(crate) struct TokenFile {
    pub path: PathBuf,
    /// The principal, if not the token's own subject.
    pub principal: Option<String>,
}

impl TokenFile {
    /// Reads it. The error names the file and never its contents.
    pub(crate) fn read(&self) -> Result<OAuthToken, String> {
        let path = self.path.display();
        let token =
            fs::read_to_string(&self.path).map_err(|error| format!("reading the token file {path}: {error}"))?;
        let token = token.trim().to_owned();
        if token.is_empty() || token.contains('\0') {
            return Err(format!("the token file {path} holds no token"));
        }
        let claims = claims(&token);
        let text = |name: &str| claims.as_ref()?.get(name)?.as_str().map(str::to_owned);
        let principal_name = self.principal.clone().or_else(|| text("sub")).unwrap_or_else(|| "gantry".to_owned());
        let expires =
            claims.as_ref().and_then(|claims| claims.get("exp")?.as_f64()).map(|seconds| (seconds * 1e3) as i64);
        let lifetime_ms = expires.unwrap_or_else(|| now_ms() + OPAQUE_LIFETIME.as_millis() as i64);
        if lifetime_ms <= now_ms() {
            return Err(format!("the token in {path} has expired: whoever renews it does not"));
        }
        Ok(OAuthToken { token, principal_name, lifetime_ms })
    }
}

/// The claims of a JSON Web Token; `None` for a token that is none.
fn claims(token: &str) -> Option<Json> {
    let payload = token.split('.').nth(1)?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?).ok()
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, text: &str) -> TokenFile {
        let path = std::env::temp_dir().join(format!("gantry-token-{}-{name}", std::process::id()));
        fs::write(&path, text).unwrap();
        TokenFile { path, principal: None }
    }

    fn jwt(claims: &str) -> String {
        format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn a_web_token_says_who_and_until_when() {
        let token = file("jwt", &format!("{}\n", jwt(r#"{"sub":"orders","exp":4102444800}"#))).read().unwrap();
        assert_eq!(token.principal_name, "orders");
        assert_eq!(token.lifetime_ms, 4_102_444_800_000);
        assert!(token.token.ends_with(".sig"), "the file's new line is not part of the token");
    }

    #[test]
    fn an_opaque_token_is_read_again_soon() {
        let token = file("opaque", "abc").read().unwrap();
        assert_eq!(token.principal_name, "gantry");
        assert!(token.lifetime_ms > now_ms());
    }

    #[test]
    fn what_is_wrong_is_said_without_the_token() {
        let expired = file("expired", &jwt(r#"{"sub":"orders","exp":1}"#)).read().err().unwrap();
        assert!(expired.contains("has expired") && !expired.contains("e30"), "{expired}");
        assert!(file("empty", " \n").read().err().unwrap().contains("holds no token"));
        let missing = TokenFile { path: "/nonexistent/token".into(), principal: None }.read().err().unwrap();
        assert!(missing.contains("/nonexistent/token"), "{missing}");
    }
}
