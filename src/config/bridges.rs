//! One bridge: its own options, the sections of its plugins, and whether they go together.

mod delivery;
pub(super) mod sinks;

use std::{path::PathBuf, sync::Arc, time::Duration};

use gantry_runtime::definition::{self, Definition, ErrorPolicy, Part, Tolerance};
use gantry_sdk::{
    Description,
    config::{DurationText, Problem},
    plugin::{RetryPolicy, SinkPlugin, SourcePlugin, TransformPlugin},
};
use serde_json::Value as Json;

use super::{
    findings::Findings,
    path,
    schema::{self, Slot},
    sections::{self, Connections, Section},
    settings::{self, REJECT},
    validate,
    view::View,
};
use crate::{
    graph::{self, Flow, FlowEnd, FlowSink},
    transform::hops::{self, Hops},
};

use sinks::Branch;

/// A bridge whose parts are all known.
#[derive(Debug)]
pub(super) struct Bridge {
    pub name: String,
    /// Its path, like `bridges.orders`.
    pub at: String,
    pub options: settings::Bridge,
    pub source: Section<SourcePlugin>,
    pub transforms: Vec<Section<TransformPlugin>>,
    /// At least one.
    pub sinks: Vec<Branch>,
    pub dead_letter: Option<DeadLetterTarget>,
    written: Json,
}

/// Where records go that can never be delivered.
#[derive(Debug)]
pub(super) enum DeadLetterTarget {
    Sink(Box<Section<SinkPlugin>>),
    /// The source's own dead letter.
    Reject,
}

/// Reads one bridge and says all that is wrong with it; `None` when something is.
pub(super) fn read(
    findings: &mut Findings<'_>,
    name: &str,
    view: View<'_>,
    connections: &Connections,
) -> Option<Bridge> {
    let at = path::key("bridges", name);
    check_name(findings, &at, name);
    let own = schema::bridge();
    for problem in validate::problems(&own, view.resolved, view.quotable) {
        findings.add_unless_unread(problem.under(&at));
    }

    let source: Option<Section<SourcePlugin>> = part(findings, &at, "/source", view, connections);
    let count = view.written.get("transforms").and_then(Json::as_array).map_or(0, Vec::len);
    let transforms: Vec<_> =
        (0..count).map(|index| part(findings, &at, &format!("/transforms/{index}"), view, connections)).collect();
    let sinks = sinks::read(findings, &at, view, connections);
    let dead_letter = dead_letter(findings, &at, view, connections);

    if !findings.is_sound(&at) {
        return None;
    }
    let parse = gantry_sdk::config::deserialize::<settings::Bridge>;
    let wrong = view.problems(&Slot::root(&own), |options| match parse(options) {
        Ok(options) => check_limits(&options),
        Err(problem) => vec![problem],
    });
    wrong.into_iter().for_each(|problem| findings.add_unless_missing(problem.under(&at)));
    let options = parse(view.resolved).ok()?;
    let (source, sinks) = (source?, sinks?);
    if options.errors.retry.max_attempts.is_some()
        && !sinks.iter().any(|branch| branch.sink.plugin.capabilities.counts_attempts)
    {
        let who = match sinks.as_slice() {
            [one] => format!("the sink {} does not count", one.sink.plugin.name),
            _ => "none of the sinks counts".to_owned(),
        };
        let message = format!("{who} tries: errors.retry.timeout says how long it may take");
        findings.error(path::key(&at, "errors.retry.max_attempts"), message);
    }
    if matches!(dead_letter, Some(DeadLetterTarget::Reject)) && !source.plugin.capabilities.can_reject {
        let message = format!("the source {} has no dead letter of its own: name a sink", source.plugin.name);
        findings.error(path::key(&at, &format!("errors.dead_letter.{REJECT}")), message);
    }
    if matches!(dead_letter, Some(DeadLetterTarget::Reject)) && sinks.len() > 1 {
        let message = "with several sinks a record that one refuses would leave the source before the others have it: name a sink";
        findings.error(path::key(&at, &format!("errors.dead_letter.{REJECT}")), message);
    }
    let bridge = Bridge {
        name: name.to_owned(),
        options,
        source,
        transforms: transforms.into_iter().collect::<Option<_>>()?,
        sinks,
        dead_letter,
        written: view.written.clone(),
        at,
    };
    if bridge.options.delivery == settings::Delivery::ExactlyOnce {
        let sinks: Vec<_> = bridge.sinks.iter().map(|branch| branch.sink.plugin).collect();
        let rejects_at_source = matches!(bridge.dead_letter, Some(DeadLetterTarget::Reject));
        let tasks = bridge.options.tasks;
        delivery::check(findings, &bridge.at, bridge.source.plugin, &sinks, rejects_at_source, tasks);
    }
    findings.is_sound(&bridge.at).then_some(bridge)
}

