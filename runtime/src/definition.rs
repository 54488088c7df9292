//! What a bridge is: made by whoever reads what a person wrote, run by [`crate`].
//!
//! Options stay as they were written: connections are filled in, secrets are not. [`Part::make`] puts the secrets in
//! at each use, so a rotated password works on the next connect and nothing else ever holds one.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use gantry_sdk::{
    Result,
    plugin::{Plugin, RetryPolicy, SinkPlugin, SourcePlugin, TransformPlugin},
};
use serde_json::Value as Json;

use crate::resolver::Resolver;

/// One bridge as a person wrote it.
#[derive(Debug, Clone)]
pub struct Definition {
    /// Its name, unique in the process.
    pub name: Arc<str>,
    /// How many tasks compete for the same input.
    pub tasks: u32,
    /// Where records come from.
    pub source: Part<SourcePlugin>,
    /// What happens to them, in order.
    pub transforms: Vec<Part<TransformPlugin>>,
    /// Where they go: each record to every one whose condition holds for it. At least one.
    pub sinks: Vec<Branch>,
    /// What to do with what fails.
    pub errors: ErrorPolicy,
    /// How often a record may arrive.
    pub delivery: Delivery,
    /// How much may be in flight.
    pub limits: BridgeLimits,
    /// A task that could move records and moves none for so long is restarted; `None` never.
    pub stall_timeout: Option<Duration>,
    /// The file that it was read from.
    pub file: PathBuf,
    /// The whole section as it was written, placeholders and all; what REST shows, secrets hidden.
    pub raw: Json,
}

/// How often a record may arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Delivery {
    /// Once, and again after some failures.
    #[default]
    AtLeastOnce,
    /// Once for readers of what is committed: the one sink has transactions, and stores in them where to go on; the source can be
    /// replayed from there.
    ExactlyOnce,
}

/// One connector or transform of a bridge, with its options.
#[derive(Clone)]
pub struct Part<P: 'static> {
    /// Which.
    pub plugin: &'static P,
    /// Its options: connection filled in, secrets as placeholders.
    pub options: Json,
    /// What the placeholders stand for.
    pub resolver: Arc<dyn Resolver>,
}

/// One of the sinks of a bridge.
#[derive(Debug, Clone, PartialEq)]
pub struct Branch {
    /// Which records go there: those that this transform keeps as they are. `None`: all.
    pub when: Option<Part<TransformPlugin>>,
    /// Where they go.
    pub sink: Part<SinkPlugin>,
}

/// What to do with records that fail.
#[derive(Debug, Clone, PartialEq)]
pub struct ErrorPolicy {
    /// Whether the bridge goes on after a record that can never be delivered.
    pub tolerance: Tolerance,
    /// Where such a record goes.
    pub dead_letter: Option<DeadLetterTarget>,
    /// How long and how often a sink retries by itself.
    pub retry: RetryPolicy,
    /// The pauses between attempts to start again after an error: they double from the first to the second.
    pub backoff: (Duration, Duration),
    /// When the sink has been out of reach for so long, what is held goes back to the source until it is back; `None`
    /// never.
    pub give_back_after: Option<Duration>,
}

/// Whether a bridge goes on after a record that can never be delivered; Kafka Connect's `errors.tolerance`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tolerance {
    /// No: it stops, and the record stays at its source, whether there is a dead letter or not.
    None,
    /// Yes: the record goes to the dead letter. Without one it is dropped and counted.
    All,
}

/// Where records go that can never be delivered.
#[derive(Debug, Clone, PartialEq)]
pub enum DeadLetterTarget {
    /// They are written there, with the reason in their headers; the confirm settles them.
    Sink(Part<SinkPlugin>),
    /// The source hands them to its broker's own dead letter.
    Reject,
}

/// How much of a task may be in flight at once (I4), and how much one batch holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BridgeLimits {
    /// Records between source and commit.
    pub in_flight_records: usize,
    /// Their bytes.
    pub in_flight_bytes: usize,
    /// Records a batch.
    pub batch_records: usize,
    /// Bytes a batch.
    pub batch_bytes: usize,
}

