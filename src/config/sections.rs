//! `{ NAME: { … } }`: which connector or transform is meant, and whether its options are right.

use std::{cell::Cell, collections::BTreeMap, sync::Arc};

use gantry_runtime::definition::Part;
use gantry_sdk::{
    config::{KeyPath, Problem},
    plugin::ConnectionPlugin,
};
use serde_json::{Map, Value as Json};

use super::{
    findings::Findings,
    plugins::{Kind, Registered},
    resolver::References,
    schema::Slot,
    suggest, validate,
    view::{Options, View},
};

/// A section that names a plugin.
#[derive(Debug)]
pub(super) struct Section<P: 'static> {
    /// Where its options are, like `bridges.orders.sink.kafka`.
    pub at: KeyPath,
    pub plugin: &'static P,
    /// The options, with the connection's in place of its name.
    pub options: Options,
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
        Part { plugin: self.plugin, options: self.options.written.clone(), resolver: Arc::new(References) }
    }
}

impl<P: Registered> Section<P> {
    /// The options as they may be shown, every value of the kind that its place takes.
    pub(super) fn stand_in(&self) -> Json {
        let schema = self.plugin.schema().to_value();
        self.options.view().stand_in(&Slot::root(&schema))
    }

    /// What `find` finds in the options, told without what references brought.
    pub(super) fn problems(&self, find: impl Fn(&Json) -> Vec<Problem>) -> Vec<Problem> {
        let schema = self.plugin.schema().to_value();
        self.options.view().problems(&Slot::root(&schema), find)
    }
}

/// Reads every named connection.
pub(super) fn connections(findings: &mut Findings<'_>, view: View<'_>) -> Connections {
    let mut connections = Connections::new();
    for name in view.written.as_object().into_iter().flat_map(Map::keys) {
        let at = KeyPath::from("connections").key(name);
        let section = read(findings, &at, view.key(name), &Connections::new());
        connections.insert(name.clone(), section.map(|section| Connection { section, used: Cell::new(false) }));
    }
    connections
}

/// The names of connections that no bridge uses.
pub(super) fn unused(connections: &Connections) -> impl Iterator<Item = &String> {
    connections.iter().filter(|(_, one)| one.as_ref().is_some_and(|one| !one.used.get())).map(|(name, _)| name)
}

/// Reads the section at a path. `None` when it is not clear which plugin is meant.
pub(super) fn read<P: Registered>(
    findings: &mut Findings<'_>,
    at: &KeyPath,
    view: View<'_>,
    connections: &Connections,
) -> Option<Section<P>> {
    let plugin = choose::<P>(findings, at, view.written)?;
    read_options(findings, at.key(plugin.name()), plugin, view.key(plugin.name()), connections)
}

/// Reads the options at a path for a plugin that is known.
pub(super) fn read_options<P: Registered>(
    findings: &mut Findings<'_>,
    at: KeyPath,
    plugin: &'static P,
    view: View<'_>,
    connections: &Connections,
) -> Option<Section<P>> {
    let mut section = Section { plugin, options: options(view), at };
    if !section.options.written.is_object() {
        let found = validate::word_for(&section.options.written);
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
    let view = section.options.view();
    let problems = validate::problems(&schema, view.resolved, view.quotable);
    let fits = problems.is_empty();
    let connection = KeyPath::from("connection");
    for problem in problems {
        // A named connection is read where it stands.
        if fill == Fill::Inline || problem.path.below(&connection).is_none() {
            findings.add_unless_unread(problem.under(&section.at));
        }
    }
    if fits && matches!(fill, Fill::Inline | Fill::Named { sound: true, .. }) {
        for problem in view.problems(&Slot::root(&schema), |options| plugin.check(options)) {
            match (&fill, problem.path.below(&connection)) {
                (Fill::Named { at, .. }, Some(inner)) if !inner.is_empty() => {
                    findings.add_unless_missing(Problem { path: at.join(inner), ..problem });
                }
                _ => findings.add_unless_missing(problem.under(&section.at)),
            }
        }
    }
    Some(section)
}

fn choose<P: Registered>(findings: &mut Findings<'_>, at: &KeyPath, written: &Json) -> Option<&'static P> {
    let kind = P::KIND.word();
    let known = || P::all().iter().map(gantry_sdk::plugin::Plugin::name);
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
                findings.error(at.key(*name), format!("there is no {what} of this name; {instead}"));
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
fn options(view: View<'_>) -> Options {
    let mut options = view.to_options();
    for side in options.each() {
        if side.is_null() {
            *side = Json::Object(Map::new());
        }
    }
    options
}

/// Where a section's connection comes from.
#[derive(Debug, PartialEq, Eq)]
enum Fill {
    /// It has none, or has it written out.
    Inline,
    /// A named one whose options are in place now.
    Named { at: KeyPath, sound: bool },
    /// One that is not there.
    Unknown,
}

/// Puts a named connection's options in place of its name.
fn fill_connection<P: Registered>(
    findings: &mut Findings<'_>,
    section: &mut Section<P>,
    connections: &Connections,
) -> Fill {
    let takes_one = ConnectionPlugin::all().iter().any(|plugin| plugin.name == section.plugin.name());
    let options = &section.options;
    let name = match &options.resolved["connection"] {
        Json::String(name) if takes_one && P::KIND != Kind::Connection => name.clone(),
        _ => return Fill::Inline,
    };
    let quoted = options.quotable["connection"].as_str().unwrap_or_default().to_owned();
    let at = section.at.key("connection");
    let connector = section.plugin.name();
    let of_connector = |one: &&Option<Connection>| one.as_ref().is_none_or(|one| one.section.plugin.name == connector);
    match connections.get(&name) {
        None if findings.connections_are_misspelt => {}
        None => {
            let known = connections.iter().filter(|(_, one)| of_connector(one)).map(|(name, _)| name.as_str());
            let instead = match suggest::instead(&quoted, known) {
                none if none == "there is none" => {
                    format!("write it under connections: {{ {quoted}: {{ {connector}: {{ … }} }} }}")
                }
                instead => instead,
            };
            let message = match quoted == name {
                true => format!("there is no connection \"{quoted}\"; {instead}"),
                false => format!("what {quoted} brings is the name of no connection"),
            };
            findings.add_unless_missing(Problem::error(at, message));
        }
        Some(None) => {}
        Some(Some(connection)) if connection.section.plugin.name != connector => {
            connection.used.set(true);
            let other = connection.section.plugin.name;
            findings
                .error(at, format!("the connection \"{quoted}\" is one of {other}, and this needs one of {connector}"));
        }
        Some(Some(connection)) => {
            connection.used.set(true);
            for (own, filled) in section.options.each().into_iter().zip(connection.section.options.clone().each()) {
                own["connection"] = std::mem::take(filled);
            }
            let at = connection.section.at.clone();
            return Fill::Named { sound: findings.is_sound(&at), at };
        }
    }
    for options in section.options.each() {
        if let Json::Object(options) = options {
            options.shift_remove("connection");
        }
    }
    Fill::Unknown
}
