//! Why TLS or the log-in did not come about, in words that say what to do.
//!
//! Most of OpenSSL's errors reach us as text only. What it is about decides the kind: a certificate that is not trusted, or
//! another protocol, will be no different in a minute.

use std::{fmt, io};

use gantry_sdk::{Error, ErrorKind};
use lapin::{
    ErrorKind as Lapin,
    uri::{AMQPScheme, SASLMechanism},
};
use openssl::x509::X509VerifyResult;

use crate::error::{During, translate};

/// What the client library says of an attempt to connect, as ours. `context` says what was being done and to what.
pub(super) fn explain(error: &lapin::Error, scheme: &AMQPScheme, mechanism: SASLMechanism, context: String) -> Error {
    let reason = match error.kind() {
        Lapin::IOError(io) if io.raw_os_error().is_none() => {
            let unverified = io.get_ref().and_then(|inner| inner.downcast_ref::<Unverified>());
            unverified.map(ToString::to_string).or_else(|| alert(&io.to_string()))
        }
        // Another protocol's answer; a TLS port answers a plain greeting with an alert.
        Lapin::ParsingError(_) if *scheme == AMQPScheme::AMQP => Some(
            "what answers there does not speak AMQP 0-9-1 in the clear: if it is a TLS port, write amqps://".to_owned(),
        ),
        _ => None,
    };
    if let Some(reason) = reason {
        return Error::with_source(ErrorKind::Refused, context, io::Error::other(reason));
    }
    // Without a word it could be a broker that stops just now as well: time may mend it.
    let hint = if hung_up(error) && !matches!(mechanism, SASLMechanism::Plain | SASLMechanism::AMQPlain) {
        format!("RabbitMQ does this when it does not offer {mechanism}: look at its plugins and \"auth_mechanisms\"")
    } else if reset(error) && *scheme == AMQPScheme::AMQP {
        // Its alert goes under when the reset comes before it is read.
        "a TLS port does this to who does not speak TLS: if it is one, write amqps://".to_owned()
    } else {
        return translate(error, During::Connecting, context);
    };
    Error::disconnected(format!("{}; {hint}", translate(error, During::Connecting, context).chain()))
}

/// The client library's way of saying that it read an end of file.
fn hung_up(error: &lapin::Error) -> bool {
    matches!(error.kind(), Lapin::IOError(io) if io.kind() == io::ErrorKind::ConnectionAborted && io.raw_os_error().is_none())
}

fn reset(error: &lapin::Error) -> bool {
    matches!(error.kind(), Lapin::IOError(io) if io.kind() == io::ErrorKind::ConnectionReset)
}

fn alert(text: &str) -> Option<String> {
    OURS.iter().find(|(part, _)| text.contains(part)).map(|(_, what)| (*what).to_owned())
}

/// OpenSSL does not take the broker's certificate.
#[derive(Debug)]
pub(super) struct Unverified(pub(super) X509VerifyResult);

impl std::error::Error for Unverified {}

impl fmt::Display for Unverified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = self.0.error_string();
        let text = match reason {
            "certificate has expired" => "the broker's certificate has expired: renew it there",
            "certificate is not yet valid" => "the broker's certificate is not valid yet: compare the clocks",
            "hostname mismatch" | "IP address mismatch" => {
                "the broker's certificate is for another host: connect by a name that it holds, or have it made for this one"
            }
            _ if reason.contains("self-signed") || reason.contains("self signed") || reason.contains("issuer") => {
                "the broker's certificate is signed by an authority that is not trusted: give that as tls.ca_file"
            }
            _ => "the broker's certificate does not hold",
        };
        write!(f, "{text} ({reason})")
    }
}

/// Alerts by which the broker refuses the client's certificate (RFC 8446, section 6.2), as OpenSSL words them, and what it
/// says of an answer that is no TLS.
const OURS: [(&str, &str); 7] = [
    (
        "alert certificate required",
        "the broker asks for a certificate: give tls.certificate_file and tls.key_file, or tls.pkcs12_file",
    ),
    ("alert certificate expired", "the broker refuses this client's certificate: it has expired"),
    ("alert certificate revoked", "the broker refuses this client's certificate: it is revoked"),
    ("alert unknown ca", "the broker refuses this client's certificate: it does not know the authority that signed it"),
    ("alert bad certificate", "the broker refuses this client's certificate, or asks for one and got none"),
    ("alert certificate unknown", "the broker refuses this client's certificate"),
    ("wrong version number", "what answers there does not speak TLS: if it is the plain AMQP port, write amqp://"),
];

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn explained(error: io::Error, mechanism: SASLMechanism) -> Error {
        explained_of(AMQPScheme::AMQPS, error, mechanism)
    }

    fn explained_of(scheme: AMQPScheme, error: io::Error, mechanism: SASLMechanism) -> Error {
        let error: lapin::Error = Lapin::IOError(Arc::new(error)).into();
        explain(&error, &scheme, mechanism, "connecting to h:5671".to_owned())
    }

    #[test]
    fn a_certificate_that_does_not_hold_needs_a_person() {
        // The usual reasons are tested with real certificates.
        let unverified = Unverified(X509VerifyResult::APPLICATION_VERIFICATION);
        let error = explained(io::Error::other(unverified), SASLMechanism::Plain);
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert!(
            error.chain().starts_with("connecting to h:5671: the broker's certificate does not hold ("),
            "{}",
            error.chain()
        );
    }

    #[test]
    fn an_alert_is_about_our_certificate_and_a_reset_is_not() {
        let missing = explained(io::Error::other("tlsv13 alert certificate required"), SASLMechanism::Plain);
        assert_eq!(missing.kind(), ErrorKind::Refused);
        assert!(missing.chain().contains("tls.certificate_file"), "{}", missing.chain());
        let reset = explained(io::Error::from_raw_os_error(104), SASLMechanism::External);
        assert_eq!(reset.kind(), ErrorKind::Disconnected);
        assert!(!reset.chain().contains("EXTERNAL") && !reset.chain().contains("amqps"), "{}", reset.chain());
    }

    #[test]
    fn who_resets_a_plain_greeting_may_be_a_tls_port() {
        let reset = explained_of(AMQPScheme::AMQP, io::Error::from_raw_os_error(104), SASLMechanism::Plain);
        assert_eq!(reset.kind(), ErrorKind::Disconnected);
        assert!(reset.chain().contains("amqps://"), "{}", reset.chain());
        let refused = explained_of(AMQPScheme::AMQP, io::Error::from_raw_os_error(111), SASLMechanism::Plain);
        assert!(!refused.chain().contains("amqps"), "{}", refused.chain());
    }

    #[test]
    fn a_broker_that_hangs_up_may_not_offer_the_mechanism() {
        let hung_up = || io::Error::from(io::ErrorKind::ConnectionAborted);
        let external = explained(hung_up(), SASLMechanism::External);
        assert_eq!(external.kind(), ErrorKind::Disconnected);
        assert!(external.chain().contains("does not offer EXTERNAL"), "{}", external.chain());
        assert!(!explained(hung_up(), SASLMechanism::Plain).chain().contains("offer"));
    }
}
