//! How a connector shows itself to the registry.
//!
//! A connector exports constants of [`SourcePlugin`] and [`SinkPlugin`], each made from one config type by `of`. The
//! config type is the single definition from which loading, `gantry check`, `gantry list`, `gantry schema` and the
//! documentation follow.
//!
//! By the time a config type sees its section, `connection: NAME` is replaced by that connection's own options, and
//! secrets (`${env:…}`) are resolved. A config type that is deserialised is never logged.

use std::{pin::Pin, sync::Arc, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings};
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use crate::{
    Checkpoints, DeadLetters, Depth, Description, Health, Lag, Lost, Remembered, Result, Shared, Sink,
    SinkCapabilities, Source, SourceCapabilities, Transform,
    config::Problem,
    endpoint::Route,
    probe::{self, Probing},
};

/// A source or a sink that is being opened. It connects when it is awaited; when it fails, or is dropped half-way, nothing stays
/// open behind it.
pub type Opening<T> = Pin<Box<dyn Future<Output = Result<Box<T>>> + Send>>;

/// What a task tells the connector it makes.
#[derive(Debug, Clone)]
pub struct Context {
    /// The bridge's name.
    pub bridge: Arc<str>,
    /// The task's number in the bridge, from 0.
    pub task: u32,
    /// How many tasks the bridge has.
    pub tasks: u32,
    /// Where to say how the connection is.
    pub health: Health,
    /// Where a source that is a log says how far it is behind.
    pub lag: Lag,
    /// Where a source of queues says how much waits in them.
    pub depth: Depth,
    /// Where a source says what was gone at its broker before it was read.
    pub lost: Lost,
    /// What this part's instances before this one have left for it.
    pub remembered: Remembered,
    /// What the parts of all bridges have in common.
    pub shared: Shared,
    /// Leads to this part's options as they are later, for what expires in them.
    pub options: CurrentOptions,
    /// How long and how often a sink retries a record by itself.
    pub retry: RetryPolicy,
    /// It takes dead letters: whatever size and shape, one at a time.
    pub dead_letter: bool,
    /// How many bytes of records the task may have in flight (I4). A source whose client library buffers by itself keeps
    /// that buffer below it, too.
    pub in_flight_bytes: usize,
    /// Each record is there once, whatever dies. A sink that can is made with [transactions](crate::Transactions); a source that can
    /// be replayed leaves nothing at its broker, and goes on behind `stored`.
    pub exactly_once: bool,
    /// With `exactly_once`, for the source: up to where each lane is settled, as the sink has stored it. A lane that is not in it
    /// begins where the options say.
    pub stored: Checkpoints,
}

impl Context {
    /// For a command that looks at a bridge and runs none: nobody hears what the connector says between calls.
    pub fn new(bridge: Arc<str>, in_flight_bytes: usize) -> Self {
        Self {
            bridge,
            task: 0,
            tasks: 1,
            health: Health::new(),
            lag: Lag::default(),
            depth: Depth::default(),
            lost: Lost::default(),
            remembered: Remembered::default(),
            shared: Shared::default(),
            options: CurrentOptions::default(),
            retry: RetryPolicy::default(),
            dead_letter: false,
            in_flight_bytes,
            exactly_once: false,
            stored: Checkpoints::default(),
        }
    }
}

/// A part's options with their secrets in place, as they are when they are read: a reference may lead to another secret by
/// then. To be used and dropped, like the options that a part is made of.
#[derive(Clone, Default)]
pub struct CurrentOptions(Option<ReadOptions>);

type ReadOptions = Arc<dyn Fn() -> Result<Json> + Send + Sync>;

impl CurrentOptions {
    /// Read in this way.
    pub fn new(read: impl Fn() -> Result<Json> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(read)))
    }

    /// Whether there is a way to read them.
    pub fn are_known(&self) -> bool {
        self.0.is_some()
    }

    /// The options as they are now. May read files.
    pub fn read(&self) -> Result<Json> {
        match &self.0 {
            Some(read) => read(),
            None => Err(crate::Error::internal("there is no way to read the options again")),
        }
    }
}

