//! librdkafka's callbacks. They run on the poll thread and never block.

use std::sync::Arc;

use rdkafka::{
    ClientContext, Message as _,
    client::OAuthToken,
    config::RDKafkaLogLevel,
    error::KafkaError,
    producer::{BaseProducer, DeliveryResult, ProducerContext},
    types::RDKafkaErrorCode,
};

use super::{delivery::Token, members::Members, transaction_state::TransactionState};
use crate::client::BaseContext;

/// Our producer.
pub(super) type Producer = BaseProducer<Events>;

/// Where librdkafka's callbacks go.
#[derive(Debug)]
pub(super) struct Events {
    pub members: Arc<Members>,
    /// Of a producer that writes transactions.
    pub transaction: Option<Arc<TransactionState>>,
    pub base_context: BaseContext,
}

impl ClientContext for Events {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        if let Some(transaction) = &self.transaction {
            transaction.line(facility, text);
        }
        self.base_context.log(level, facility, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.base_context.error(error, reason);
    }

    fn stats_raw(&self, statistics: &[u8]) {
        self.base_context.stats_raw(statistics);
    }

    fn generate_oauth_token(&self, config: Option<&str>) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        self.base_context.generate_oauth_token(config)
    }
}

impl ProducerContext for Events {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, opaque: usize) {
        let (member, token) = Token::from_opaque(opaque);
        // Of a sink that has left nobody waits for anything.
        let Some(delivery) = self.members.delivery(member) else { return };
        match result {
            Ok(message) => delivery.delivered(token, || (message.topic(), message.partition(), message.offset())),
            Err((error, message)) => {
                let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown);
                delivery.failed(token, code, (message.topic(), message.partition()));
            }
        }
        if token == Token::POSITION
            && let Some(transaction) = &self.transaction
        {
            transaction.position_reported();
        }
    }
}
