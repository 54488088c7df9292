//! One bridge: its own options, the sections of its plugins, and whether they go together.
//!
//! # The forms of a bridge
//! Each has a reason of its own:
//! - JSON as a person wrote it ([`View`]): nobody has checked it. It is kept for REST only ([`Definition::raw`]).
//! - [`settings::Bridge`]: its own options, read. The schema and the defaults come from it. It lives in [`read`] alone.
//! - [`Parts`]: the sections of its plugins with what references bring. It goes when loading ends, so no secret stays.
//! - [`Definition`]: what runs and is compared by a reload. All is checked, all values have their meaning, and no secret is in
//!   it; the runtime knows no configuration.

mod delivery;
mod limits;
mod parts;
pub(super) mod sinks;

use std::path::PathBuf;

use gantry_runtime::Definition;
use gantry_sdk::{
    config::KeyPath,
    plugin::{SinkPlugin, SourcePlugin},
};
use serde_json::Value as Json;

use super::{
    diagnostic::Place,
    findings::Findings,
    schema::{self, Slot},
    sections::{self, Connections, Section},
    settings::{self, REJECT},
    validate,
    view::View,
};
use crate::graph::Flow;

pub(super) use parts::{DeadLetterTarget, Parts};
use sinks::Branch;

/// A bridge without errors, as long as loading goes on.
#[derive(Debug)]
pub(super) struct Bridge {
    /// Its path, like `bridges.orders`.
    pub at: KeyPath,
    pub definition: Definition,
    pub parts: Parts,
}

/// Reads one bridge and says all that is wrong with it; `None` when something is.
pub(super) fn read(
    findings: &mut Findings<'_>,
    name: &str,
    view: View<'_>,
    connections: &Connections,
) -> Option<(Bridge, Flow)> {
    let at = KeyPath::from("bridges").key(name);
    check_name(findings, &at, name);
    let own = schema::bridge();
    for problem in validate::problems(&own, view.resolved, view.quotable) {
        findings.add_unless_unread(problem.under(&at));
    }

    let source: Option<Section<SourcePlugin>> = part(findings, &at, &"source".into(), view, connections);
    let count = view.written.get("transforms").and_then(Json::as_array).map_or(0, Vec::len);
    let transform = KeyPath::from("transforms");
    let transforms: Vec<_> =
        (0..count).map(|index| part(findings, &at, &transform.index(index), view, connections)).collect();
    let sinks = sinks::read(findings, &at, view, connections);
    let dead_letter = dead_letter(findings, &at, view, connections);

    if !findings.is_sound(&at) {
        return None;
    }
    let parse = gantry_sdk::config::deserialize::<settings::Bridge>;
    let wrong = view.problems(&Slot::root(&own), |options| match parse(options) {
        Ok(options) => limits::check(&options),
        Err(problem) => vec![problem],
    });
    wrong.into_iter().for_each(|problem| findings.add_unless_missing(problem.under(&at)));
    let options = parse(view.resolved).ok()?;
    let transforms = transforms.into_iter().collect::<Option<_>>();
    let (source, sinks) = (source?, sinks?);
    check_together(findings, &at, &options, source.plugin, &sinks, dead_letter.as_ref());
    let parts = Parts { source, transforms: transforms?, sinks, dead_letter };
    if options.delivery == settings::Delivery::ExactlyOnce {
        let sinks: Vec<_> = parts.sinks.iter().map(|branch| branch.sink.plugin).collect();
        delivery::check(findings, &at, parts.source.plugin, &sinks, parts.rejects_at_source(), options.tasks);
    }
    if !findings.is_sound(&at) {
        return None;
    }
    let file = findings.tree().place(&at).and_then(Place::file);
    let file = file.map_or_else(|| PathBuf::from("the environment"), PathBuf::from);
    let definition = parts.to_definition(name, &options, file, view.written);
    let flow = parts.to_flow(name, options.hops.is_some());
    Some((Bridge { at, definition, parts }, flow))
}

/// Whether the plugins can do what the options ask of them.
fn check_together(
    findings: &mut Findings<'_>,
    at: &KeyPath,
    options: &settings::Bridge,
    source: &SourcePlugin,
    sinks: &[Branch],
    dead_letter: Option<&DeadLetterTarget>,
) {
    if options.errors.retry.max_attempts.is_some()
        && !sinks.iter().any(|branch| branch.sink.plugin.capabilities.counts_attempts)
    {
        let who = match sinks {
            [one] => format!("the sink {} does not count", one.sink.plugin.name),
            _ => "none of the sinks counts".to_owned(),
        };
        let message = format!("{who} tries: errors.retry.timeout says how long it may take");
        findings.error(at.join("errors.retry.max_attempts"), message);
    }
    if !matches!(dead_letter, Some(DeadLetterTarget::Reject)) {
        return;
    }
    let rejects = at.join("errors.dead_letter").key(REJECT);
    if !source.capabilities.can_reject {
        let message = format!("the source {} has no dead letter of its own: name a sink", source.name);
        findings.error(&rejects, message);
    }
    if sinks.len() > 1 {
        let message = "with several sinks a record that one refuses would leave the source before the others have it: name a sink";
        findings.error(&rejects, message);
    }
}

/// Reads the section that stands `below` the bridge, if it is there.
fn part<P: super::plugins::Registered>(
    findings: &mut Findings<'_>,
    at: &KeyPath,
    below: &KeyPath,
    view: View<'_>,
    connections: &Connections,
) -> Option<Section<P>> {
    sections::read(findings, &at.join(below), view.at(below.steps())?, connections)
}

/// Reads the dead letter: a sink, or the word for the source's own.
fn dead_letter(
    findings: &mut Findings<'_>,
    at: &KeyPath,
    view: View<'_>,
    connections: &Connections,
) -> Option<DeadLetterTarget> {
    let here = KeyPath::from("errors.dead_letter");
    let section = view.at(here.steps())?.written;
    match section.get(REJECT) {
        Some(options) if section.as_object().is_some_and(|names| names.len() == 1) => {
            let is_empty = options.is_null() || options.as_object().is_some_and(serde_json::Map::is_empty);
            if !is_empty {
                let at = at.join(&here).key(REJECT);
                findings.error(at, "takes no options: write { reject: {} }");
            }
            Some(DeadLetterTarget::Reject)
        }
        _ => {
            let sink: Section<SinkPlugin> = part(findings, at, &here, view, connections)?;
            for problem in sink.problems(sink.plugin.check_dead_letter) {
                findings.add_unless_missing(problem.under(&sink.at));
            }
            Some(DeadLetterTarget::Sink(Box::new(sink)))
        }
    }
}

/// A name stands in paths of the REST API and in metrics.
fn check_name(findings: &mut Findings<'_>, at: &KeyPath, name: &str) {
    if name.is_empty() {
        findings.error("bridges", "a bridge has an empty name");
    } else if matches!(name, "." | "..") {
        findings
            .error(at, format!("no bridge can be named \"{name}\": in paths of the REST API that means another place"));
    } else if let Some(wrong) = name.chars().find(|c| c.is_control() || matches!(c, '/' | '%' | '\\')) {
        findings.error(at, format!("the name of a bridge must not hold {wrong:?}: it stands in paths of the REST API"));
    }
}