impl std::fmt::Debug for CurrentOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // They hold secrets.
        f.debug_struct("CurrentOptions").finish_non_exhaustive()
    }
}

/// How a sink retries a record in order before it gives it up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Fail a record as retriable after this long; `None` never.
    pub timeout: Option<Duration>,
    /// Refuse a record for good when its destination has refused it so often for now; `None` never. Of a sink that
    /// [counts](SinkConfig::COUNTS_ATTEMPTS) them.
    pub max_attempts: Option<u32>,
    /// The first pause; it doubles each time.
    pub delay: Duration,
    /// The longest pause.
    pub max_delay: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            timeout: None,
            max_attempts: None,
            delay: Duration::from_millis(300),
            max_delay: Duration::from_secs(60),
        }
    }
}

/// The options of a source: what `source: { NAME: … }` holds.
pub trait SourceConfig: DeserializeOwned + JsonSchema {
    /// Those of its options whose keys are tried one after the other: of all others the order means nothing.
    const ORDERED_OPTIONS: &'static [&'static str] = &[];

    /// Whether the source implements [`Source::reject`].
    const CAN_REJECT: bool = false;

    /// Whether records of a lane come in the order that they have at the broker.
    const KEEPS_ORDER: bool = true;

    /// Whether it can be opened at a position that was stored elsewhere, and gives what follows it.
    const REPLAYABLE: bool = false;

    /// Whether it wants to hear what a sink answers to its records.
    const WANTS_ANSWERS: bool = false;

    /// Whether what it reads is Kafka: Kafka Connect's API sees every bridge from there.
    const IS_KAFKA: bool = false;

    /// What is wrong or will hurt, found without I/O; all of it at once.
    fn check(&self) -> Vec<Problem> {
        Vec::new()
    }

    /// What is wrong with batches of so many records, which a person asked for.
    fn check_batch(&self, records: usize) -> Option<String> {
        let _ = records;
        None
    }

    /// What is wrong with handing records to its broker's own dead letter; of a source that [can](Self::CAN_REJECT).
    fn check_reject(&self) -> Option<String> {
        None
    }

    /// What it reads, without I/O. `bridge` is the bridge's name: groups may be named for it.
    fn describe(&self, bridge: &str) -> Description {
        let _ = bridge;
        Description::default()
    }

    /// Makes ready to open the source: says what is wrong with the options, and connects nothing yet.
    fn build(self, context: Context) -> Result<Opening<dyn Source>>;

    /// Asks the other side whether it could work, see [`probe`](mod@crate::probe).
    fn probe(self, context: Context) -> Probing {
        let _ = context;
        probe::nothing_to_ask()
    }
}

/// The options of a sink: what `sink: { NAME: … }` and `dead_letter: { NAME: … }` hold.
pub trait SinkConfig: DeserializeOwned + JsonSchema {
    /// Those of its options whose keys are tried one after the other: of all others the order means nothing.
    const ORDERED_OPTIONS: &'static [&'static str] = &[];

    /// Whether the sink tries a record again that its destination refuses for now, and heeds [`RetryPolicy::max_attempts`].
    const COUNTS_ATTEMPTS: bool = false;

    /// Whether records of a lane leave in the order in which they came.
    const KEEPS_ORDER: bool = true;

    /// Whether it can write records and their source's positions together, or none of them.
    const TRANSACTIONAL: bool = false;

    /// Whether it says of each record where it is, or what was answered.
    const GIVES_ANSWERS: bool = false;

    /// Whether what it has written already is not written again when it comes again.
    const DEDUPLICATES: bool = false;

    /// Whether it may refuse a record for good.
    const CAN_REFUSE: bool = true;

    /// Whether it prints records on the process's standard output: nothing else may draw on that terminal then.
    const PRINTS: bool = false;

    /// Whether what it writes to is Kafka: Kafka Connect's API sees every bridge from there.
    const IS_KAFKA: bool = false;

    /// The option that by itself says where records go, when it is given. With the same value, and the same connection, in
    /// a sink and in its dead letter nobody could tell dead letters from good records.
    const PLACE_OPTION: Option<&'static str> = None;

    /// What is wrong or will hurt, found without I/O; all of it at once.
    fn check(&self) -> Vec<Problem> {
        Vec::new()
    }

    /// What is wrong with it for dead letters, besides what [`check`](Self::check) finds.
    fn check_dead_letter(&self) -> Vec<Problem> {
        Vec::new()
    }

    /// What it writes to, without I/O.
    fn describe(&self) -> Description {
        Description::default()
    }

    /// Makes ready to open the sink: says what is wrong with the options, and connects nothing yet.
    fn build(self, context: Context) -> Result<Opening<dyn Sink>>;

    /// Asks the other side whether it could work, see [`probe`](mod@crate::probe).
    fn probe(self, context: Context) -> Probing {
        let _ = context;
        probe::nothing_to_ask()
    }
}

