//! The options that are Gantry's own, by serde and schemars: everything but what connectors and transforms read.
//!
//! Sections of connectors and transforms are opaque here ([`Section`]); [`super::schema`] puts their schemas in.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use gantry_runtime::definition::BridgeLimits;
use gantry_sdk::{
    config::{DurationText, Size},
    plugin::RetryPolicy,
};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de};

use crate::transform::hops::Hops;

/// What stands for the source's own dead letter where else a sink's name stands.
pub(super) const REJECT: &str = "reject";
/// The key of a sink's condition, where a bridge has several.
pub(super) const CONDITION: &str = "when";

/// What concerns the whole process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The control port.
    pub control: Control,
    /// What is logged and how.
    pub log: Log,
    /// How long a stop may take before what is in flight stays with its source.
    pub shutdown_timeout: Duration,
    /// Bytes that may be in flight in all tasks together.
    pub in_flight_bytes: usize,
}

// It is there for its schema; mod.rs reads each part by itself, so that one wrong part hides no other.
/// Brokers, and bridges between them. Each bridge moves records from one source through transforms to one sink or several.
#[derive(Debug, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Gantry configuration")]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) struct Root {
    /// The port for metrics, health and the REST API.
    #[serde(default)]
    control: Control,
    /// Brokers by name, so that bridges share what it takes to reach them: `NAME: { CONNECTOR: { … } }`.
    #[serde(default)]
    connections: BTreeMap<String, Section>,
    /// The bridges by name. Each moves records from one source through transforms to one sink or several.
    #[serde(default)]
    bridges: BTreeMap<String, Section>,
    /// What is logged and how.
    #[serde(default)]
    log: Log,
    /// How long a stop may take. What is not delivered by then stays with its source.
    #[serde(default = "shutdown_timeout")]
    shutdown_timeout: DurationText,
    /// How much may be in flight in all tasks of the process together.
    #[serde(default)]
    limits: ProcessLimits,
}

/// How much may be in flight in all tasks of the process together.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ProcessLimits {
    /// Bytes between source and commit. One half is divided evenly among the tasks, the other is for whoever is busy. The
    /// process may need three times as much memory, and more for each connection.
    pub in_flight_bytes: Size,
}

impl Default for ProcessLimits {
    fn default() -> Self {
        Self { in_flight_bytes: Size::mib(256) }
    }
}

pub(super) const fn shutdown_timeout() -> DurationText {
    DurationText::seconds(30)
}

/// The control port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Control {
    /// Address and port to listen on. Port 0 takes a free one. It has no authentication: open it to others only in a
    /// network that you trust.
    #[serde(deserialize_with = "address")]
    #[schemars(with = "String", example = "127.0.0.1:8083", example = "0.0.0.0:8083", example = "[::1]:8083")]
    pub listen: SocketAddr,
    /// Names by which clients reach it, besides localhost and its own addresses: names or addresses without a port.
    /// Requests for other names are refused, so that no web page can reach it through the browser of someone inside.
    #[serde(deserialize_with = "hosts")]
    #[schemars(example = ["gantry", "gantry.example.org"])]
    pub hosts: Vec<String>,
    /// Connections that may be open. With more, the one that has asked nothing for the longest time is closed.
    #[schemars(range(min = 1, max = 10_000))]
    pub max_connections: u32,
    /// A connection is closed when its client sends no whole request, or does not read its answer, for so long.
    pub client_timeout: DurationText,
}

impl Default for Control {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8083)),
            hosts: Vec::new(),
            max_connections: 64,
            client_timeout: DurationText::seconds(30),
        }
    }
}

