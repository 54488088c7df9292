//! What a person writes about the sink, and what is wrong with it.

use std::collections::BTreeMap;

use gantry_sdk::{
    Template,
    config::{DurationText, KeyPath, Problem},
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

use super::map::{QueueMap, expression};
use crate::{ConnectionOptions, DeclareOptions, convert::short_string};

/// Publishes to an exchange, or to queues by the default exchange.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SinkOptions {
    /// The name of a connection under `connections`, or its options.
    pub connection: ConnectionOptions,
    /// The exchange to publish to. Default: the default exchange, where the routing key is a queue's name.
    #[serde(default)]
    pub exchange: Option<Template>,
    /// The routing key. A destination that a transform gave the record wins over it. Default, with an `exchange`: the routing
    /// key that the record came with, else its key, else the topic or queue that it came from.
    #[serde(default)]
    pub routing_key: Option<Template>,
    /// The queue to publish to, by the default exchange; instead of `exchange` and `routing_key`.
    #[serde(default)]
    pub queue: Option<Template>,
    /// Topic (or queue) of the source to queue, by the default exchange: `orders: orders-queue`, or with a regular expression
    /// `/^invoice-/: invoices`. An exact name wins, then the first expression that matches, in the order in which they are
    /// written. What is not here goes by `exchange`, `routing_key` or `queue`; without those it is refused.
    #[serde(default)]
    pub map: QueueMap,
    /// Message properties by template; each is the record's own by default.
    #[serde(default)]
    pub properties: PropertyOptions,
    /// Publish a record that has no delivery mode as persistent, so that it survives a restart of RabbitMQ. `false` leaves it
    /// without a mode, which RabbitMQ takes for transient.
    #[serde(default = "yes")]
    pub persistent: bool,
    /// More headers by name. Where a template yields nothing, the header is left out.
    #[serde(default)]
    pub headers: BTreeMap<String, Template>,
    /// How the record's headers become AMQP's.
    #[serde(default)]
    pub header_mapping: HeaderEncoding,
    /// What becomes of headers by which RabbitMQ would act, or which it writes itself: `CC`, `BCC`, `x-death`, `x-received-from`,
    /// `x-delay`, `x-opt-…` and others. `headers` here may name them all the same.
    #[serde(default)]
    pub broker_headers: BrokerHeaders,
    /// What becomes of a message that no queue takes.
    #[serde(default)]
    pub unroutable: Unroutable,
    /// What becomes of a record without a body (Kafka's tombstone), which AMQP does not have.
    #[serde(default)]
    pub tombstones: Tombstones,
    /// How many channels share the lanes of the source. A lane always keeps to one.
    #[serde(default = "default_channels")]
    pub channels: u16,
    /// How many messages a channel may have published and not confirmed. With 1 the order in the queue holds even when
    /// RabbitMQ refuses a message for a while.
    #[serde(default = "default_window")]
    pub window: u32,
    /// How long a confirm may take before the connection is given up. The time that RabbitMQ blocks the connection does not count.
    #[serde(default = "default_confirm_timeout")]
    pub confirm_timeout: DurationText,
    /// What to create before publishing. By default nothing: a missing exchange or queue is an error.
    #[serde(default)]
    pub declare: Option<DeclareOptions>,
}

