//! The options made ready.

use std::{sync::Arc, time::Duration};

use gantry_sdk::{
    Context, Error, Result,
    config::{Problem, Severity},
};
use rdkafka::{ClientConfig, config::RDKafkaLogLevel};

use super::{OffsetReset, SourceOptions, Start, check, findings::DEBUG, pattern::Pattern};
use crate::{client::ask_for_statistics, headers::read::HeaderReader};

/// librdkafka's own default.
const MAX_POLL_INTERVAL: Duration = Duration::from_secs(300);
/// How often it looks for new topics that match. librdkafka's own five minutes are long for somebody who waits.
const LOOK_FOR_TOPICS: Duration = Duration::from_secs(30);
/// Least and most that may be read ahead of one partition, in bytes.
const LEAST_AHEAD: usize = 32 << 10;
const MOST_AHEAD: usize = 512 << 20;
/// The most that one request brings of one partition, in bytes: librdkafka's own default. A larger record still comes.
const MOST_FETCHED: usize = 1 << 20;

/// The topics that Kafka keeps its own books in, as librdkafka's `topic.blacklist` takes them. An expression must not find
/// them: a commit is a record in one, and would be read and committed again, for ever.
const INTERNAL: [&str; 5] = [
    "^__consumer_offsets$",
    "^__transaction_state$",
    "^__share_group_state$",
    "^__remote_log_metadata$",
    "^__cluster_metadata$",
];
/// librdkafka's property for topics that an expression does not find.
const EXCLUDED: &str = "topic.blacklist";
/// librdkafka's property for how often it looks for what is new.
const LOOKS: &str = "topic.metadata.refresh.interval.ms";

/// Everything that a running source needs to know.
#[derive(Debug)]
pub(super) struct Plan {
    pub options: SourceOptions,
    pub context: Context,
    /// What `topics_regex` means, as far as Rust can read it too; always with exactly once.
    pub pattern: Option<Pattern>,
    pub headers: HeaderReader,
}

impl Plan {
    /// Makes the options ready; refuses what cannot work.
    pub(super) fn new(options: SourceOptions, context: Context) -> Result<Self> {
        let mut fatal = check::check(&options).into_iter().find(|problem| problem.severity == Severity::Error);
        if context.exactly_once {
            fatal = fatal.or_else(|| check::check_exactly_once(&options));
        }
        if let Some(problem) = fatal {
            return Err(Error::config(Problem::to_string(&problem)));
        }
        let headers = HeaderReader::new(&options.header_mapping);
        let mut plan = Self { options, context, pattern: None, headers };
        if let Some(wanted) = &plan.options.topics_regex {
            match Pattern::new(wanted, &plan.excluded()) {
                Ok(pattern) => plan.pattern = Some(pattern),
                Err(error) if plan.context.exactly_once => {
                    let reason = format!("topics_regex (or topic.blacklist) cannot be read for exactly once: {error}");
                    return Err(Error::config(reason));
                }
                Err(_) => {}
            }
        }
        Ok(plan)
    }

    /// A name for threads and logs.
    pub(super) fn who(&self) -> Arc<str> {
        format!("{}/{}", self.context.bridge, self.context.task).into()
    }

    pub(super) fn group(&self) -> String {
        self.options.group.clone().unwrap_or_else(|| format!("gantry-{}", self.context.bridge))
    }

    /// What it reads, for messages.
    pub(super) fn what(&self) -> String {
        match &self.options.topics_regex {
            Some(regex) => format!("topics \"{regex}\""),
            None => {
                let names: Vec<_> = self.options.named().map(|name| format!("\"{name}\"")).collect();
                format!("topic{} {}", if names.len() == 1 { "" } else { "s" }, names.join(", "))
            }
        }
    }

    /// What is being done where, for errors.
    pub(super) fn doing(&self) -> String {
        format!("reading {} from Kafka at {}", self.what(), self.options.connection.address())
    }

    /// What to subscribe to, in librdkafka's terms.
    pub(super) fn subscription(&self) -> Vec<&str> {
        self.options.named().chain(self.options.topics_regex.as_deref()).collect()
    }

    /// Where to begin without an offset of the group's has to be found out and committed before anything else: else a start
    /// before the first commit would begin elsewhere, and skip what was on its way.
    pub(super) fn begins_by_itself(&self) -> bool {
        self.options.start.is_some() || self.options.offset_reset == OffsetReset::Latest
    }