/// Names in lower case, with an error for what is none.
fn hosts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let is_name = |text: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        text.parse::<IpAddr>().is_ok() || !text.is_empty() && text.chars().all(plain)
    };
    let hosts = Vec::<String>::deserialize(deserializer)?;
    match hosts.iter().find(|text| !is_name(text)) {
        None => Ok(hosts.into_iter().map(|text| text.trim_end_matches('.').to_ascii_lowercase()).collect()),
        Some(wrong) => Err(de::Error::custom(format!(
            "\"{wrong}\" is not a host: write a name or an address, without scheme and port, like gantry.example.org"
        ))),
    }
}

/// An address, with an error that says how to write one.
fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|_| {
        de::Error::custom(format!("\"{text}\" is not an address: write IP:PORT, like 127.0.0.1:8083 or 0.0.0.0:8083"))
    })
}

/// What is logged and how.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// The least severe lines that are written. The environment variable GANTRY_LOG overrides it, and can set a level
    /// a module.
    pub level: LogLevel,
    /// Lines for people, or one JSON object a line.
    pub format: LogFormat,
}

/// How severe a line is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Nothing.
    Off,
    /// What went wrong.
    Error,
    /// What will hurt.
    Warn,
    /// What an operator acts on or looks for later.
    #[default]
    Info,
    /// What helps to find a fault.
    Debug,
    /// Everything; slow.
    Trace,
}

impl LogLevel {
    /// The word that stands for it, in YAML and for tracing.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// For whom the log is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// People.
    #[default]
    Text,
    /// Machines: one JSON object a line.
    Json,
}

/// One bridge. Records go from the source through the transforms, in order, to the sink or the sinks.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Bridge {
    /// How many tasks compete for the same input. With more than one, records can overtake each other.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 1024))]
    pub tasks: u32,
    /// Where records come from.
    #[expect(dead_code, reason = "for the schema; sections.rs reads it")]
    source: Section,
    /// What happens to records, in order.
    #[serde(default)]
    #[expect(dead_code, reason = "for the schema; sections.rs reads it")]
    transforms: Vec<Section>,
    /// Where records go.
    #[serde(default)]
    #[schemars(with = "Section")]
    #[expect(dead_code, reason = "for the schema; bridges/sinks.rs reads it")]
    sink: Option<Section>,
    /// Where records go, instead of `sink`: several sinks, in a list of `NAME: { … }`. Each record goes to every sink whose
    /// `when` keeps it, and to each that has none. It is settled when all of them have it; the slowest sets the pace.
    #[serde(default)]
    #[schemars(with = "Vec<Section>", length(min = 1, max = 100))]
    #[expect(dead_code, reason = "for the schema; bridges/sinks.rs reads it")]
    sinks: Option<Vec<Section>>,
    /// What to do with what fails.
    #[serde(default)]
    pub errors: Errors,
    /// Counts the bridges that a record has passed, so that bridges in a circle do not echo for ever. Absent: nothing is
    /// counted.
    #[serde(default)]
    #[schemars(with = "Hops")]
    pub hops: Option<Hops>,
    /// How often a record may arrive. `exactly_once` needs a source that can be replayed and one sink with transactions.
    #[serde(default)]
    pub delivery: Delivery,
    /// How much may be in flight in one task, and how much a batch holds.
    #[serde(default)]
    pub limits: Limits,
    /// A task that could move records and moves none for so long is restarted. 0s: never.
    #[serde(default = "stall_timeout")]
    pub stall_timeout: DurationText,
}

/// How often a record may arrive.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Delivery {
    /// Once, and again after some failures.
    #[default]
    AtLeastOnce,
    /// Once, for readers of what is committed.
    ExactlyOnce,
}

const fn stall_timeout() -> DurationText {
    DurationText::seconds(300)
}

const fn one() -> u32 {
    1
}

