//! What is asked of the options: are they right, what do they speak of, what is in the way at the broker, the sink itself, and
//! the dead letters in its queue.

use gantry_sdk::{
    Context, DeadLetters, Description, Endpoint, Error, Result, Template,
    config::{KeyPath, Problem, Severity},
    plugin::{DeadLettersConfig, Opening, SinkConfig},
    probe::Probing,
};

use super::{HeaderEncoding, Sink, SinkOptions, Unroutable, plan::Plan, probe};
use crate::{convert::short_string, dead_letters::RabbitDeadLetters, reserved::ROUTES};

impl SinkConfig for SinkOptions {
    const COUNTS_ATTEMPTS: bool = true;
    const GIVES_ANSWERS: bool = true;
    const ORDERED_OPTIONS: &'static [&'static str] = &["map"];
    const PLACE_OPTION: Option<&'static str> = Some("queue");

    fn check(&self) -> Vec<Problem> {
        let mut problems: Vec<_> =
            self.connection.check().into_iter().map(|problem| problem.under("connection")).collect();
        problems.extend(self.check_route());
        problems.extend(self.check_map());
        problems.extend(self.properties.check().into_iter().map(|problem| problem.under("properties")));
        for name in self.headers.keys() {
            problems.extend(
                short_string(name).err().map(|reason| Problem::error(KeyPath::from("headers").key(name), reason)),
            );
            if ROUTES.contains(&name.as_str()) {
                let text = "RabbitMQ takes only a list of routing keys under this name, and a template makes a text";
                problems.push(Problem::error(KeyPath::from("headers").key(name), text));
            }
        }
        problems.extend(self.check_window());
        if !self.persistent {
            problems.push(Problem::warning(
                "persistent",
                "false: what has no delivery mode is transient, and a restart of RabbitMQ loses it",
            ));
        }
        if let Some(declare) = &self.declare {
            problems.extend(declare.check().into_iter().map(|problem| problem.under("declare")));
            if (declare.queue.is_some() || !declare.bindings.is_empty()) && self.fixed_queues().is_empty() {
                problems.push(Problem::error(
                    "declare",
                    "names no queue to create or bind: that takes a constant queue, a map, or a constant routing_key on the \
                     default exchange",
                ));
            }
        }
        problems
    }

    fn check_dead_letter(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.header_mapping == HeaderEncoding::None {
            let text = "none leaves out why a record is a dead letter, and its own headers; `gantry dlq` wants typed";
            problems.push(Problem::warning("header_mapping", text));
        }
        if self.unroutable == Unroutable::Drop {
            let text = "drop loses a dead letter that no queue takes, and it counts as kept";
            problems.push(Problem::warning("unroutable", text));
        }
        problems
    }

    fn describe(&self) -> Description {
        let mut endpoints: Vec<_> = self.map.queues().map(|queue| Endpoint::exact("queue", queue)).collect();
        // A destination is a routing key. Only on the default exchange does that name a queue.
        let mut destination = Some("queue");
        if let Some(queue) = self.queue.as_ref() {
            endpoints.push(Endpoint::templated("queue", queue));
        } else if let Some(exchange) = self.exchange.as_ref().filter(|exchange| exchange.as_literal() != Some("")) {
            endpoints.push(Endpoint::templated("exchange", exchange));
            destination = None;
        } else if let Some(key) = &self.routing_key {
            endpoints.push(Endpoint::templated("queue", key));
        }
        let queues = self.fixed_queues();
        Description {
            broker: self.connection.addresses(),
            endpoints,
            destination,
            routes: self.declare.iter().flat_map(|declare| declare.routes(queues.iter().copied())).collect(),
            ..Description::default()
        }
    }

    fn probe(self, context: Context) -> Probing {
        Box::pin(probe::probe(self, context))
    }

    fn build(self, context: Context) -> Result<Opening<dyn gantry_sdk::Sink>> {
        let errors: Vec<_> = self.check().into_iter().filter(|problem| problem.severity == Severity::Error).collect();
        if !errors.is_empty() {
            return Err(Error::config(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")));
        }
        Ok(Box::pin(Sink::open(Plan::new(self, context)?)))
    }
}

impl DeadLettersConfig for SinkOptions {
    fn dead_letters(self, context: Context) -> Result<Opening<dyn DeadLetters>> {
        let queue = self.one_queue().ok_or_else(|| {
            Error::config(
                "the dead letter does not always go to the same queue: letters can be read back only with `queue: NAME`, or \
                 with the default exchange and a constant routing_key",
            )
        })?;
        let queue = short_string(queue).map_err(|reason| Error::config(format!("queue: {reason}")))?;
        let added = self.headers.into_keys().collect();
        Ok(Box::pin(RabbitDeadLetters::open(self.connection, queue, added, context)))
    }
}

impl SinkOptions {
    /// The queue to which every record goes that no transform has sent elsewhere.
    fn one_queue(&self) -> Option<&str> {
        let by_default = self.exchange.as_ref().is_none_or(|exchange| exchange.as_literal() == Some(""));
        let key = self.routing_key.as_ref().filter(|_| by_default);
        self.queue.as_ref().or(key).and_then(Template::as_literal).filter(|_| self.map.is_empty())
    }
}