/// Reads the section at a JSON pointer below the bridge, if it is there.
fn part<P: super::plugins::Registered>(
    findings: &mut Findings<'_>,
    at: &str,
    pointer: &str,
    view: View<'_>,
    connections: &Connections,
) -> Option<Section<P>> {
    let view = view.pointer(pointer)?;
    let mut at = at.to_owned();
    for segment in pointer.split('/').skip(1) {
        at = match segment.parse() {
            Ok(index) => path::index(&at, index),
            Err(_) => path::key(&at, segment),
        };
    }
    sections::read(findings, &at, view, connections)
}

/// Reads the dead letter: a sink, or the word for the source's own.
fn dead_letter(
    findings: &mut Findings<'_>,
    at: &str,
    view: View<'_>,
    connections: &Connections,
) -> Option<DeadLetterTarget> {
    const POINTER: &str = "/errors/dead_letter";
    let section = view.written.pointer(POINTER)?;
    match section.get(REJECT) {
        Some(options) if section.as_object().is_some_and(|names| names.len() == 1) => {
            let is_empty = options.is_null() || options.as_object().is_some_and(serde_json::Map::is_empty);
            if !is_empty {
                let at = path::key(at, &format!("errors.dead_letter.{REJECT}"));
                findings.error(at, "takes no options: write { reject: {} }");
            }
            Some(DeadLetterTarget::Reject)
        }
        _ => {
            let sink: Section<SinkPlugin> = part(findings, at, POINTER, view, connections)?;
            for problem in sink.problems(sink.plugin.check_dead_letter) {
                findings.add_unless_missing(problem.under(&sink.at));
            }
            Some(DeadLetterTarget::Sink(Box::new(sink)))
        }
    }
}

/// A name stands in paths of the REST API and in metrics.
fn check_name(findings: &mut Findings<'_>, at: &str, name: &str) {
    if name.is_empty() {
        findings.error("bridges", "a bridge has an empty name");
    } else if matches!(name, "." | "..") {
        findings
            .error(at, format!("no bridge can be named \"{name}\": in paths of the REST API that means another place"));
    } else if let Some(wrong) = name.chars().find(|c| c.is_control() || matches!(c, '/' | '%' | '\\')) {
        findings.error(at, format!("the name of a bridge must not hold {wrong:?}: it stands in paths of the REST API"));
    }
}

/// Whether its own options go together.
fn check_limits(options: &settings::Bridge) -> Vec<Problem> {
    let settings::Errors { retry, backoff, .. } = &options.errors;
    let limits = &options.limits;
    let mut problems = Vec::new();
    problems.extend(options.hops.as_ref().and_then(Hops::check).map(|problem| problem.under("hops")));
    let mut error = |path: &str, message: String| problems.push(Problem::error(path, message));
    if backoff.initial > backoff.max {
        error("errors.backoff.initial", format!("is longer than errors.backoff.max ({})", backoff.max));
    }
    if retry.timeout.is_some_and(|timeout| timeout.0.is_zero()) {
        let message = "0s would give up every record before it is sent: leave it out to retry for ever";
        error("errors.retry.timeout", message.to_owned());
    }
    if retry.max_attempts == Some(0) {
        let message = "0 would refuse every record before it is sent: leave it out to retry for ever";
        error("errors.retry.max_attempts", message.to_owned());
    }
    if retry.delay > retry.max_delay {
        error("errors.retry.delay", format!("is longer than errors.retry.max_delay ({})", retry.max_delay));
    }
    if limits.batch > limits.in_flight {
        let most = limits.in_flight;
        error(
            "limits.batch",
            format!("is more than limits.in_flight ({most}): a batch must fit in what may be in flight"),
        );
    }
    if limits.batch_bytes > limits.in_flight_bytes {
        let most = limits.in_flight_bytes;
        error(
            "limits.batch_bytes",
            format!("is more than limits.in_flight_bytes ({most}): a batch must fit in what may be in flight"),
        );
    }
    for (key, size) in [("batch_bytes", limits.batch_bytes), ("in_flight_bytes", limits.in_flight_bytes)] {
        if size.0 == 0 {
            error(&format!("limits.{key}"), "must be at least 1B: nothing would ever move".to_owned());
        }
    }
    problems
}