/// The options of a sink whose dead letters can be read back.
pub trait DeadLettersConfig: SinkConfig {
    /// Makes ready to read them: says what is wrong with the options, and connects nothing yet.
    fn dead_letters(self, context: Context) -> Result<Opening<dyn DeadLetters>>;
}

/// The options of a transform: what `transforms: [ { NAME: … } ]` holds.
pub trait TransformConfig: DeserializeOwned + JsonSchema {
    /// Those of its options whose keys are tried one after the other: of all others the order means nothing.
    const ORDERED_OPTIONS: &'static [&'static str] = &[];

    /// What is wrong or will hurt; all of it at once.
    fn check(&self) -> Vec<Problem> {
        Vec::new()
    }

    /// Makes the transform.
    fn build(self) -> Result<Box<dyn Transform>>;
}

/// What all kinds of plugin have in common, for who reads their sections.
pub trait Plugin: Send + Sync + 'static {
    /// The key that selects it in YAML.
    fn name(&self) -> &'static str;
    /// Its options.
    fn schema(&self) -> Schema;
    /// What is wrong with these options; all of it at once, without I/O.
    fn check(&self, options: &Json) -> Vec<Problem>;
    /// Those of its options whose keys are tried one after the other: of all others the order means nothing.
    fn ordered_options(&self) -> &'static [&'static str] {
        &[]
    }
}