/// What to do with what fails.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Errors {
    /// What happens after a record that can never be delivered. `none`: the bridge stops, and the record stays at its
    /// source. `all`: it goes to the dead letter and the bridge goes on; without a dead letter the record is dropped and
    /// counted. Absent: `all` with a dead letter, else `none`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<Tolerance>,
    /// A sink for records that can never be delivered, with the reason in their headers; or `reject: {}`: the source's own
    /// dead letter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dead_letter: Option<Section>,
    /// How the sink retries a record by itself, in order.
    pub retry: Retry,
    /// The pauses between attempts to start again after an error.
    pub backoff: Backoff,
    /// When the sink has been out of reach for so long, what is held goes back to the source; the bridge goes on when the
    /// sink is back. 0s: never. Brokers take back what is held for too long.
    pub give_back_after: DurationText,
}

impl Default for Errors {
    fn default() -> Self {
        Self {
            tolerance: None,
            dead_letter: None,
            retry: Retry::default(),
            backoff: Backoff::default(),
            give_back_after: DurationText::seconds(600),
        }
    }
}

/// Whether a bridge goes on after a record that can never be delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Tolerance {
    /// No: it stops, and the record stays at its source.
    None,
    /// Yes: the record goes to the dead letter, or is dropped where there is none.
    All,
}

/// How a sink retries a record by itself, in order.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Retry {
    /// Give up on a record after this long; then the bridge starts again and the record comes again. Absent: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<DurationText>,
    /// How often a record is tried that its destination refuses for now; then it is one that can never be delivered, and goes to
    /// the dead letter. Absent: as often as it takes. Of sinks that count tries: `gantry list` says which.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<u32>,
    /// The first pause; it doubles each time.
    pub delay: DurationText,
    /// The longest pause.
    pub max_delay: DurationText,
}

impl Default for Retry {
    fn default() -> Self {
        let RetryPolicy { timeout, max_attempts, delay, max_delay } = RetryPolicy::default();
        let (delay, max_delay) = (DurationText(delay), DurationText(max_delay));
        Self { timeout: timeout.map(DurationText), max_attempts, delay, max_delay }
    }
}

impl From<&Retry> for RetryPolicy {
    fn from(retry: &Retry) -> Self {
        Self {
            timeout: retry.timeout.map(|text| text.0),
            max_attempts: retry.max_attempts,
            delay: retry.delay.0,
            max_delay: retry.max_delay.0,
        }
    }
}

/// The pauses between attempts to start again after an error: they double from the first to the longest. What is missing
/// is tried again once a minute at least, what was refused after the longest pause.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Backoff {
    /// The first pause.
    pub initial: DurationText,
    /// The longest pause.
    pub max: DurationText,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { initial: DurationText::seconds(1), max: DurationText::seconds(60) }
    }
}

/// How much may be in flight in one task, and how much a batch holds.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Limits {
    /// Records between source and commit.
    #[schemars(range(min = 1))]
    pub in_flight: u32,
    /// Their bytes.
    pub in_flight_bytes: Size,
    /// Records a batch. A source may take fewer at a time, so that it can acknowledge in small enough steps.
    #[schemars(range(min = 1))]
    pub batch: u32,
    /// Bytes a batch.
    pub batch_bytes: Size,
}

impl Default for Limits {
    fn default() -> Self {
        Self { in_flight: 10_000, in_flight_bytes: Size::mib(64), batch: 500, batch_bytes: Size::mib(4) }
    }
}

impl From<&Limits> for BridgeLimits {
    fn from(limits: &Limits) -> Self {
        Self {
            in_flight_records: limits.in_flight as usize,
            in_flight_bytes: limits.in_flight_bytes.to_usize(),
            batch_records: limits.batch as usize,
            batch_bytes: limits.batch_bytes.to_usize(),
        }
    }
}

/// The place of a connector's or a transform's section: `{ NAME: { … } }`.
#[derive(Debug, Serialize)]
pub(super) struct Section {}

impl JsonSchema for Section {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Section".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        // What may stand here, sections.rs says.
        schemars::Schema::default()
    }

    fn inline_schema() -> bool {
        true
    }
}

impl<'de> Deserialize<'de> for Section {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        de::IgnoredAny::deserialize(deserializer).map(|_| Self {})
    }
}
