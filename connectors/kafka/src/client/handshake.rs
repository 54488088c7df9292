//! Why a TLS handshake failed, in words that say what to do.
//!
//! Of a certificate that does not hold librdkafka says only that it does not. So the broker is asked for it once more, and
//! OpenSSL says what is wrong with it. That is done once for each different line, by a client that gets nowhere anyway.

use std::{
    net::{TcpStream, ToSocketAddrs as _},
    path::PathBuf,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use openssl::ssl::{SslConnector, SslMethod, SslVerifyMode};

/// How long connecting, and each step of the handshake, may take.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Whom a client trusts.
#[derive(Debug, Default)]
pub(crate) struct Trust {
    /// `None`: the system's authorities.
    ca_file: Option<PathBuf>,
    /// The last broker whose certificate was looked at, and what was wrong with it.
    looked: Mutex<Option<(String, String)>>,
}

impl Trust {
    /// Trusts the authorities in that file, or the system's.
    pub(crate) fn new(ca_file: Option<PathBuf>) -> Self {
        Self { ca_file, looked: Mutex::default() }
    }

    /// What librdkafka's line means, when it means that broker and client will not agree on a certificate.
    pub(super) fn explain(&self, reason: &str) -> Option<String> {
        // Other lines end up here as well, like that of a token that could not be fetched.
        let (place, _) = reason.split_once(": ").filter(|(place, _)| address(place).is_some())?;
        if reason.contains("certificate verify failed") {
            return Some(format!("{place}: {}", self.look(place)));
        }
        ours(reason).map(|what| format!("{place}: {what}"))
    }

    fn look(&self, place: &str) -> String {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, found)) = looked.as_ref().filter(|(before, _)| before == place) {
            return found.clone();
        }
        let found = match address(place).and_then(|(host, port)| self.ask(host, port)) {
            Some(found) => theirs(&found),
            None => {
                "the broker's certificate cannot be verified: is tls.ca_file the authority that signed it?".to_owned()
            }
        };
        *looked = Some((place.to_owned(), found.clone()));
        found
    }

    /// What OpenSSL finds wrong with the certificate that is shown there; `None` when it finds nothing, or nobody answers.
    fn ask(&self, host: &str, port: u16) -> Option<String> {
        let address = (host, port).to_socket_addrs().ok()?.next()?;
        let stream = TcpStream::connect_timeout(&address, TIMEOUT).ok()?;
        stream.set_read_timeout(Some(TIMEOUT)).ok()?;
        stream.set_write_timeout(Some(TIMEOUT)).ok()?;
        let mut connector = SslConnector::builder(SslMethod::tls_client()).ok()?;
        if let Some(path) = &self.ca_file {
            connector.set_ca_file(path).ok()?;
        }
        // Nothing is sent over it: it only has to get to the end.
        connector.set_verify(SslVerifyMode::NONE);
        let stream = connector.build().connect(host, stream).ok()?;
        let verdict = stream.ssl().verify_result();
        (verdict != openssl::x509::X509VerifyResult::OK).then(|| verdict.error_string().to_owned())
    }
}

/// Host and port of `ssl://host:port/bootstrap` or `sasl_ssl://[host]:port/5`.
fn address(place: &str) -> Option<(&str, u16)> {
    let (_, rest) = place.split_once("://")?;
    let (host, port) = rest.split('/').next()?.rsplit_once(':')?;
    Some((host.trim_start_matches('[').trim_end_matches(']'), port.parse().ok()?))
}

/// What it means when a broker hangs up on the very first request, and the client does not encrypt. librdkafka says so in
/// a log line only; its error is that all brokers are down.
pub(super) fn hung_up(line: &str) -> Option<String> {
    let line = line.rsplit_once("]: ").map_or(line, |(_, line)| line);
    let (place, rest) = line.split_once(": ")?;
    let is_first = rest.starts_with("Disconnected") && rest.contains("in state APIVERSION_QUERY");
    (is_first && !place.contains("ssl://"))
        .then(|| format!("{place}: it hangs up on the first request: if it is a TLS port, tls is missing (tls: {{}})"))
}

/// What it means when the other side hangs up in the middle of the handshake. librdkafka says mostly, not always, what it may be.
pub(super) fn broke_off(reason: &str) -> Option<String> {
    let broke_off = reason.contains("in state SSL_HANDSHAKE") && reason.contains("closed by peer");
    (broke_off && !reason.contains("PLAINTEXT"))
        .then(|| format!("{reason}: connecting to a PLAINTEXT listener? (then leave tls out)"))
}