/// Message properties by template. A template that yields nothing gives no property.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PropertyOptions {
    /// MIME type of the body.
    #[serde(deserialize_with = "text")]
    #[schemars(with = "Option<Template>")]
    pub content_type: Option<Template>,
    /// MIME content encoding of the body.
    #[serde(deserialize_with = "text")]
    #[schemars(with = "Option<Template>")]
    pub content_encoding: Option<Template>,
    /// What the message answers or belongs to.
    #[serde(deserialize_with = "text")]
    #[schemars(with = "Option<Template>")]
    pub correlation_id: Option<Template>,
    /// Where an answer should go.
    #[serde(deserialize_with = "text")]
    #[schemars(with = "Option<Template>")]
    pub reply_to: Option<Template>,
    /// Time to live in milliseconds.
    #[serde(deserialize_with = "text")]
    #[schemars(schema_with = "number_or_template")]
    pub expiration: Option<Template>,
    /// The publisher's own name for the message.
    #[serde(deserialize_with = "text")]
    #[schemars(with = "Option<Template>")]
    pub message_id: Option<Template>,
    /// The application's name for the kind of message.
    #[serde(rename = "type", deserialize_with = "text")]
    #[schemars(with = "Option<Template>")]
    pub kind: Option<Template>,
    /// Which application published it.
    #[serde(deserialize_with = "text")]
    #[schemars(with = "Option<Template>")]
    pub app_id: Option<Template>,
    /// Who published it. RabbitMQ refuses every name but that of the connection's own user, so by default another is kept as the
    /// header `gantry.kept.user_id`. `"{user_id}"` sends the record's whatever it is, `""` none.
    #[serde(deserialize_with = "text")]
    #[schemars(with = "Option<Template>")]
    pub user_id: Option<Template>,
    /// 0 to 255; RabbitMQ's queues use 0 to 9 by convention.
    #[serde(deserialize_with = "text")]
    #[schemars(schema_with = "number_or_template")]
    pub priority: Option<Template>,
    /// When it was made, in milliseconds since 1970, as `{timestamp}` yields it; AMQP keeps whole seconds.
    #[serde(deserialize_with = "text")]
    #[schemars(schema_with = "number_or_template")]
    pub timestamp: Option<Template>,
    /// 2 survives a restart of RabbitMQ, 1 does not. Default: the record's own, else what `persistent` says.
    #[serde(deserialize_with = "text")]
    #[schemars(schema_with = "number_or_template")]
    pub delivery_mode: Option<Template>,
}

/// How the record's headers become AMQP's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HeaderEncoding {
    /// With their types. Headers that share a name become a list, and the source makes them again.
    #[default]
    Typed,
    /// As text. Headers that share a name are joined with `, `.
    Text,
    /// Left out.
    None,
}

/// What becomes of a record's headers that belong to RabbitMQ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BrokerHeaders {
    /// They are written under another name: `gantry.kept.x-death`. RabbitMQ does nothing because of them.
    #[default]
    Keep,
    /// They are written under their own name, also those that were kept before, and RabbitMQ acts.
    Restore,
}

/// What becomes of a message that no queue takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unroutable {
    /// It is refused: the bridge's dead letter gets it.
    #[default]
    DeadLetter,
    /// The bridge stops and tries again, until someone binds a queue.
    Fail,
    /// RabbitMQ drops it, and it counts as delivered.
    Drop,
}

/// What becomes of a record without a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Tombstones {
    /// An empty body with the header `gantry.tombstone: true`. The source makes a tombstone of it again.
    #[default]
    Header,
    /// An empty body.
    Empty,
    /// It is not published, and counts as delivered.
    Skip,
    /// It is refused: the bridge's dead letter gets it.
    DeadLetter,
}

const fn yes() -> bool {
    true
}

// Two cores' worth of RabbitMQ's channel processes, twice.
const fn default_channels() -> u16 {
    4
}

// The client library looks through all of them at each confirm of several: more made it slower, not faster.
const fn default_window() -> u32 {
    1000
}

// As long as a quorum queue may take to find a new leader, and more.
const fn default_confirm_timeout() -> DurationText {
    DurationText::seconds(30)
}

/// RabbitMQ's own default is 2047 channels a connection.
const MOST_CHANNELS: u16 = 256;
const LARGE_WINDOW: u32 = 10_000;

/// Numbers are templates too.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Template>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Number(u64),
        Text(String),
    }
    let text = match Option::<Written>::deserialize(deserializer)? {
        None => return Ok(None),
        Some(Written::Number(number)) => number.to_string(),
        Some(Written::Text(text)) => text,
    };
    Template::parse(&text).map(Some).map_err(de::Error::custom)
}

