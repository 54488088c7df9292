//! Where the letters are.

use std::sync::Arc;

use gantry_sdk::plugin::Context;

use crate::{
    client::{BaseContext, ClientState},
    connection::{ConnectionOptions, Properties},
    headers::decode::Decoder,
};

/// A topic of dead letters, and what is needed to read it and to mark in it.
#[derive(Debug)]
pub(super) struct Store {
    pub connection: ConnectionOptions,
    /// The sink's own properties, for the producer of marks.
    pub properties: Properties,
    pub topic: String,
    pub decoder: Decoder,
    pub context: Context,
}

impl Store {
    /// A name for logs and quotas.
    pub(super) fn client_id(&self) -> String {
        let default = || format!("gantry-{}-dead-letters", self.context.bridge);
        self.connection.client_id.clone().unwrap_or_else(default)
    }

    /// What a client of ours says goes to its log and nowhere else.
    pub(super) fn base_context(&self) -> BaseContext {
        self.connection.base_context(Arc::new(ClientState::new(self.client_id().into())))
    }

    pub(super) fn doing(&self) -> String {
        format!("reading dead letters from topic \"{}\" at {}", self.topic, self.connection.address())
    }
}
