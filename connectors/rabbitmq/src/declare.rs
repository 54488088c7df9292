//! What a person may ask to be created: queue, exchange, bindings.
//!
//! Declaring what is there already changes nothing, if it was made with the same settings; with other settings RabbitMQ
//! refuses, and so do we. Nothing is ever deleted or altered.

use gantry_sdk::{
    Endpoint, Result, Value,
    config::{KeyPath, Problem},
    endpoint::Route,
};
use lapin::{
    Channel, ExchangeKind,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    types::FieldTable,
};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    Arguments, ConnectionOptions,
    convert::short_string,
    error::{During, translate},
    names,
};

/// The argument by which a queue says where rejected messages go.
pub(crate) const DEAD_LETTER_EXCHANGE: &str = "x-dead-letter-exchange";

/// What to create before consuming, if it is not there.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeclareOptions {
    /// The settings of the queue, or of each of the queues. `{}` for the defaults.
    #[serde(default)]
    pub queue: Option<QueueOptions>,
    /// An exchange.
    #[serde(default)]
    pub exchange: Option<ExchangeOptions>,
    /// Which messages of which exchange go to the queue, or to each of the queues.
    #[serde(default)]
    pub bindings: Vec<BindingOptions>,
}

/// The settings of a queue.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QueueOptions {
    /// It survives a restart of RabbitMQ.
    #[serde(default = "yes")]
    pub durable: bool,
    /// It belongs to one connection and is deleted with it.
    #[serde(default)]
    pub exclusive: bool,
    /// It is deleted with its last consumer.
    #[serde(default)]
    pub auto_delete: bool,
    /// Arguments such as `x-queue-type: quorum`, `x-dead-letter-exchange: NAME`, `x-max-length: 100000`.
    #[serde(default)]
    pub arguments: Arguments,
}

/// An exchange.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExchangeOptions {
    /// Its name.
    pub name: String,
    /// `direct`, `fanout`, `topic`, `headers`, or the type of a plugin.
    #[serde(rename = "type")]
    pub kind: String,
    /// It survives a restart of RabbitMQ.
    #[serde(default = "yes")]
    pub durable: bool,
    /// It is deleted with its last binding.
    #[serde(default)]
    pub auto_delete: bool,
    /// Only other exchanges publish to it.
    #[serde(default)]
    pub internal: bool,
    /// Arguments such as `alternate-exchange: NAME`.
    #[serde(default)]
    pub arguments: Arguments,
}

/// A binding of the queue to an exchange.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BindingOptions {
    /// The exchange. Default: the one under `exchange`.
    #[serde(default)]
    pub exchange: Option<String>,
    /// The routing key, or for a topic exchange a pattern.
    #[serde(default)]
    pub routing_key: String,
    /// Arguments, for a headers exchange.
    #[serde(default)]
    pub arguments: Arguments,
}

const fn yes() -> bool {
    true
}

impl DeclareOptions {
    /// The connection to declare on: an exclusive queue belongs to its connection, which then is nobody else's.
    pub(crate) fn connection(declare: Option<&Self>, connection: &ConnectionOptions) -> ConnectionOptions {
        let is_exclusive = declare.and_then(|declare| declare.queue.as_ref()).is_some_and(|queue| queue.exclusive);
        ConnectionOptions { share: connection.share && !is_exclusive, ..connection.clone() }
    }

