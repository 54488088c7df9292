//! RabbitMQ over AMQP 0-9-1.
//!
//! In reading order:
//!
//! 1. [`connection`]: where the broker is and how to get in; several URLs, tried in turn
//! 2. [`source`]: queues as lanes, with bulk acknowledgements
//! 3. [`convert`]: AMQP deliveries, properties and typed header tables to records, and values back
//! 4. [`arguments`]: typed arguments of queues, exchanges, bindings and consumers, as YAML says them
//! 5. [`error`]: what RabbitMQ and the client library say, in the kinds that the runtime acts on
//!
//! # Architecture invariants
//! - Automatic recovery of the client library is off. An instance connects once and ends with its connection; the
//!   runtime makes a new one. So a delivery tag can never be acknowledged on another channel than its own (I3).
//! - Only [`source`]'s `deliveries` module reads from the client library's consumer, so that a faster decoder can take
//!   its place.

mod arguments;
mod connection;
mod convert;
mod error;
mod source;

use gantry_sdk::plugin::{ConnectionPlugin, SourcePlugin};

pub use arguments::Arguments;
pub use connection::{ConnectionOptions, TlsOptions};
pub use source::{BindingOptions, DeclareOptions, ExchangeOptions, GiveBack, QueueOptions, SourceOptions};

/// `connections: { x: { rabbitmq: … } }`.
pub const CONNECTION: ConnectionPlugin = ConnectionPlugin::of::<ConnectionOptions>("rabbitmq");

/// `source: { rabbitmq: … }`.
pub const SOURCE: SourcePlugin = SourcePlugin::of::<SourceOptions>(
    "rabbitmq",
    "Consumes RabbitMQ queues over AMQP 0-9-1 and acknowledges in bulk what was delivered.",
);
