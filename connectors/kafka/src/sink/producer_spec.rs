//! What leads to a producer.

use std::sync::Arc;

use rdkafka::ClientConfig;

use crate::connection::ConnectionOptions;

/// Everything that a producer is made of. Two sinks for which that is equal can write by the same.
#[derive(Clone)]
pub(super) struct ProducerSpec {
    pub config: ClientConfig,
    /// How it logs in is not all in `config`: tokens come from elsewhere.
    pub connection: ConnectionOptions,
    /// A name for logs.
    pub who: Arc<str>,
    /// Others may write by it, too.
    pub shared: bool,
}

impl ProducerSpec {
    /// Whether who asks for that may get this.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.shared
            && other.shared
            && self.connection.sasl == other.connection.sasl
            && self.config.config_map() == other.config.config_map()
    }
}