fn number_or_template(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["string", "integer", "null"], "format": "template" })
}

// === impl SinkOptions ===

impl SinkOptions {
    /// Queues that are always the same, each once.
    pub(crate) fn fixed_queues(&self) -> Vec<&str> {
        let by_default_exchange = self.exchange.as_ref().is_none_or(|exchange| exchange.as_literal() == Some(""));
        let key = self.routing_key.as_ref().filter(|_| by_default_exchange);
        let named = self.queue.iter().chain(key).filter_map(Template::as_literal);
        let mut queues: Vec<_> = self.map.queues().chain(named).collect();
        queues.sort_unstable();
        queues.dedup();
        queues
    }

    pub(super) fn check_route(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.queue.is_some() && (self.exchange.is_some() || self.routing_key.is_some()) {
            problems.push(Problem::error("queue", "instead of exchange and routing_key, not beside them"));
        }
        let exchange = self.exchange.as_ref().filter(|exchange| exchange.as_literal() != Some(""));
        if exchange.is_none() && self.routing_key.is_none() && self.queue.is_none() && self.map.is_empty() {
            problems.push(Problem::error("", "says not where to publish: write exchange, routing_key, queue or map"));
        }
        let named = [("exchange", &self.exchange), ("routing_key", &self.routing_key), ("queue", &self.queue)];
        for (path, template) in named {
            let Some(text) = template.as_ref().and_then(Template::as_literal) else { continue };
            problems.extend(short_string(text).err().map(|reason| Problem::error(path, reason)));
            if path == "queue" && text.is_empty() {
                problems.push(Problem::error(path, "is empty; a queue has a name"));
            }
        }
        problems
    }

    pub(super) fn check_map(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (from, queue) in self.map.iter() {
            let path = KeyPath::from("map").key(from);
            problems.extend(short_string(queue).err().map(|reason| Problem::error(&path, reason)));
            if queue.is_empty() {
                problems.push(Problem::error(&path, "is empty; a queue has a name"));
            }
            if let Some(Err(error)) = expression(from) {
                problems.push(Problem::error(&path, format!("is no regular expression: {error}")));
            }
        }
        problems
    }

    pub(super) fn check_window(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.channels == 0 || self.channels > MOST_CHANNELS {
            problems.push(Problem::error("channels", format!("is not between 1 and {MOST_CHANNELS}")));
        }
        if self.window == 0 {
            problems.push(Problem::error("window", "with 0 nothing is ever published; 1000 is the default"));
        }
        if self.window > LARGE_WINDOW {
            problems.push(Problem::warning(
                "window",
                "is large: each confirm costs more, the larger it is; 1000 is the default",
            ));
        }
        if self.confirm_timeout.0.is_zero() {
            problems.push(Problem::error(
                "confirm_timeout",
                "with 0 nothing is ever confirmed in time; 30s is the default",
            ));
        }
        problems
    }
}

// === impl PropertyOptions ===

