//! What a person writes about the source, and what is wrong with it.

use std::collections::BTreeSet;

use gantry_sdk::config::{KeyPath, Problem};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{Arguments, ConnectionOptions, DeclareOptions, convert::short_string, declare::DEAD_LETTER_EXCHANGE};

/// Consumes one or more queues.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceOptions {
    /// The name of a connection under `connections`, or its options.
    pub connection: ConnectionOptions,
    /// The queue to consume.
    #[serde(default)]
    pub queue: Option<String>,
    /// Several queues to consume, instead of `queue`. Each keeps its own order; between them there is none.
    #[serde(default)]
    pub queues: Vec<String>,
    /// How many messages a queue may have on their way to Kafka or wherever the bridge leads: delivered and not yet
    /// acknowledged. It bounds memory, and batches are a tenth of it. Quorum queues allow 2000 at most.
    #[serde(default = "default_prefetch")]
    pub prefetch: u16,
    /// Begin with a few messages and go up to `prefetch` once their size is known, so that it bounds bytes too. Turn it
    /// off for a queue with a single active consumer, or declare that queue here: to change the prefetch is to consume anew.
    #[serde(default = "yes")]
    pub adaptive_prefetch: bool,
    /// The consumer's name in RabbitMQ's management pages. Default: `gantry BRIDGE/TASK`. Later consumers of the same bridge
    /// have a number behind it.
    #[serde(default)]
    pub consumer_tag: Option<String>,
    /// The consumer's priority: RabbitMQ serves consumers with a higher one first. Default: 0.
    #[serde(default)]
    pub priority: Option<i32>,
    /// More arguments of the consumer.
    #[serde(default)]
    pub arguments: Arguments,
    /// Refuse to share the queue: fail if it has another consumer, and let none come after. Needs `tasks: 1`.
    #[serde(default)]
    pub exclusive: bool,
    /// How to return what is not acknowledged when the bridge stops.
    #[serde(default)]
    pub give_back: GiveBack,
    /// What to create before consuming. By default nothing: a missing queue is an error.
    #[serde(default)]
    pub declare: Option<DeclareOptions>,
}

/// How to return messages.
///
/// Classic queues take both alike. A quorum queue does not (`rabbit_fifo.erl` of 3.10 to 4.3): a nack without a delivery
/// limit puts messages behind newer ones, and before 4.0 one with a limit shuffles what it returns beyond 32.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GiveBack {
    /// Close the channel. Messages go back to where they were, in order. A quorum queue counts it as a delivery.
    #[default]
    Close,
    /// `basic.nack`. Since RabbitMQ 4.3 a quorum queue does not count it against its delivery limit; without such a limit
    /// it puts the messages behind newer ones.
    Nack,
}

/// The most that a quorum queue allows, and enough: a larger one did not make a bridge faster.
const DEFAULT_PREFETCH: u16 = 2000;

/// Below this a batch, a tenth of the prefetch, holds a handful of messages, and each batch costs an acknowledgement.
const SMALL_PREFETCH: u16 = 100;

const fn default_prefetch() -> u16 {
    DEFAULT_PREFETCH
}

const fn yes() -> bool {
    true
}

impl SourceOptions {
    /// The queues in order; each is a lane.
    pub(crate) fn queues(&self) -> impl Iterator<Item = &str> {
        self.queue.iter().chain(&self.queues).map(String::as_str)
    }

    /// The consumer's arguments with its priority.
    pub(crate) fn consumer_arguments(&self) -> Result<FieldTable, String> {
        let mut table = self.arguments.to_table()?;
        if let Some(priority) = self.priority {
            table.insert("x-priority".into(), AMQPValue::LongInt(priority));
        }
        Ok(table)
    }

    /// The consumer's tag: the one given, else who we are as far as a tag has room for it.
    pub(crate) fn consumer_tag(&self, name: &str) -> Result<ShortString, String> {
        match &self.consumer_tag {
            Some(tag) => short_string(tag),
            // Empty: the broker makes one up.
            None => Ok(short_string(name).unwrap_or_default()),
        }
    }

    /// The most records of a batch: acknowledgements come in steps of a tenth of the prefetch.
    pub(super) fn largest_batch(&self) -> usize {
        usize::from(self.prefetch / 10).max(1)
    }

