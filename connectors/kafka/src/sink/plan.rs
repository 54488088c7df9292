//! The options made ready for work: templates sorted out, and the client's configuration.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use gantry_sdk::{Context, Error, Record, Result, Template, config::Problem, plugin::SinkConfig as _};
use rdkafka::{ClientConfig, config::RDKafkaLogLevel};

use super::{SinkOptions, check, limit, producer_spec::ProducerSpec, transaction_identity::Identity};
use crate::{
    client::ask_for_statistics,
    headers::{Encoding, Mapper},
};

/// Everything that a running sink needs to know.
#[derive(Debug)]
pub(super) struct Plan {
    pub options: SinkOptions,
    pub context: Context,
    /// The topic, when it is always the same.
    pub topic: Option<Arc<str>>,
    pub key: Option<Piece>,
    pub partition: Option<Piece>,
    pub timestamp: Option<Piece>,
    pub headers: Vec<(String, Piece)>,
    pub mapper: Mapper,
    /// Of a sink that writes transactions: its names.
    pub identity: Option<Identity>,
    /// Other sinks may write by the same producer. One that writes transactions has its own: a transaction is a producer's. One that
    /// comes after one that was in trouble has its own as well: it may get into the same again.
    pub shared: bool,
}

/// What a sink leaves for the next one of its part.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Kafka refused something of it.
    in_trouble: AtomicBool,
}

/// A template, or the bytes that it always yields.
#[derive(Debug)]
pub(super) enum Piece {
    Fixed(Bytes),
    Made(Template),
}

// === impl Piece ===

impl Piece {
    fn new(template: &Template) -> Self {
        match template.as_literal() {
            Some(text) => Self::Fixed(Bytes::copy_from_slice(text.as_bytes())),
            None => Self::Made(template.clone()),
        }
    }

    /// What it yields for this record.
    pub(super) fn of(&self, record: &Record) -> Option<Bytes> {
        match self {
            Self::Fixed(bytes) => Some(bytes.clone()),
            Self::Made(template) => template.render(record),
        }
    }
}

// === impl Plan ===

impl Plan {
    /// Makes the options ready; refuses what cannot work.
    pub(super) fn new(options: SinkOptions, context: Context) -> Result<Self> {
        let fatal = check::check(&options).into_iter().find(|p| p.severity == gantry_sdk::config::Severity::Error);
        if let Some(problem) = fatal {
            return Err(Error::config(Problem::to_string(&problem)));
        }
        if context.retry.timeout.is_some_and(|timeout| timeout <= options.linger.0 && !context.dead_letter) {
            return Err(Error::config(format!(
                "linger ({}) is not shorter than errors.retry.timeout: every record would be given up unsent",
                options.linger
            )));
        }
        let identity = Identity::of(&options, &context);
        if let Some(identity) = identity.as_ref().filter(|identity| identity.timeout <= options.linger.0) {
            return Err(Error::config(format!(
                "linger ({}) is not shorter than transaction.timeout.ms ({}): no transaction would last until its records are sent",
                options.linger,
                identity.timeout.as_millis()
            )));
        }
        let piece = |template: &Option<Template>| template.as_ref().map(Piece::new);
        let mut mapping = options.header_mapping.clone();
        if context.dead_letter {
            if let Some(problem) = options.check_dead_letter().first() {
                return Err(Error::config(Problem::to_string(problem)));
            }
            // So that it can be replayed as it was.
            mapping.encoding.get_or_insert(Encoding::Typed);
        }
        Ok(Self {
            topic: options.topic.as_literal().map(Arc::from),
            key: piece(&options.key),
            partition: piece(&options.partition),
            timestamp: piece(&options.timestamp),
            headers: options.headers.iter().map(|(name, template)| (name.clone(), Piece::new(template))).collect(),
            mapper: Mapper::new(&mapping),
            shared: options.connection.share
                && identity.is_none()
                && !context.remembered.get_or_default::<Memory>().in_trouble.swap(false, Ordering::Relaxed),
            identity,
            options,
            context,
        })
    }

    /// Kafka refuses something of this sink. The next one of its part disturbs no other if it does so again.
    pub(super) fn remember_trouble(&self) {
        self.context.remembered.get_or_default::<Memory>().in_trouble.store(true, Ordering::Relaxed);
    }

    /// What leads to the producer; one that is `shared` is the same for all with equal options. `batch` is the most bytes of several
    /// records together.
    pub(super) fn producer_spec(&self, batch: usize, shared: bool) -> ProducerSpec {
        let connection = &self.options.connection;
        let who =
            if shared { format!("{} at {}", self.shared_client_id(), connection.address()).into() } else { self.who() };
        ProducerSpec { config: self.producer_config(batch, shared), connection: connection.clone(), who, shared }
    }