    /// The bindings as ways that records go, for [`gantry_sdk::Description`].
    pub(crate) fn routes<'a>(&'a self, queues: impl Iterator<Item = &'a str>) -> Vec<Route> {
        let own = self.exchange.as_ref().map(|exchange| &exchange.name);
        let exchanges: Vec<_> = self.bindings.iter().filter_map(|one| one.exchange.as_ref().or(own)).collect();
        let to_queue = |queue: &'a str| {
            let (exchanges, to) = (exchanges.iter(), Endpoint::exact("queue", queue));
            exchanges.map(move |name| Route { from: Endpoint::exact("exchange", *name), to: to.clone() })
        };
        queues.flat_map(to_queue).collect()
    }

    pub(crate) fn check(&self) -> Vec<Problem> {
        if self.queue.is_none() && self.exchange.is_none() && self.bindings.is_empty() {
            return vec![Problem::error(
                "",
                "creates nothing: name queue, exchange or bindings; queue: {} has the defaults",
            )];
        }
        let mut problems = Vec::new();
        if let Some(queue) = &self.queue {
            problems.extend(queue.check().into_iter().map(|problem| problem.under("queue")));
        }
        if let Some(exchange) = &self.exchange {
            problems.extend(exchange.check().into_iter().map(|problem| problem.under("exchange")));
        }
        for (index, binding) in self.bindings.iter().enumerate() {
            let path = KeyPath::from("bindings").index(index);
            problems.extend(self.check_binding(binding).into_iter().map(|problem| problem.under(&path)));
        }
        problems
    }

    fn check_binding(&self, binding: &BindingOptions) -> Vec<Problem> {
        let mut problems = check_arguments(&binding.arguments);
        problems.extend(check_name("routing_key", &binding.routing_key));
        match self.exchange_of(binding) {
            None => problems.push(Problem::error("exchange", "is missing, and there is none under declare.exchange")),
            Some("") => problems.push(Problem::error("exchange", "is empty: the default exchange cannot be bound to")),
            Some(name) => problems.extend(check_name("exchange", name)),
        }
        problems
    }

    fn exchange_of<'a>(&'a self, binding: &'a BindingOptions) -> Option<&'a str> {
        binding.exchange.as_deref().or_else(|| self.exchange.as_ref().map(|exchange| exchange.name.as_str()))
    }

    /// Creates what was asked for. `place` is where, for error messages.
    pub(crate) async fn apply(&self, channel: &Channel, queues: &[&str], place: &str) -> Result<()> {
        if let Some(exchange) = &self.exchange {
            exchange.declare(channel, place).await?;
        }
        for queue in queues {
            if let Some(options) = &self.queue {
                options.declare(channel, queue, place).await?;
            }
            for binding in &self.bindings {
                // The check before this found an exchange for each binding.
                let exchange = self.exchange_of(binding).unwrap_or_default();
                binding.bind(channel, queue, exchange, place).await?;
            }
        }
        Ok(())
    }
}

impl QueueOptions {
    fn check(&self) -> Vec<Problem> {
        let mut problems = check_arguments(&self.arguments);
        problems.extend(self.check_delivery_limit());
        if self.exclusive {
            problems.push(Problem::warning(
                "exclusive",
                "the queue and what it holds are deleted with the connection: a reconnect loses messages",
            ));
        }
        if self.auto_delete {
            problems.push(Problem::warning(
                "auto_delete",
                "the queue and what it holds are deleted when the bridge pauses or reconnects: that loses messages",
            ));
        }
        problems
    }

    /// RabbitMQ's quorum queues guide, "Poison Message Handling". Before 4.3 every return counts, whatever the way.
    fn check_delivery_limit(&self) -> Option<Problem> {
        let given = |name| self.arguments.get(name).is_some();
        let quorum = self.arguments.get("x-queue-type") == Some(&Value::text("quorum"));
        (quorum && !given("x-delivery-limit") && !given(DEAD_LETTER_EXCHANGE)).then(|| {
            Problem::warning(
                "arguments",
                "since RabbitMQ 4.0 a quorum queue drops a message that came back 20 times, and a message comes back when \
                 the bridge stops or reconnects: set x-dead-letter-exchange, or x-delivery-limit: -1",
            )
        })
    }

    async fn declare(&self, channel: &Channel, queue: &str, place: &str) -> Result<()> {
        let context = || format!("declaring queue \"{queue}\" on {place}");
        let options = QueueDeclareOptions {
            passive: false,
            durable: self.durable,
            exclusive: self.exclusive,
            auto_delete: self.auto_delete,
            nowait: false,
        };
        let (name, arguments) = (names::checked(queue)?, table(&self.arguments)?);
        let declared = channel.queue_declare(name, options, arguments).await;
        declared.map(drop).map_err(|error| translate(&error, During::SettingUp, context()))
    }
}

impl ExchangeOptions {
    fn check(&self) -> Vec<Problem> {
        let mut problems = check_arguments(&self.arguments);
        problems.extend(check_name("name", &self.name));
        problems.extend(check_name("type", &self.kind));
        if self.name.is_empty() {
            problems.push(Problem::error("name", "is empty: the default exchange is always there"));
        }
        if self.kind.is_empty() {
            problems.push(Problem::error("type", "is empty: direct, fanout, topic or headers"));
        }
        problems
    }