macro_rules! plugin {
    (
        $(#[$doc:meta])* $plugin:ident, $config:ident, $product:ty, ($($context:ident: $type:ty)?)
        $(, $(#[$more_doc:meta])* $more:ident: $more_type:ty = $default:expr)*
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub struct $plugin {
            /// The key that selects it in YAML.
            pub name: &'static str,
            /// One sentence for `gantry list`.
            pub summary: &'static str,
            /// Its options.
            pub schema: fn() -> Schema,
            /// What is wrong with these options; all of it at once, without I/O.
            pub check: fn(&Json) -> Vec<Problem>,
            /// Makes one from these options.
            pub create: fn(&Json $(, $type)?) -> Result<$product>,
            /// Those of its options whose keys are tried one after the other.
            pub ordered_options: &'static [&'static str],
            $($(#[$more_doc])* pub $more: $more_type,)*
        }

        impl $plugin {
            /// The plugin whose options are `C`.
            pub const fn of<C: $config>(name: &'static str, summary: &'static str) -> Self {
                Self {
                    name,
                    summary,
                    schema: schema_of::<C>,
                    check: |options| match parse::<C>(options) {
                        Ok(config) => config.check(),
                        Err(problem) => vec![problem],
                    },
                    create: |options $(, $context)?| match parse::<C>(options) {
                        Ok(config) => config.build($($context)?),
                        Err(problem) => Err(crate::Error::config(problem.to_string())),
                    },
                    ordered_options: C::ORDERED_OPTIONS,
                    $($more: $default,)*
                }
            }
        }

        impl Plugin for $plugin {
            fn name(&self) -> &'static str {
                self.name
            }

            fn schema(&self) -> Schema {
                (self.schema)()
            }

            fn check(&self, options: &Json) -> Vec<Problem> {
                (self.check)(options)
            }

            fn ordered_options(&self) -> &'static [&'static str] {
                self.ordered_options
            }
        }
    };
}

plugin!(
    /// A source that can be named in YAML.
    SourcePlugin, SourceConfig, Opening<dyn Source>, (context: Context),
    /// What it can do.
    capabilities: SourceCapabilities = source_capabilities::<C>(),
    /// What it reads is Kafka.
    is_kafka: bool = C::IS_KAFKA,
    /// What is wrong with batches of so many records; nothing when the options do not parse.
    check_batch: fn(&Json, usize) -> Option<String> =
        |options, records| parse::<C>(options).ok().and_then(|config| config.check_batch(records)),
    /// What is wrong with handing records to its broker's own dead letter; nothing when the options do not parse.
    check_reject: fn(&Json) -> Option<String> =
        |options| parse::<C>(options).ok().and_then(|config| config.check_reject()),
    /// Asks the other side whether it could work with these options, see [`probe`](mod@crate::probe).
    probe: fn(&Json, Context) -> Probing =
        |options, context| parse::<C>(options).map_or_else(unreadable, |config| config.probe(context)),
    /// What it reads, by its options and the bridge's name; nothing when they do not parse.
    describe: fn(&Json, &str) -> Description =
        |options, bridge| parse::<C>(options).map(|config| config.describe(bridge)).unwrap_or_default(),
    /// Options in YAML for a first try, with comments: what `gantry init` writes. Its connection is named like the plugin.
    example: &'static str = ""
);
plugin!(
    /// A sink that can be named in YAML.
    SinkPlugin, SinkConfig, Opening<dyn Sink>, (context: Context),
    /// What it can do.
    capabilities: SinkCapabilities = sink_capabilities::<C>(),
    /// It may refuse a record for good.
    can_refuse: bool = C::CAN_REFUSE,
    /// It prints records on the process's standard output.
    prints: bool = C::PRINTS,
    /// What it writes to is Kafka.
    is_kafka: bool = C::IS_KAFKA,
    /// The option that by itself says where records go, see [`SinkConfig::PLACE_OPTION`].
    place_option: Option<&'static str> = C::PLACE_OPTION,
    /// What is wrong with it for dead letters, besides what `check` finds; nothing when the options do not parse.
    check_dead_letter: fn(&Json) -> Vec<Problem> =
        |options| parse::<C>(options).map(|config| config.check_dead_letter()).unwrap_or_default(),
    /// Reads back what was written there as a dead letter; `None` when it cannot be read back.
    dead_letters: Option<fn(&Json, Context) -> Result<Opening<dyn DeadLetters>>> = None,
    /// Asks the other side whether it could work with these options, see [`probe`](mod@crate::probe).
    probe: fn(&Json, Context) -> Probing =
        |options, context| parse::<C>(options).map_or_else(unreadable, |config| config.probe(context)),
    /// What it writes to, by its options; nothing when they do not parse.
    describe: fn(&Json) -> Description = |options| parse::<C>(options).map(|config| config.describe()).unwrap_or_default(),
    /// Options in YAML for a first try, with comments: what `gantry init` writes. Its connection is named like the plugin.
    example: &'static str = "",
    /// The same for dead letters; empty where they cannot be kept.
    dead_letter_example: &'static str = ""
);

impl SourcePlugin {
    /// The same with options for a first try.
    #[must_use]
    pub const fn with_example(mut self, example: &'static str) -> Self {
        self.example = example;
        self
    }
}

impl SinkPlugin {
    /// The same with options for a first try, and for dead letters.
    #[must_use]
    pub const fn with_examples(mut self, example: &'static str, dead_letter: &'static str) -> Self {
        self.example = example;
        self.dead_letter_example = dead_letter;
        self
    }

    /// The same, and dead letters written there can be read back.
    #[must_use]
    pub const fn with_dead_letters<C: DeadLettersConfig>(mut self) -> Self {
        self.dead_letters = Some(|options, context| match parse::<C>(options) {
            Ok(config) => config.dead_letters(context),
            Err(problem) => Err(crate::Error::config(problem.to_string())),
        });
        self
    }
}
plugin!(
    /// A transform that can be named in YAML.
    TransformPlugin, TransformConfig, Box<dyn Transform>, ()
);

/// Asks a broker how records go inside it: by a connection's options and a URL.
type AskRoutes = fn(&Json, &str) -> Result<Vec<Route>>;

/// A connector's named connections: what `connections: { x: { NAME: … } }` holds.
#[derive(Debug, Clone, Copy)]
pub struct ConnectionPlugin {
    /// The key that selects it in YAML, the same as the connector's sources and sinks.
    pub name: &'static str,
    /// Its options.
    pub schema: fn() -> Schema,
    /// Parses the options; the problem if they do not.
    pub check: fn(&Json) -> Vec<Problem>,
    /// Asks the broker how records go inside it, by these options and the URL of its management API; `None` when it has none.
    /// It does I/O, and blocks while it does.
    pub routes: Option<AskRoutes>,
    /// Under which targets its client libraries log for their own developers: kept quiet, the connector says what matters.
    pub libraries: &'static [&'static str],
    /// Options in YAML for a first try, with comments: what `gantry init` writes.
    pub example: &'static str,
}

impl ConnectionPlugin {
    /// The connection whose options are `C`.
    pub const fn of<C: DeserializeOwned + JsonSchema>(name: &'static str) -> Self {
        let check = |options: &Json| parse::<C>(options).err().into_iter().collect();
        Self { name, schema: schema_of::<C>, check, routes: None, libraries: &[], example: "" }
    }

    /// The same with options for a first try.
    #[must_use]
    pub const fn with_example(mut self, example: &'static str) -> Self {
        self.example = example;
        self
    }

    /// The same, with client libraries that log.
    #[must_use]
    pub const fn with_libraries(mut self, libraries: &'static [&'static str]) -> Self {
        self.libraries = libraries;
        self
    }

    /// The same, and its broker can be asked how records go inside it.
    #[must_use]
    pub const fn with_routes(mut self, routes: AskRoutes) -> Self {
        self.routes = Some(routes);
        self
    }
}