    /// A name for threads and logs.
    pub(super) fn who(&self) -> Arc<str> {
        let kind = if self.context.dead_letter { " dead letter" } else { "" };
        format!("{}/{}{kind}", self.context.bridge, self.context.task).into()
    }

    /// How long one attempt to open may take.
    pub(super) const fn connect_timeout(&self) -> Duration {
        self.options.connection.connect_timeout.0
    }

    /// `message.max.bytes`, where it is set by hand.
    pub(super) fn configured_limit(&self) -> Option<usize> {
        let own = self.options.properties.get("message.max.bytes");
        own.or_else(|| self.options.connection.properties.get("message.max.bytes"))?.trim().parse().ok()
    }

    /// What an administrative client needs: the connection alone.
    pub(super) fn admin_config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("client.id", self.client_id());
        self.options.connection.apply(&mut config);
        config.set_log_level(RDKafkaLogLevel::Critical);
        config
    }

    /// The name of a producer that is no one bridge's.
    fn shared_client_id(&self) -> String {
        self.options.connection.client_id.clone().unwrap_or_else(|| "gantry".to_owned())
    }

    /// What the producer needs. Later settings win: first our own, then the person's, then what may not be otherwise.
    /// `batch` is the most bytes of several records together.
    fn producer_config(&self, batch: usize, shared: bool) -> ClientConfig {
        let (options, retry) = (&self.options, &self.context.retry);
        let mut config = ClientConfig::new();
        config.set_log_level(log_level());
        config.set("client.id", if shared { self.shared_client_id() } else { self.client_id() });
        // The runtime's credit bounds what is in flight (I4): a second limit here would only stall in the wrong place.
        config.set("queue.buffering.max.messages", "0");
        config.set("queue.buffering.max.kbytes", i32::MAX.to_string());
        // A topic that is not there is an error, whatever the broker would do: only `declare` creates topics.
        config.set("allow.auto.create.topics", "false");
        options.connection.apply(&mut config);
        options.properties.apply(&mut config);
        config.set("message.max.bytes", limit::of_producer(self.configured_limit()).to_string());
        ask_for_statistics(&mut config);
        config.set("enable.idempotence", "true");
        config.set("acks", "all");
        config.set("partitioner", options.partitioner.as_str());
        config.set("compression.codec", options.compression.as_str());
        let timeout = match &self.identity {
            None => retry.timeout,
            // Behind the end of its transaction a record cannot be delivered any more.
            Some(identity) => {
                config.set("transactional.id", &identity.transactional_id);
                config.set("transaction.timeout.ms", identity.timeout.as_millis().to_string());
                Some(retry.timeout.map_or(identity.timeout, |timeout| timeout.min(identity.timeout)))
            }
        };
        config.set("message.timeout.ms", timeout.map_or(0, millis).to_string());
        config.set("retry.backoff.ms", millis(retry.delay).clamp(1, 300_000).to_string());
        config.set("retry.backoff.max.ms", millis(retry.max_delay.max(retry.delay)).clamp(1, 300_000).to_string());
        if self.context.dead_letter {
            // One record a request: one that is too large takes no other down with it, and none waits.
            config.set("linger.ms", "0").set("batch.num.messages", "1");
        } else {
            config.set("linger.ms", millis(options.linger.0).to_string());
            config.set("batch.num.messages", options.batch_records.to_string());
        }
        config.set("batch.size", batch.to_string());
        config
    }

    pub(super) fn client_id(&self) -> String {
        let context = &self.context;
        let kind = if context.dead_letter { "-dead-letter" } else { "" };
        let default = || format!("gantry-{}-{}{kind}", context.bridge, context.task);
        self.options.connection.client_id.clone().unwrap_or_else(default)
    }
}

/// Whole milliseconds as librdkafka counts them: at least 1 of anything, at most what fits.
fn millis(duration: Duration) -> i32 {
    let millis = i32::try_from(duration.as_millis()).unwrap_or(i32::MAX);
    if duration.is_zero() { 0 } else { millis.max(1) }
}

/// librdkafka formats every line that its level lets through: no more than somebody reads.
fn log_level() -> RDKafkaLogLevel {
    if tracing::enabled!(target: "librdkafka", tracing::Level::DEBUG) {
        RDKafkaLogLevel::Debug
    } else {
        RDKafkaLogLevel::Info
    }
}
