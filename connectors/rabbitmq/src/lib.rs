//! RabbitMQ over AMQP 0-9-1.
//!
//! In reading order:
//!
//! 1. `connection`: where the broker is and how to get in; several URLs, tried in turn
//! 2. `source`: queues as lanes, with bulk acknowledgements
//! 3. `sink`: publishing with confirms, a window on each of several channels
//! 4. `convert`: AMQP deliveries, properties and typed header tables to records, and values back
//! 5. `arguments`: typed arguments of queues, exchanges, bindings and consumers, as YAML says them
//! 6. `dead_letters`: dead letters out of their queue, and what the sink writes so that they come back whole
//! 7. `error`: what RabbitMQ and the client library say, in the kinds that the runtime acts on
//! 8. `management`: bindings, asked of the management API for `gantry graph`
//! 9. `probe`: what `gantry check --connect` asks
//! 10. `declare`: queues, exchanges and bindings that are created
//! 11. `header_size`: what headers take in a frame
//! 12. `names`: names as AMQP writes them
//!
//! # Architecture invariants
//! - Automatic recovery of the client library is off. An instance connects once and ends with its connection; the
//!   runtime makes a new one. So a delivery tag can never be acknowledged on another channel than its own (I3).
//! - Only `source`'s `deliveries` module reads from the client library's consumer, so that a faster decoder can take
//!   its place.

mod arguments;
mod connection;
mod convert;
mod dead_letters;
mod declare;
mod error;
mod header_size;
mod management;
mod names;
mod probe;
mod reserved;
mod sink;
mod source;

#[doc(hidden)]
pub mod fuzzing;

use gantry_sdk::plugin::{ConnectionPlugin, SinkPlugin, SourcePlugin};

pub use arguments::Arguments;
pub use connection::{AuthMechanism, ConnectionOptions, TlsOptions};
pub use declare::{BindingOptions, DeclareOptions, ExchangeOptions, QueueOptions};
pub use sink::{BrokerHeaders, HeaderEncoding, PropertyOptions, QueueMap, SinkOptions, Tombstones, Unroutable};
pub use source::{GiveBack, SourceOptions};

/// `connections: { x: { rabbitmq: … } }`.
pub const CONNECTION: ConnectionPlugin = ConnectionPlugin::of::<ConnectionOptions>("rabbitmq")
    .with_libraries(&["lapin", "ureq"])
    .with_routes(management::routes)
    .with_example(include_str!("examples/connection.yaml"));

/// `source: { rabbitmq: … }`.
pub const SOURCE: SourcePlugin = SourcePlugin::of::<SourceOptions>(
    "rabbitmq",
    "Consumes RabbitMQ queues over AMQP 0-9-1 and acknowledges in bulk what was delivered.",
)
.with_example(include_str!("examples/source.yaml"));

/// `sink: { rabbitmq: … }`.
pub const SINK: SinkPlugin = SinkPlugin::of::<SinkOptions>(
    "rabbitmq",
    "Publishes to RabbitMQ over AMQP 0-9-1 with confirms; nothing unroutable counts as delivered.",
)
.with_dead_letters::<SinkOptions>()
.with_examples(include_str!("examples/sink.yaml"), include_str!("examples/dead-letter.yaml"));

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = include_str!("../../../docs/connectors/rabbitmq.md");

    /// Every key of a schema, at any depth.
    fn keys(schema: &serde_json::Value, found: &mut Vec<String>) {
        match schema {
            serde_json::Value::Object(fields) => {
                for (keyword, value) in fields {
                    // An option may be named `properties`, too: what is under the keyword are options, not keywords.
                    match value.as_object().filter(|_| keyword == "properties") {
                        Some(options) => {
                            found.extend(options.keys().cloned());
                            options.values().for_each(|option| keys(option, found));
                        }
                        None => keys(value, found),
                    }
                }
            }
            serde_json::Value::Array(items) => items.iter().for_each(|item| keys(item, found)),
            _ => {}
        }
    }

    #[test]
    fn the_page_has_every_option() {
        let mut options = Vec::new();
        keys((SOURCE.schema)().as_value(), &mut options);
        keys((SINK.schema)().as_value(), &mut options);
        assert!(options.len() > 30, "the schema has lost its options: {options:?}");
        let on_page = |option: &String| {
            [format!("`{option}`"), format!(".{option}`")].iter().any(|written| PAGE.contains(written.as_str()))
        };
        let missing: Vec<_> = options.iter().filter(|option| !on_page(option)).collect();
        assert!(missing.is_empty(), "docs/connectors/rabbitmq.md does not have {missing:?}");
    }
}