impl PropertyOptions {
    pub(super) fn check(&self) -> Vec<Problem> {
        let literal = |template: &Option<Template>| template.as_ref().and_then(Template::as_literal).map(str::to_owned);
        let mut problems = Vec::new();
        let mut number = |path: &'static str, template: &Option<Template>, valid: fn(&str) -> bool, expected: &str| {
            if let Some(text) = literal(template)
                && !valid(&text)
            {
                problems.push(Problem::error(path, format!("is not {expected}")));
            }
        };
        number("priority", &self.priority, |text| text.parse::<u8>().is_ok(), "a number from 0 to 255");
        number("expiration", &self.expiration, |text| text.parse::<u32>().is_ok(), "a number of milliseconds");
        number("timestamp", &self.timestamp, |text| text.parse::<i64>().is_ok(), "a number of milliseconds since 1970");
        number("delivery_mode", &self.delivery_mode, |text| matches!(text, "1" | "2"), "1 or 2");
        if literal(&self.delivery_mode).as_deref() == Some("1") {
            problems
                .push(Problem::warning("delivery_mode", "1 is transient: a restart of RabbitMQ loses the messages"));
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use gantry_sdk::{
        config::{Severity, deserialize},
        plugin::SinkConfig,
    };
    use serde_json::{Value as Json, json};

    use super::*;

    fn options(more: &Json) -> SinkOptions {
        let mut json = json!({ "connection": { "urls": ["amqp://rabbit1"] } });
        let fields = json.as_object_mut().expect("it is one");
        fields.extend(more.as_object().expect("the test gives an object").clone());
        deserialize(&json).expect("the test's options parse")
    }

    #[test]
    fn each_way_to_say_where_is_enough() {
        for more in [
            json!({ "queue": "orders" }),
            json!({ "exchange": "orders" }),
            json!({ "routing_key": "{topic}" }),
            json!({ "map": { "orders": "q", "/^in.*/": "r" }, "declare": { "queue": {} } }),
            json!({ "queue": "orders", "properties": { "priority": 9, "expiration": "60000", "delivery_mode": 2 } }),
        ] {
            assert_eq!(options(&more).check(), [], "{more}");
        }
    }

    #[test]
    fn what_cannot_work_is_one_error_with_its_place() {
        for (more, place) in [
            (json!({}), ""),
            (json!({ "exchange": "" }), ""),
            (json!({ "queue": "a", "exchange": "b" }), "queue"),
            (json!({ "queue": "" }), "queue"),
            (json!({ "exchange": "e".repeat(256) }), "exchange"),
            (json!({ "map": { "/(/": "q" } }), "map./(/"),
            (json!({ "map": { "a": "" } }), "map.a"),
            (json!({ "queue": "a", "headers": { "CC": "{key}" } }), "headers.CC"),
            (json!({ "queue": "a", "channels": 0 }), "channels"),
            (json!({ "queue": "a", "window": 0 }), "window"),
            (json!({ "queue": "a", "confirm_timeout": "0s" }), "confirm_timeout"),
            (json!({ "queue": "a", "properties": { "priority": 256 } }), "properties.priority"),
            (json!({ "queue": "a", "properties": { "expiration": "soon" } }), "properties.expiration"),
            (json!({ "queue": "a", "properties": { "delivery_mode": 3 } }), "properties.delivery_mode"),
            (json!({ "exchange": "e", "declare": { "queue": {} } }), "declare"),
        ] {
            let problems = options(&more).check();
            assert_eq!(problems.len(), 1, "{more}: {problems:#?}");
            assert_eq!(
                (problems[0].severity, problems[0].path.to_string()),
                (Severity::Error, place.to_owned()),
                "{more}"
            );
        }
    }

    #[test]
    fn transient_is_warned_of() {
        for more in [json!({ "properties": { "delivery_mode": 1 } }), json!({ "persistent": false })] {
            let mut more = more;
            more["queue"] = "a".into();
            let problems = options(&more).check();
            assert!(problems.len() == 1 && problems[0].severity == Severity::Warning, "{problems:#?}");
        }
    }

    #[test]
    fn it_says_what_it_writes_to() {
        let names = |more: Json| {
            let endpoints = options(&more).describe().endpoints;
            endpoints.iter().map(|one| format!("{} {}", one.kind, one.name.as_str())).collect::<Vec<_>>()
        };
        assert_eq!(names(json!({ "queue": "orders" })), ["queue orders"]);
        assert_eq!(names(json!({ "exchange": "e", "routing_key": "k" })), ["exchange e"]);
        assert_eq!(names(json!({ "exchange": "", "routing_key": "k" })), ["queue k"]);
        assert_eq!(names(json!({ "map": { "a": "q" }, "queue": "{topic}" })), ["queue q", "queue {topic}"]);
        let declared =
            json!({ "queue": "q", "declare": { "exchange": { "name": "e", "type": "fanout" }, "bindings": [{}] } });
        assert_eq!(options(&declared).describe().routes.len(), 1);
    }
}