    /// The queues that are created here lead rejected messages somewhere.
    pub(super) fn declares_dead_letters(&self) -> bool {
        let queue = self.declare.as_ref().and_then(|declare| declare.queue.as_ref());
        queue.is_some_and(|queue| queue.arguments.get(DEAD_LETTER_EXCHANGE).is_some())
    }

    /// A person chose where consumers of a stream start.
    pub(crate) fn stream_offset_given(&self) -> bool {
        self.arguments.get("x-stream-offset").is_some()
    }

    /// Its consumers are not exchanged for others with another prefetch. One of a stream would start elsewhere, and one that
    /// is alone on its queue, or comes before others, would lose its place for a moment.
    pub(crate) fn keeps_its_consumer(&self) -> bool {
        let declared = self.declare.as_ref().and_then(|declare| declare.queue.as_ref());
        let single_active = declared.is_some_and(|queue| queue.arguments.get("x-single-active-consumer").is_some());
        let preferred = self.priority.is_some() || self.arguments.get("x-priority").is_some();
        !self.adaptive_prefetch || self.exclusive || preferred || single_active || self.stream_offset_given()
    }

    pub(super) fn check_queues(&self) -> Vec<Problem> {
        if self.queue.is_some() && !self.queues.is_empty() {
            return vec![Problem::error("queues", "instead of queue, not beside it: add that one to the list")];
        }
        if self.queue.is_none() && self.queues.is_empty() {
            return vec![Problem::error("", "names no queue: write queue: NAME, or queues: [NAME, …]")];
        }
        let mut problems = Vec::new();
        let mut seen = BTreeSet::new();
        for (index, queue) in self.queues().enumerate() {
            let path = if self.queue.is_some() { "queue".into() } else { KeyPath::from("queues").index(index) };
            if queue.is_empty() {
                problems.push(Problem::error(path, "is empty; a queue has a name"));
            } else if let Err(reason) = short_string(queue) {
                problems.push(Problem::error(path, reason));
            } else if !seen.insert(queue) {
                problems.push(Problem::error(path, "is there twice: two consumers on one queue would break its order"));
            }
        }
        problems
    }

    pub(super) fn check_prefetch(&self) -> Option<Problem> {
        match self.prefetch {
            0 => Some(Problem::error(
                "prefetch",
                "0 means no limit to RabbitMQ: it would push the whole queue into memory at once; write 1 to 65535 (2000 \
                 is the default)",
            )),
            1..SMALL_PREFETCH => Some(Problem::warning(
                "prefetch",
                "is small: a batch is a tenth of it, so there will be many small batches; 2000 is the default",
            )),
            prefetch if prefetch > DEFAULT_PREFETCH => Some(Problem::warning(
                "prefetch",
                "is more than a quorum queue allows (2000); on other queues it only takes more memory",
            )),
            _ => None,
        }
    }