impl Definition {
    /// Whether it would run the same. Where and how it was written does not matter, nor what its references to secrets
    /// bring: they are read at each use.
    pub fn means_the_same(&self, other: &Self) -> bool {
        // Taken apart by name, so that a new option cannot be forgotten here.
        let Self { name, tasks, source, transforms, sinks, errors, delivery, limits, stall_timeout, file: _, raw: _ } =
            self;
        *name == other.name
            && *tasks == other.tasks
            && *source == other.source
            && *transforms == other.transforms
            && *sinks == other.sinks
            && *errors == other.errors
            && *delivery == other.delivery
            && *limits == other.limits
            && *stall_timeout == other.stall_timeout
    }

    /// The files that its references to secrets name.
    pub fn secret_files(&self) -> Vec<PathBuf> {
        let sinks = self.errors.dead_letter_in_use().into_iter().chain(self.sinks.iter().map(|branch| &branch.sink));
        let transforms = self.transforms.iter().chain(self.sinks.iter().filter_map(|branch| branch.when.as_ref()));
        sinks.flat_map(Part::files).chain(transforms.flat_map(Part::files)).chain(self.source.files()).collect()
    }

    /// Whether all its secrets are there now; the error says which is not.
    pub fn check_secrets(&self) -> Result<()> {
        self.source.check_secrets()?;
        self.sinks.iter().try_for_each(|branch| branch.sink.check_secrets())?;
        self.sinks.iter().filter_map(|branch| branch.when.as_ref()).try_for_each(Part::check_secrets)?;
        self.transforms.iter().try_for_each(Part::check_secrets)?;
        self.errors.dead_letter_sink().into_iter().try_for_each(Part::check_secrets)
    }
}

impl<P: Plugin> fmt::Debug for Part<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Part")
            .field("plugin", &self.plugin.name())
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// The same connector or transform with the same options, in whatever order they were written, unless that counts.
impl<P: Plugin> PartialEq for Part<P> {
    fn eq(&self, other: &Self) -> bool {
        // Plugins are constants: there is one of each.
        std::ptr::eq(self.plugin, other.plugin)
            && self.options == other.options
            && self.plugin.ordered_options().iter().all(|name| keys(&self.options[name]) == keys(&other.options[name]))
    }
}

fn keys(options: &Json) -> Option<Vec<&String>> {
    options.as_object().map(|options| options.keys().collect())
}

impl ErrorPolicy {
    /// The sink that dead letters are written to, when any ever are.
    pub fn dead_letter_in_use(&self) -> Option<&Part<SinkPlugin>> {
        self.dead_letter_sink().filter(|_| self.tolerance == Tolerance::All)
    }

    /// The sink of the dead letters, when there is one.
    pub fn dead_letter_sink(&self) -> Option<&Part<SinkPlugin>> {
        match &self.dead_letter {
            Some(DeadLetterTarget::Sink(sink)) => Some(sink),
            Some(DeadLetterTarget::Reject) | None => None,
        }
    }
}

impl DeadLetterTarget {
    /// What stands for it in YAML: the sink's name, or `reject`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Sink(sink) => sink.plugin.name,
            Self::Reject => "reject",
        }
    }
}

impl<P: Plugin> Part<P> {
    /// Makes something of its options, with their secrets in place; without I/O. Its error quotes no secret.
    pub fn make<T>(&self, make: impl Fn(&Json) -> Result<T>) -> Result<T> {
        let mut made = None;
        self.resolver.make(self.plugin, &self.options, &mut |options| {
            made = Some(make(options)?);
            Ok(())
        })?;
        made.ok_or_else(|| gantry_sdk::Error::internal("the resolver made nothing of the options"))
    }

    /// Its options with their secrets in place, if nothing is wrong with them; to be used and dropped.
    pub fn checked(&self) -> Result<Json> {
        self.resolver.checked(self.plugin, &self.options)
    }

    fn check_secrets(&self) -> Result<()> {
        self.make(|_| Ok(()))
    }

    fn files(&self) -> Vec<PathBuf> {
        self.resolver.files(&self.options)
    }
}