impl Plugin for ConnectionPlugin {
    fn name(&self) -> &'static str {
        self.name
    }

    fn schema(&self) -> Schema {
        (self.schema)()
    }

    fn check(&self, options: &Json) -> Vec<Problem> {
        (self.check)(options)
    }
}

const fn source_capabilities<C: SourceConfig>() -> SourceCapabilities {
    SourceCapabilities {
        keeps_order: C::KEEPS_ORDER,
        can_reject: C::CAN_REJECT,
        replayable: C::REPLAYABLE,
        wants_answers: C::WANTS_ANSWERS,
    }
}

const fn sink_capabilities<C: SinkConfig>() -> SinkCapabilities {
    SinkCapabilities {
        keeps_order: C::KEEPS_ORDER,
        transactional: C::TRANSACTIONAL,
        gives_answers: C::GIVES_ANSWERS,
        deduplicates: C::DEDUPLICATES,
        counts_attempts: C::COUNTS_ATTEMPTS,
    }
}

/// The JSON Schema of a type, with nothing left to look up elsewhere.
fn schema_of<T: JsonSchema>() -> Schema {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    SchemaGenerator::new(settings).into_root_schema_for::<T>()
}

/// The probe of options that do not parse.
fn unreadable(problem: Problem) -> Probing {
    Box::pin(async move { Err(crate::Error::config(problem.to_string())) })
}

/// Deserialises options. The problem never quotes a value: it could be a secret.
fn parse<T: DeserializeOwned>(options: &Json) -> Result<T, Problem> {
    crate::config::deserialize(options)
}