    pub(super) fn check_consumer(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if let Some(Err(reason)) = self.consumer_tag.as_deref().map(short_string) {
            problems.push(Problem::error("consumer_tag", reason));
        }
        if let Err(reason) = self.arguments.to_table() {
            problems.push(Problem::error("arguments", reason));
        }
        if self.priority.is_some() && self.arguments.get("x-priority").is_some() {
            problems.push(Problem::error("priority", "is given twice: it is the argument x-priority"));
        }
        if self.stream_offset_given() {
            problems.push(Problem::warning(
                "arguments",
                "x-stream-offset: the place in a stream is remembered while this process runs; a new process starts there \
                 again",
            ));
        }
        if self.exclusive && self.queues.len() > 1 {
            problems.push(Problem::warning(
                "exclusive",
                "covers each of the queues: one that has another consumer stops the whole bridge",
            ));
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use gantry_sdk::{
        ErrorKind,
        config::{Severity, deserialize},
        plugin::SourceConfig,
        testkit,
    };
    use serde_json::{Value as Json, json};

    use super::*;

    fn options(more: Json) -> SourceOptions {
        let mut json = json!({ "connection": { "urls": ["amqp://rabbit1"] } });
        let fields = json.as_object_mut().expect("it is one");
        fields.extend(more.as_object().expect("the test gives an object").clone());
        deserialize(&json).expect("the test's options parse")
    }

    fn one(more: Json) -> (Severity, String) {
        let problems = options(more).check();
        assert_eq!(problems.len(), 1, "{problems:#?}");
        (problems[0].severity, problems[0].to_string())
    }

    #[test]
    fn a_queue_is_enough() {
        let options = options(json!({ "queue": "orders" }));
        assert_eq!(options.check(), []);
        assert_eq!(options.prefetch, 2000);
        assert_eq!(options.queues().collect::<Vec<_>>(), ["orders"]);
    }

    #[test]
    fn unlimited_prefetch_is_refused_with_the_reason() {
        let (severity, message) = one(json!({ "queue": "orders", "prefetch": 0 }));
        assert_eq!(severity, Severity::Error);
        assert!(message.starts_with("prefetch: 0 means no limit"), "{message}");
    }

    #[test]
    fn what_will_hurt_is_a_warning() {
        for more in [
            json!({ "queue": "orders", "prefetch": 2001 }),
            json!({ "queue": "orders", "prefetch": 10 }),
            json!({ "queues": ["a", "b"], "exclusive": true }),
            json!({ "queue": "orders", "arguments": { "x-stream-offset": "first" } }),
            json!({ "queue": "orders", "declare": { "queue": { "exclusive": true } } }),
        ] {
            assert_eq!(one(more.clone()).0, Severity::Warning, "{more}");
        }
    }

    #[test]
    fn a_batch_is_at_most_a_tenth_of_the_prefetch() {
        let with_prefetch = |prefetch: u16| options(json!({ "queue": "orders", "prefetch": prefetch }));
        assert_eq!(with_prefetch(2000).check_batch(200), None);
        let text = with_prefetch(2000).check_batch(201).expect("it is more");
        assert!(text.contains("prefetch (2000)") && text.contains("at most 200 records"), "{text}");
        assert_eq!(with_prefetch(5).check_batch(1), None, "less than one record there cannot be");
    }

    #[test]
    fn rejecting_wants_a_dead_letter_exchange() {
        let queue = |arguments: Json| {
            options(json!({ "queue": "orders", "declare": { "queue": { "arguments": arguments } } })).check_reject()
        };
        assert_eq!(queue(json!({ "x-dead-letter-exchange": "dead" })), None);
        assert!(queue(json!({})).is_some_and(|text| text.contains("x-dead-letter-exchange")));
        assert!(options(json!({ "queue": "orders" })).check_reject().is_some(), "nobody knows about a queue of others");
    }

    #[test]
    fn what_cannot_work_is_an_error() {
        for more in [
            json!({}),
            json!({ "queue": "a", "queues": ["b"] }),
            json!({ "queues": ["a", "a"] }),
            json!({ "queue": "" }),
            json!({ "queue": "q".repeat(256) }),
            json!({ "queue": "a", "consumer_tag": "t".repeat(256) }),
            json!({ "queue": "a", "priority": 1, "arguments": { "x-priority": 2 } }),
            json!({ "queue": "a", "declare": {} }),
        ] {
            assert_eq!(one(more.clone()).0, Severity::Error, "{more}");
        }
    }

    #[test]
    fn problems_of_a_section_have_its_path() {
        let options = options(json!({ "connection": { "urls": ["http://x"] }, "queue": "a" }));
        assert_eq!(options.check()[0].path.to_string(), "connection.urls[0]");
    }

    #[test]
    fn an_error_keeps_it_from_being_built() {
        let built = options(json!({ "queue": "orders", "prefetch": 0 })).build(testkit::context());
        let Err(error) = built else { panic!("it was built") };
        assert_eq!(error.kind(), ErrorKind::Config);
    }

    #[test]
    fn a_priority_is_a_consumer_argument() {
        let options = options(json!({ "queue": "orders", "priority": 7, "arguments": { "x-other": "y" } }));
        let table = options.consumer_arguments().expect("they fit");
        assert_eq!(table.inner().get("x-priority"), Some(&AMQPValue::LongInt(7)));
        assert!(table.contains_key("x-other"));
    }
}