impl Bridge {
    /// Whether a reference says how many tasks it has.
    pub(super) fn tasks_are_by_reference(&self) -> bool {
        self.written["tasks"].is_string()
    }

    /// Whether it goes on after a record that can never be delivered.
    pub(super) fn tolerance(&self) -> Tolerance {
        match (self.options.errors.tolerance, &self.dead_letter) {
            (Some(settings::Tolerance::All), _) | (None, Some(_)) => Tolerance::All,
            (Some(settings::Tolerance::None), _) | (None, None) => Tolerance::None,
        }
    }

    /// Where its records come from and go to. It is drawn and told of, so a reference stands in it as it is written; only
    /// where a broker is, by what a reference brings: two that lead to the same one are the same.
    pub(super) fn to_flow(&self) -> Flow {
        let describe = |section: &Section<SinkPlugin>| {
            let broker = (section.plugin.describe)(&section.options.resolved).broker;
            Description { broker, ..(section.plugin.describe)(&section.stand_in()) }
        };
        let sink =
            |section: &Section<SinkPlugin>| FlowEnd { connector: section.plugin.name, description: describe(section) };
        let branch = |branch: &Branch| FlowSink { end: sink(&branch.sink), conditional: branch.when.is_some() };
        let source = &self.source;
        let broker = (source.plugin.describe)(&source.options.resolved, &self.name).broker;
        let description = Description { broker, ..(source.plugin.describe)(&source.stand_in(), &self.name) };
        let flow = Flow {
            bridge: self.name.clone(),
            source: FlowEnd { connector: source.plugin.name, description },
            transforms: self.transforms.iter().map(|transform| transform.plugin.name).collect(),
            sinks: self.sinks.iter().map(branch).collect(),
            dead_letter: self.dead_letter.as_ref().map(|letter| match letter {
                DeadLetterTarget::Sink(section) => graph::DeadLetterTarget::Sink(sink(section)),
                DeadLetterTarget::Reject => graph::DeadLetterTarget::Broker,
            }),
            counts_hops: self.options.hops.is_some(),
        };
        flow.routed()
    }

    /// What happens to its records, in order.
    fn steps(&self) -> Vec<Part<TransformPlugin>> {
        let hops = self.options.hops.as_ref().map(|hops| Part {
            plugin: &hops::PLUGIN,
            options: hops.step(&self.name),
            resolver: Arc::new(()),
        });
        hops.into_iter().chain(self.transforms.iter().map(Section::to_part)).collect()
    }

    /// What the data path runs.
    pub(super) fn to_definition(&self, findings: &Findings<'_>) -> Definition {
        let place = findings.tree().place(&self.at);
        let file = place.as_ref().and_then(|place| place.file());
        let backoff = &self.options.errors.backoff;
        Definition {
            name: Arc::from(self.name.as_str()),
            tasks: self.options.tasks,
            source: self.source.to_part(),
            transforms: self.steps(),
            sinks: self.sinks.iter().map(Branch::to_definition).collect(),
            errors: ErrorPolicy {
                tolerance: self.tolerance(),
                dead_letter: self.dead_letter.as_ref().map(|letter| match letter {
                    DeadLetterTarget::Sink(sink) => definition::DeadLetterTarget::Sink(sink.to_part()),
                    DeadLetterTarget::Reject => definition::DeadLetterTarget::Reject,
                }),
                retry: RetryPolicy::from(&self.options.errors.retry),
                backoff: (backoff.initial.0, backoff.max.0),
                give_back_after: unless_zero(self.options.errors.give_back_after),
            },
            delivery: match self.options.delivery {
                settings::Delivery::AtLeastOnce => definition::Delivery::AtLeastOnce,
                settings::Delivery::ExactlyOnce => definition::Delivery::ExactlyOnce,
            },
            stall_timeout: unless_zero(self.options.stall_timeout),
            limits: (&self.options.limits).into(),
            file: file.map_or_else(|| PathBuf::from("the environment"), PathBuf::from),
            raw: self.written.clone(),
        }
    }
}

/// A duration of which 0 means never.
fn unless_zero(duration: DurationText) -> Option<Duration> {
    (!duration.0.is_zero()).then_some(duration.0)
}