/// OpenSSL's reasons not to take the broker's certificate (`X509_verify_cert_error_string`).
fn theirs(reason: &str) -> String {
    let text = match reason {
        "certificate has expired" => "the broker's certificate has expired: renew it there",
        "certificate is not yet valid" => "the broker's certificate is not valid yet: compare the clocks",
        "hostname mismatch" | "IP address mismatch" => {
            "the broker's certificate is for another host: connect by a name that it holds, or have it made for this one"
        }
        _ if reason.contains("self-signed") || reason.contains("self signed") || reason.contains("issuer") => {
            "the broker's certificate is signed by an authority that is not trusted: give that as tls.ca_file"
        }
        _ => return format!("the broker's certificate does not hold: {reason}"),
    };
    format!("{text} ({reason})")
}

/// The alerts by which a broker refuses the client's certificate (RFC 8446, section 6.2), as OpenSSL words them.
fn ours(reason: &str) -> Option<&'static str> {
    const ALERTS: [(&str, &str); 6] = [
        (
            "alert certificate required",
            "the broker asks for a certificate: give tls.certificate_file and tls.key_file, or tls.pkcs12_file",
        ),
        ("alert certificate expired", "the broker refuses this client's certificate: it has expired"),
        ("alert certificate revoked", "the broker refuses this client's certificate: it is revoked"),
        (
            "alert unknown ca",
            "the broker refuses this client's certificate: it does not know the authority that signed it",
        ),
        ("alert bad certificate", "the broker refuses this client's certificate, or asks for one and got none"),
        ("alert certificate unknown", "the broker refuses this client's certificate: it does not accept it"),
    ];
    ALERTS.iter().find(|(alert, _)| reason.contains(alert)).map(|(_, what)| *what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_a_line_has_host_and_port() {
        assert_eq!(address("ssl://kafka1:9093/bootstrap"), Some(("kafka1", 9093)));
        assert_eq!(address("sasl_ssl://[::1]:9093/5"), Some(("::1", 9093)));
        assert_eq!(address("GroupCoordinator"), None);
    }

    #[test]
    fn other_lines_are_left_alone() {
        let trust = Trust::default();
        assert_eq!(trust.explain("ssl://a:1/bootstrap: Connect to ipv4#127.0.0.1:1 failed: Connection refused"), None);
        assert_eq!(trust.explain("1/1 brokers are down"), None);
        let token = "Failed to acquire SASL OAUTHBEARER token: https://id/token: certificate verify failed";
        assert_eq!(trust.explain(token), None);
    }

    #[test]
    fn a_broker_that_hangs_up_in_the_handshake_may_not_speak_tls() {
        let reason =
            "ssl://a:1/bootstrap: Disconnected: SSL connection closed by peer (after 0ms in state SSL_HANDSHAKE)";
        assert!(broke_off(reason).is_some_and(|text| text.starts_with(reason) && text.contains("PLAINTEXT")));
        assert_eq!(broke_off("ssl://a:1/1: Disconnected: SSL connection closed by peer (after 9ms in state UP)"), None);
    }

    #[test]
    fn a_broker_that_hangs_up_at_once_may_speak_tls() {
        let line = |place: &str, state: &str| {
            hung_up(&format!(
                "[thrd:{place}]: {place}: Disconnected: connection closed by peer (after 0ms in state {state})"
            ))
        };
        let told = line("127.0.0.1:9093/bootstrap", "APIVERSION_QUERY").expect("it is the first request");
        assert!(told.starts_with("127.0.0.1:9093/bootstrap: it hangs up"), "{told}");
        assert_eq!(line("127.0.0.1:9093/bootstrap", "UP"), None);
        assert_eq!(line("ssl://127.0.0.1:9093/bootstrap", "APIVERSION_QUERY"), None);
    }

    #[test]
    fn a_refused_certificate_is_told_from_one_that_is_missing() {
        let explain = |alert: &str| Trust::default().explain(&format!("ssl://a:1/bootstrap: SSL: {alert}")).unwrap();
        assert!(explain("tlsv13 alert certificate required").contains("tls.certificate_file"));
        assert!(explain("tlsv1 alert unknown ca: SSL alert number 48").contains("authority"));
    }

    #[test]
    fn a_broker_that_does_not_answer_leaves_the_general_reason() {
        let explained =
            Trust::default().explain("ssl://127.0.0.1:9/bootstrap: SSL: certificate verify failed").unwrap();
        assert!(explained.contains("tls.ca_file"), "{explained}");
    }
}