    pub(super) const fn start(&self) -> Option<Start> {
        self.options.start
    }

    /// How long a revoked partition may take.
    pub(super) fn revoke_timeout(&self) -> Duration {
        let interval = self.millis("max.poll.interval.ms").unwrap_or(MAX_POLL_INTERVAL);
        self.options.revoke_timeout.0.min(interval / 2)
    }

    /// How often to look for partitions that are new.
    pub(super) fn look_interval(&self) -> Duration {
        self.millis(LOOKS).unwrap_or(LOOK_FOR_TOPICS)
    }

    /// A property that a person has set; the source's own wins over the connection's.
    fn property(&self, name: &str) -> Option<&str> {
        let properties = [&self.options.properties, &self.options.connection.properties];
        properties.into_iter().find_map(|own| own.get(name))
    }

    fn millis(&self, name: &str) -> Option<Duration> {
        self.property(name)?.trim().parse().ok().map(Duration::from_millis)
    }

    /// Topics that an expression does not find: Kafka's own, and a person's.
    fn excluded(&self) -> String {
        let theirs = self.property(EXCLUDED).filter(|theirs| !theirs.trim().is_empty());
        INTERNAL.into_iter().chain(theirs).collect::<Vec<_>>().join(",")
    }

    /// What the consumer needs, to read so many partitions. Later settings win: first our own, then the person's, then
    /// what may not be otherwise.
    pub(super) fn consumer_config(&self, partitions: usize) -> ClientConfig {
        let (options, context) = (&self.options, &self.context);
        let mut config = ClientConfig::new();
        // All of them: what is not to be shown is only read.
        config.set_log_level(RDKafkaLogLevel::Debug);
        let client_id = || format!("gantry-{}-{}", context.bridge, context.task);
        config.set("client.id", options.connection.client_id.clone().unwrap_or_else(client_id));
        if options.topics_regex.is_some() {
            config.set(LOOKS, LOOK_FOR_TOPICS.as_millis().to_string());
        }
        // What is read ahead is small and soon empty: it must not wait for the next look.
        config.set("fetch.queue.backoff.ms", "10");
        // A response is larger than it should be only when a single record is; then it has to come all the same.
        config.set("receive.message.max.bytes", "1000000000");
        options.connection.apply(&mut config);
        options.properties.apply(&mut config);
        if options.topics_regex.is_some() {
            config.set(EXCLUDED, self.excluded());
        }
        config.set("debug", self.debug().map_or_else(|| DEBUG.to_owned(), |theirs| format!("{theirs},{DEBUG}")));
        let ahead = self.bytes_ahead(partitions);
        let kilobytes = (ahead / 1024).max(1);
        config.set("queued.max.messages.kbytes", kilobytes.to_string());
        config.set("max.partition.fetch.bytes", ahead.min(MOST_FETCHED).to_string());
        config.set("fetch.max.bytes", context.in_flight_bytes.clamp(1 << 20, MOST_AHEAD).to_string());
        config.set("enable.auto.commit", "false").set("enable.auto.offset.store", "false");
        config.set("allow.auto.create.topics", "false").set("enable.partition.eof", "false");
        config.set("partition.assignment.strategy", "cooperative-sticky");
        ask_for_statistics(&mut config);
        config.set("group.id", self.group());
        config.set("auto.offset.reset", options.offset_reset.as_str());
        config.set("isolation.level", options.isolation_level.as_str());
        // Without a group librdkafka wants a name for one as well, and never joins it.
        if let Some(id) = options.group_instance_id.as_ref().filter(|_| !context.exactly_once) {
            let id = if context.task == 0 { id.clone() } else { format!("{id}-{}", context.task) };
            config.set("group.instance.id", id);
        }
        config
    }

    /// What somebody wants to see of librdkafka's debugging. It formats every line: no more than somebody reads.
    pub(super) fn debug(&self) -> Option<&str> {
        let wanted = self.property("debug").filter(|wanted| !wanted.trim().is_empty());
        wanted.filter(|_| tracing::enabled!(target: "librdkafka", tracing::Level::DEBUG))
    }

    /// What may be read ahead of one partition: librdkafka's limits are for each. Half of its share waits, and as much
    /// may be on its way (I4).
    pub(super) fn bytes_ahead(&self, partitions: usize) -> usize {
        (self.context.in_flight_bytes / partitions.max(1) / 2).clamp(LEAST_AHEAD, MOST_AHEAD)
    }
}
