//! Asks the control port of a running gantry.

use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use serde_json::Value as Json;

/// Where it is; for all commands that ask.
#[derive(Debug, clap::Args)]
pub(super) struct Address {
    /// Where its control port is.
    #[arg(long, default_value = "http://127.0.0.1:8083", env = "GANTRY_URL")]
    url: String,
}

/// What to ask for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Method {
    Get,
    Put,
    Post,
}

/// A control port that takes longer to let in is not there.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);

impl Address {
    /// The answer's code and its JSON. Waits for it as long as `patience` says; without one, as long as it takes.
    pub(super) fn ask(&self, method: Method, path: &str, patience: Option<Duration>) -> anyhow::Result<(u16, Json)> {
        let url = &self.url;
        if url.starts_with("https:") {
            bail!("asking {url}: the control port speaks plain http; behind a proxy with TLS, ask from inside of it");
        }
        let address = format!("{}{path}", url.trim_end_matches('/'));
        // A control port is on this machine or in its network; what HTTP_PROXY names would be asked for the wrong one.
        let config = ureq::Agent::config_builder()
            .proxy(None)
            .timeout_connect(Some(CONNECT_PATIENCE))
            .timeout_global(patience)
            .http_status_as_error(false)
            .build();
        let agent = ureq::Agent::from(config);
        let answered = match method {
            Method::Get => agent.get(&address).call(),
            Method::Put => agent.put(&address).send_empty(),
            Method::Post => agent.post(&address).send_empty(),
        };
        let mut response = answered.map_err(|error| {
            anyhow!("asking {address}: {error}; is gantry running there? Its address is control.listen in its configuration, or --url here")
        })?;
        let status = response.status().as_u16();
        // Some say yes and nothing else.
        let body = match response.body_mut().read_to_vec() {
            Ok(body) if body.is_empty() => Ok(Json::Null),
            Ok(body) => serde_json::from_slice(&body).map_err(anyhow::Error::from),
            Err(error) => Err(error.into()),
        };
        let body = body.with_context(|| format!("asking {address}: its answer is not ours; is this gantry?"))?;
        Ok((status, body))
    }
}

/// An answer that is none of those that were hoped for.
pub(super) fn refusal(status: u16, answer: &Json) -> String {
    match answer["message"].as_str() {
        Some(message) => format!("it answered {status}: {message}"),
        None => format!("it answered {status}; is this gantry?"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_there_says_what_to_do() {
        let ask = |url: &str| Address { url: url.to_owned() }.ask(Method::Get, "/v1/bridges", None);
        // Port 1 of loopback: nothing listens there.
        let error = ask("http://127.0.0.1:1/").expect_err("nobody answers").to_string();
        assert!(error.contains("http://127.0.0.1:1/v1/bridges") && error.contains("control.listen"), "{error}");
        assert!(ask("https://example.com").is_err());
    }
}