    async fn declare(&self, channel: &Channel, place: &str) -> Result<()> {
        let context = || format!("declaring exchange \"{}\" on {place}", self.name);
        let kind = match self.kind.as_str() {
            "direct" => ExchangeKind::Direct,
            "fanout" => ExchangeKind::Fanout,
            "topic" => ExchangeKind::Topic,
            "headers" => ExchangeKind::Headers,
            other => ExchangeKind::Custom(other.to_owned()),
        };
        let options = ExchangeDeclareOptions {
            passive: false,
            durable: self.durable,
            auto_delete: self.auto_delete,
            internal: self.internal,
            nowait: false,
        };
        let (name, arguments) = (names::checked(&self.name)?, table(&self.arguments)?);
        let declared = channel.exchange_declare(name, kind, options, arguments).await;
        declared.map_err(|error| translate(&error, During::SettingUp, context()))
    }
}

impl BindingOptions {
    async fn bind(&self, channel: &Channel, queue: &str, exchange: &str, place: &str) -> Result<()> {
        let context = || format!("binding queue \"{queue}\" to exchange \"{exchange}\" on {place}");
        let (queue, exchange, key) =
            (names::checked(queue)?, names::checked(exchange)?, names::checked(&self.routing_key)?);
        let arguments = table(&self.arguments)?;
        let bound = channel.queue_bind(queue, exchange, key, QueueBindOptions::default(), arguments).await;
        bound.map_err(|error| translate(&error, During::SettingUp, context()))
    }
}

fn table(arguments: &Arguments) -> Result<FieldTable> {
    arguments.to_table().map_err(gantry_sdk::Error::config)
}

fn check_arguments(arguments: &Arguments) -> Vec<Problem> {
    arguments.to_table().err().into_iter().map(|reason| Problem::error("arguments", reason)).collect()
}

fn check_name(path: &'static str, name: &str) -> Option<Problem> {
    short_string(name).err().map(|reason| Problem::error(path, reason))
}

#[cfg(test)]
mod tests {
    use gantry_sdk::config::deserialize;
    use serde_json::{Value as Json, json};

    use super::*;

    fn messages(json: Json) -> Vec<String> {
        let options: DeclareOptions = deserialize(&json).expect("the test's options parse");
        options.check().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_whole_topology_has_no_problems() {
        let none = messages(json!({
            "queue": { "arguments": { "x-queue-type": "quorum", "x-delivery-limit": -1 } },
            "exchange": { "name": "orders", "type": "topic" },
            "bindings": [{ "routing_key": "order.*" }, { "exchange": "other" }],
        }));
        assert!(none.is_empty(), "{none:#?}");
    }

    #[test]
    fn a_binding_needs_an_exchange() {
        assert_eq!(
            messages(json!({ "bindings": [{}] })),
            ["bindings[0].exchange: is missing, and there is none under declare.exchange"]
        );
        assert_eq!(messages(json!({ "bindings": [{ "exchange": "" }] })).len(), 1);
    }

    #[test]
    fn names_too_long_for_amqp_are_found() {
        let long = "n".repeat(256);
        let found = messages(json!({
            "exchange": { "name": long, "type": long },
            "bindings": [{ "routing_key": long }],
            "queue": { "arguments": { (long): 1 } },
        }));
        assert_eq!(found.len(), 5, "{found:#?}");
    }

    #[test]
    fn settings_that_lose_messages_are_warned_of() {
        let found = messages(json!({ "queue": { "exclusive": true, "auto_delete": true } }));
        assert_eq!(found.len(), 2, "{found:#?}");
        assert!(found.iter().all(|message| message.contains("loses messages")), "{found:#?}");
    }

    #[test]
    fn a_quorum_queue_that_drops_is_warned_of() {
        let found = messages(json!({ "queue": { "arguments": { "x-queue-type": "quorum" } } }));
        assert!(found.len() == 1 && found[0].starts_with("queue.arguments: since RabbitMQ 4.0"), "{found:#?}");
    }
}
