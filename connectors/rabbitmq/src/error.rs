//! What RabbitMQ and the client library say, in the kinds that the runtime acts on.
//!
//! The same reply code means different things at different times: a 406 while declaring is an argument that does not
//! fit, a 406 while running is an acknowledgement that came too late. So every translation says [`During`] what.

use std::io;

use gantry_sdk::{Error, ErrorKind};
use lapin::ErrorKind as Lapin;

/// What was being done when the client library failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum During {
    /// TCP, TLS and the AMQP handshake.
    Connecting,
    /// Declaring, binding, starting consumers.
    SettingUp,
    /// Consuming and acknowledging.
    Running,
}

/// The client library's error as ours. `context` says what was being done and to what, without a secret.
pub(crate) fn translate(error: &lapin::Error, during: During, context: impl Into<String>) -> Error {
    Error::with_source(kind(error, during), context, reason(error, during))
}

/// What the runtime should do about it.
pub(crate) fn kind(error: &lapin::Error, during: During) -> ErrorKind {
    match error.kind() {
        Lapin::ProtocolError(reply) => reply_kind(reply.get_id(), reply.get_message().as_str(), during),
        Lapin::IOError(error) if is_certificate(error) => ErrorKind::Refused,
        Lapin::AuthProviderError(_) | Lapin::InvalidProtocolVersion(_) | Lapin::ChannelsLimitReached => {
            ErrorKind::Refused
        }
        // Before the handshake is done it is another protocol that answers; later it is a message that cannot be read.
        Lapin::ParsingError(_) if during == During::Connecting => ErrorKind::Refused,
        Lapin::IOError(_)
        | Lapin::RuntimeShutdownError(_)
        | Lapin::MissingHeartbeatError
        | Lapin::InvalidChannel(_)
        | Lapin::InvalidChannelState(..)
        | Lapin::InvalidConnectionState(_) => ErrorKind::Disconnected,
        _ => ErrorKind::Internal,
    }
}

/// AMQP 0-9-1 reply codes (specification §1.2, RabbitMQ's channels and connections guides).
fn reply_kind(code: u16, text: &str, during: During) -> ErrorKind {
    match code {
        // ACCESS_REFUSED: credentials, permissions, an exclusive consumer.
        403 => ErrorKind::Refused,
        // NOT_FOUND: queue, exchange. NO_ROUTE and INVALID_PATH do not happen to consumers.
        404 => ErrorKind::Missing,
        // RESOURCE_LOCKED: another connection's exclusive queue.
        405 => ErrorKind::Refused,
        // PRECONDITION_FAILED: while running either the acknowledgement timeout, which passes, or a tag that we should
        // not have acknowledged.
        406 if during == During::Running && text.contains("timed out") => ErrorKind::Disconnected,
        406 if during == During::Running => ErrorKind::Internal,
        406 => ErrorKind::Refused,
        // CONNECTION_FORCED: an operator or a shutdown. RESOURCE_ERROR, INTERNAL_ERROR: the broker's own trouble.
        320 | 506 | 541 => ErrorKind::Disconnected,
        // NOT_ALLOWED: virtual host, limits. NOT_IMPLEMENTED: this queue type cannot do that.
        530 | 540 => ErrorKind::Refused,
        _ => ErrorKind::Internal,
    }
}

/// OpenSSL's errors reach us as text only. A certificate that is not trusted will not be in a minute either.
fn is_certificate(error: &io::Error) -> bool {
    error.raw_os_error().is_none() && error.to_string().contains("certificate")
}

/// What happened, for people.
fn reason(error: &lapin::Error, during: During) -> String {
    match error.kind() {
        Lapin::ProtocolError(reply) => {
            format!("RabbitMQ answered {} {}", reply.get_id(), reply.get_message())
        }
        // The client library's way of saying that it read an end of file.
        Lapin::IOError(error) if error.kind() == io::ErrorKind::ConnectionAborted && error.raw_os_error().is_none() => {
            "the other side closed the connection".to_owned()
        }
        Lapin::IOError(error) => error.to_string(),
        Lapin::MissingHeartbeatError => "nothing was heard from RabbitMQ for two heartbeats".to_owned(),
        Lapin::ParsingError(_) if during == During::Connecting => {
            "what answers there does not speak AMQP 0-9-1".to_owned()
        }
        Lapin::ParsingError(_) => {
            "cannot read what RabbitMQ sent: a frame that breaks the rules of AMQP 0-9-1".to_owned()
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use lapin::protocol::{AMQPError, AMQPErrorKind};

    use super::*;

    fn reply(code: u16, text: &str) -> lapin::Error {
        let kind = AMQPErrorKind::from_id(code).unwrap_or_else(|| panic!("{code} is a reply code"));
        Lapin::ProtocolError(AMQPError::new(kind, text.into())).into()
    }

    #[test]
    fn reply_codes_become_kinds() {
        let ack_timeout = "PRECONDITION_FAILED - delivery acknowledgement on channel 1 timed out";
        let cases = [
            (403, "", During::Connecting, ErrorKind::Refused),
            (404, "", During::SettingUp, ErrorKind::Missing),
            (405, "", During::SettingUp, ErrorKind::Refused),
            (406, "inequivalent arg 'durable'", During::SettingUp, ErrorKind::Refused),
            (406, ack_timeout, During::Running, ErrorKind::Disconnected),
            (406, "unknown delivery tag 5", During::Running, ErrorKind::Internal),
            (320, "", During::Running, ErrorKind::Disconnected),
            (530, "", During::Connecting, ErrorKind::Refused),
            (540, "", During::SettingUp, ErrorKind::Refused),
            (541, "", During::Running, ErrorKind::Disconnected),
            (505, "", During::Running, ErrorKind::Internal),
        ];
        for (code, text, during, expected) in cases {
            assert_eq!(kind(&reply(code, text), during), expected, "{code} {text} {during:?}");
        }
    }

    #[test]
    fn an_untrusted_certificate_needs_a_person_and_a_reset_does_not() {
        let untrusted = io::Error::other("certificate verify failed: (self-signed certificate)");
        let untrusted: lapin::Error = Lapin::IOError(Arc::new(untrusted)).into();
        assert_eq!(kind(&untrusted, During::Connecting), ErrorKind::Refused);
        let reset: lapin::Error = Lapin::IOError(Arc::new(io::Error::from_raw_os_error(104))).into();
        assert_eq!(kind(&reset, During::Connecting), ErrorKind::Disconnected);
    }

    #[test]
    fn the_text_is_the_brokers_own() {
        let error = reply(404, "NOT_FOUND - no queue 'orders' in vhost '/'");
        let error = translate(&error, During::SettingUp, "consuming queue \"orders\"");
        assert_eq!(
            error.chain(),
            "consuming queue \"orders\": RabbitMQ answered 404 NOT_FOUND - no queue 'orders' in vhost '/'"
        );
    }
}
