//! The names under which a sink writes transactions, and how long one may last.

use std::{sync::Arc, time::Duration};

use gantry_sdk::Context;

use crate::sink::SinkOptions;

/// Where positions are kept unless the options say otherwise.
const CHECKPOINTS_TOPIC: &str = "gantry-checkpoints";
/// librdkafka's own default.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A sink's names at the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sink) struct Identity {
    /// Of the producer: a task of a bridge has its own.
    pub transactional_id: String,
    /// Whose the positions are: all tasks of a bridge share them.
    pub owner: Owner,
    /// The topic of the positions.
    pub topic: Arc<str>,
    /// After so long the broker aborts a transaction that is still open.
    pub timeout: Duration,
}

/// Whose positions are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sink) enum Owner {
    /// The bridge's of this name.
    Bridge(String),
    /// Whoever has this `transactional_id`.
    TransactionalId(String),
}

impl Identity {
    /// The names of a sink that writes transactions; `None` when it writes none. Dead letters are never written so.
    pub(in crate::sink) fn of(options: &SinkOptions, context: &Context) -> Option<Self> {
        if !context.exactly_once || context.dead_letter {
            return None;
        }
        let (base, owner) = match &options.transactional_id {
            Some(id) => (id.clone(), Owner::TransactionalId(id.clone())),
            None => (format!("gantry-{}", context.bridge), Owner::Bridge(context.bridge.to_string())),
        };
        let properties = [&options.properties, &options.connection.properties];
        let timeout = properties.iter().find_map(|own| own.get("transaction.timeout.ms")?.trim().parse().ok());
        Some(Self {
            transactional_id: format!("{base}-{}", context.task),
            owner,
            topic: checkpoints_topic(options).into(),
            timeout: timeout.map_or(TIMEOUT, Duration::from_millis),
        })
    }
}

/// The topic of the positions.
pub(in crate::sink) fn checkpoints_topic(options: &SinkOptions) -> &str {
    options.checkpoints_topic.as_deref().unwrap_or(CHECKPOINTS_TOPIC)
}
