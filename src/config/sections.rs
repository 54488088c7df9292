//! `{ NAME: { … } }`: which connector or transform is meant, and whether its options are right.

use std::{cell::Cell, collections::BTreeMap};

use gantry_sdk::{config::Problem, plugin::ConnectionPlugin};
use serde_json::{Map, Value as Json};

use super::{
    findings::Findings,
    path,
    plugins::{Kind, Plugin},
    suggest, validate,
};
use crate::bridge::definition::Part;

/// A section that names a plugin.
#[derive(Debug)]
pub(super) struct Section<P: 'static> {
    /// Where its options are, like `bridges.orders.sink.kafka`.
    pub at: String,
    pub plugin: &'static P,
    /// The options as they were written, with the connection's in place of its name.
    pub written: Json,
    /// The same with references resolved.
    pub resolved: Json,
}

/// A named connection.
#[derive(Debug)]
pub(super) struct Connection {
    section: Section<ConnectionPlugin>,
    used: Cell<bool>,
}

/// The named connections of a configuration; those that name no connector stand with `None`.
pub(super) type Connections = BTreeMap<String, Option<Connection>>;

impl<P> Section<P> {
    /// What the data path needs of it.
    pub(super) fn to_part(&self) -> Part<P> {
        Part { plugin: self.plugin, options: self.written.clone() }
    }
}

/// Reads every named connection.
pub(super) fn connections(findings: &mut Findings<'_>, written: &Json, resolved: &Json) -> Connections {
    let mut connections = Connections::new();
    for (name, section) in written.as_object().into_iter().flatten() {
        let at = path::key("connections", name);
        let section = read(findings, &at, section, &resolved[name], &Connections::new());
        connections.insert(name.clone(), section.map(|section| Connection { section, used: Cell::new(false) }));
    }
    connections
}

/// The names of connections that no bridge uses.
pub(super) fn unused(connections: &Connections) -> impl Iterator<Item = &String> {
    connections.iter().filter(|(_, one)| one.as_ref().is_some_and(|one| !one.used.get())).map(|(name, _)| name)
}

/// Reads the section at a path. `None` when it is not clear which plugin is meant.
pub(super) fn read<P: Plugin>(
    findings: &mut Findings<'_>,
    at: &str,
    written: &Json,
    resolved: &Json,
    connections: &Connections,
) -> Option<Section<P>> {
    let plugin = choose::<P>(findings, at, written)?;
    let at = path::key(at, plugin.name());
    let mut section =
        Section { plugin, written: options(written, plugin.name()), resolved: options(resolved, plugin.name()), at };
    if !section.written.is_object() {
        let found = validate::word_for(&section.written);
        findings.error(&section.at, format!("expected a map of options, found {found}"));
        return None;
    }
    let fill = fill_connection(findings, &mut section, connections);
    let mut schema = plugin.schema().to_value();
    if fill == Fill::Unknown
        && let Some(Json::Array(required)) = schema.get_mut("required")
    {
        // That it is missing is said already.
        required.retain(|key| key != "connection");
    }
    let problems = validate::problems(&schema, &section.resolved);
    let fits = problems.is_empty();
    for problem in problems {
        // A named connection is read where it stands.
        if fill == Fill::Inline || path::below(&problem.path, "connection").is_none() {
            findings.add_unless_missing(problem.under(&section.at));
        }
    }
    if fits && matches!(fill, Fill::Inline | Fill::Named { sound: true, .. }) {
        for problem in plugin.check(&section.resolved) {
            match (&fill, path::below(&problem.path, "connection")) {
                (Fill::Named { at, .. }, Some(inner)) if !inner.is_empty() => {
                    findings.add_unless_missing(Problem { path: path::join(at, inner), ..problem });
                }
                _ => findings.add_unless_missing(problem.under(&section.at)),
            }
        }
    }
    Some(section)
}

fn choose<P: Plugin>(findings: &mut Findings<'_>, at: &str, written: &Json) -> Option<&'static P> {
    let kind = P::KIND.word();
    let known = || P::all().iter().map(Plugin::name);
    let Json::Object(entries) = written else {
        let example = written.as_str().filter(|name| known().any(|known| known == *name)).unwrap_or("NAME");
        let found = validate::word_for(written);
        findings.error(at, format!("expected a {kind}, found {found}: write it like {{ {example}: {{ … }} }}"));
        return None;
    };
    match entries.keys().collect::<Vec<_>>().as_slice() {
        [] => {
            findings.error(at, format!("names no {kind}: it can be {}", suggest::list(known(), "or")));
            None
        }
        [name] => {
            let found = P::all().iter().find(|plugin| plugin.name() == name.as_str());
            if found.is_none() {
                let what = if P::KIND == Kind::Connection { "connector with connections" } else { kind };
                let instead = suggest::instead(name, known());
                findings.error(path::key(at, name), format!("there is no {what} of this name; {instead}"));
            }
            found
        }
        several => {
            let names = suggest::list(several, "and");
            findings.error(at, format!("names {names}: write exactly one"));
            None
        }
    }
}

/// What stands under the name; nothing is as good as no options.
fn options(section: &Json, name: &str) -> Json {
    match &section[name] {
        Json::Null => Json::Object(Map::new()),
        options => options.clone(),
    }
}

/// Where a section's connection comes from.
#[derive(Debug, PartialEq, Eq)]
enum Fill {
    /// It has none, or has it written out.
    Inline,
    /// A named one whose options are in place now.
    Named { at: String, sound: bool },
    /// One that is not there.
    Unknown,
}

/// Puts a named connection's options in place of its name.
fn fill_connection<P: Plugin>(
    findings: &mut Findings<'_>,
    section: &mut Section<P>,
    connections: &Connections,
) -> Fill {
    let takes_one = ConnectionPlugin::all().iter().any(|plugin| plugin.name == section.plugin.name());
    let name = match &section.resolved["connection"] {
        Json::String(name) if takes_one && P::KIND != Kind::Connection => name.clone(),
        _ => return Fill::Inline,
    };
    let at = path::key(&section.at, "connection");
    let connector = section.plugin.name();
    let of_connector = |one: &&Option<Connection>| one.as_ref().is_none_or(|one| one.section.plugin.name == connector);
    match connections.get(&name) {
        None => {
            let known = connections.iter().filter(|(_, one)| of_connector(one)).map(|(name, _)| name.as_str());
            let instead = match suggest::instead(&name, known) {
                none if none == "there is none" => {
                    format!("write it under connections: {{ {name}: {{ {connector}: {{ … }} }} }}")
                }
                instead => instead,
            };
            let message = format!("there is no connection \"{name}\"; {instead}");
            findings.add_unless_missing(Problem::error(at, message));
        }
        Some(None) => {}
        Some(Some(connection)) if connection.section.plugin.name != connector => {
            connection.used.set(true);
            let other = connection.section.plugin.name;
            findings
                .error(at, format!("the connection \"{name}\" is one of {other}, and this needs one of {connector}"));
        }
        Some(Some(connection)) => {
            connection.used.set(true);
            section.written["connection"] = connection.section.written.clone();
            section.resolved["connection"] = connection.section.resolved.clone();
            let at = connection.section.at.clone();
            return Fill::Named { sound: findings.is_sound(&at), at };
        }
    }
    for options in [&mut section.written, &mut section.resolved] {
        if let Json::Object(options) = options {
            options.shift_remove("connection");
        }
    }
    Fill::Unknown
}
