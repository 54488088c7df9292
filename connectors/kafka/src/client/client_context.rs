//! The context of a librdkafka client: where its log lines and errors go, and where its bearer token comes from.
//!
//! A client that needs more of its context holds a [`BaseContext`] and hands these calls on to it.

use std::{error::Error, sync::Arc};

use rdkafka::{
    ClientContext, client::OAuthToken, config::RDKafkaLogLevel, consumer::ConsumerContext, error::KafkaError,
    types::RDKafkaErrorCode,
};

use super::{ClientState, TokenSource, Trust, handshake};

/// What one client says and how it logs in. Its calls come on the thread that polls the client.
#[derive(Debug)]
pub(crate) struct BaseContext {
    pub(crate) client_state: Arc<ClientState>,
    pub(crate) token: Option<TokenSource>,
    pub(crate) trust: Trust,
}

impl ClientContext for BaseContext {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        if let Some(reason) = handshake::hung_up(text) {
            self.client_state.error(&KafkaError::Global(RDKafkaErrorCode::BrokerTransportFailure), &reason);
        }
        self.client_state.line(level, facility, text);
    }

    fn stats_raw(&self, statistics: &[u8]) {
        self.client_state.brokers.take(statistics);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let broke_off = handshake::broke_off(reason);
        let reason = broke_off.as_deref().unwrap_or(reason);
        match self.trust.explain(reason) {
            Some(refusal) => self.client_state.error(&KafkaError::Global(RDKafkaErrorCode::SSL), &refusal),
            None => self.client_state.error(&error, reason),
        }
    }

    /// Blocks for some seconds at most, when the token is an identity provider's.
    fn generate_oauth_token(&self, _config: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        let source = self.token.as_ref().ok_or("there is neither sasl.token_file nor sasl.oidc")?;
        source.get().map_err(|reason| {
            self.client_state.error(&KafkaError::Global(RDKafkaErrorCode::Authentication), &reason);
            reason.into()
        })
    }
}

impl ConsumerContext for BaseContext {}
