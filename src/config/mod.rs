//! YAML → typed bridges, with every problem at once.
//!
//! # The contract
//! - Files are laid over each other in order, then `GANTRY__…` environment variables (`layers`).
//! - Loading finds everything that is wrong or will hurt, not only the first, each with file, line and column
//!   ([`Diagnostic`]). Unknown keys are errors; there are no ignored keys.
//! - References to secrets (`${env:…}`) stay references in what is loaded; they are read at each use ([`References`]).
//!   Nothing in here shows what they bring: messages are made from what was written (`view`), and [`redacted`] options are
//!   what was written.
//! - A bridge is loaded whole or not at all, and so is a configuration: one error, nothing runs. Only a missing secret
//!   of one bridge is that bridge's own matter.
//!
//! # In reading order
//! `settings` (what the options are) → `files`, `yaml`, `node` and `layers` (text to one tree with places) → [`secrets`],
//! `typed` (references and variables put in) → `view` (what may be said of them; `stand_in`) → `sections`, `bridges`
//! (what is meant, against [`schema`] by `validate`) → `warnings` → `redact` (what may be shown), `difference` (what a
//! reload has to do).

mod bridges;
pub mod catalog;
mod diagnostic;
mod difference;
mod files;
mod findings;
mod layers;
mod node;
pub mod plugins;
mod redact;
mod resolver;
mod schema;
pub mod secrets;
mod sections;
mod settings;
mod stand_in;
pub(crate) mod suggest;
mod typed;
mod validate;
mod view;
mod warnings;
mod yaml;

use std::{path::PathBuf, sync::Arc};

use gantry_runtime::Definition;
use gantry_sdk::config::{KeyPath, Severity};
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use crate::graph::Flow;
use findings::Findings;
use schema::Slot;
use view::View;

pub use diagnostic::{Diagnostic, Place};
pub use difference::reload;
pub use findings::Secrets;
pub use redact::redacted;
pub use resolver::References;
pub use schema::schema;
pub use settings::{Control, Log, LogFormat, LogLevel, Settings};

/// A configuration without errors.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// What concerns the whole process.
    pub settings: Settings,
    /// The bridges, in the order of the files.
    pub bridges: Vec<Arc<Definition>>,
    /// Whether there is a key for them, be it empty.
    pub names_bridges: bool,
    /// Where the records of each come from and go to.
    pub flows: Vec<Flow>,
    /// What works, and will hurt.
    pub warnings: Vec<Diagnostic>,
}

/// Loads a configuration to run it. A secret that is missing is a warning: its bridge fails by itself until it is there,
/// and the others run.
pub fn load(files: &[PathBuf]) -> Result<Loaded, Vec<Diagnostic>> {
    examine(files, layers::variables(), Secrets::Awaited)
}

/// Loads a configuration to look at it: with [`Secrets::Required`] a secret that is missing is an error like any other.
pub fn check(files: &[PathBuf], secrets: Secrets) -> Result<Loaded, Vec<Diagnostic>> {
    examine(files, layers::variables(), secrets)
}

fn examine(files: &[PathBuf], variables: Vec<(String, String)>, secrets: Secrets) -> Result<Loaded, Vec<Diagnostic>> {
    let (tree, mut diagnostics) = layers::collect(files, variables);
    let Some(tree) = tree else {
        // What is missing in a file that cannot be read would make errors of its own.
        return Err(diagnostics);
    };
    let mut findings = Findings::new(&tree, secrets);

    let mut written = tree.root().to_json();
    typed::variables(&Slot::root(schema::whole()), tree.root(), &mut written);
    findings.connections_are_misspelt = misspells_connections(&written);
    refuse_empty_sections(&mut findings, &written);
    drop_empty(&mut written);
    let options = findings.resolve(written);
    let view = options.view();

    let settings = settings(&mut findings, view);
    let connections = sections::connections(&mut findings, view.key("connections"));
    let (mut bridges, mut flows) = (Vec::new(), Vec::new());
    for name in view.written["bridges"].as_object().into_iter().flat_map(serde_json::Map::keys) {
        let read = bridges::read(&mut findings, name, view.key("bridges").key(name), &connections);
        match read {
            Some((bridge, flow)) => {
                bridges.push(bridge);
                flows.push(flow);
            }
            None => findings.explain(&KeyPath::from("bridges").key(name)),
        }
    }
    warnings::find(&mut findings, view.written, settings.as_ref(), &connections, &bridges, &flows);

    let definitions = bridges.into_iter().map(|bridge| Arc::new(bridge.definition)).collect();
    diagnostics.extend(findings.finish());
    let failed = diagnostics.iter().any(|one| one.severity == Severity::Error);
    match settings {
        Some(settings) if !failed => {
            let names_bridges = tree.holds(&"bridges".into());
            Ok(Loaded { settings, bridges: definitions, names_bridges, flows, warnings: diagnostics })
        }
        _ => {
            diagnostics.sort_by(Diagnostic::reading_order);
            Err(diagnostics)
        }
    }
}

/// Gantry's own options around the bridges.
fn settings(findings: &mut Findings<'_>, view: View<'_>) -> Option<Settings> {
    for problem in validate::problems(&schema::root(), view.resolved, view.quotable) {
        findings.add_unless_unread(problem);
    }
    let control = setting(findings, view, "control", Control::default);
    if control.as_ref().is_some_and(|control| control.client_timeout.0.is_zero()) {
        findings.error("control.client_timeout", "must be longer than nothing: no client could ask anything");
    }
    let log = setting(findings, view, "log", Log::default);
    let shutdown_timeout = setting(findings, view, "shutdown_timeout", settings::shutdown_timeout);
    let limits = setting(findings, view, "limits", settings::ProcessLimits::default);
    if limits.is_some_and(|limits| limits.in_flight_bytes.0 == 0) {
        findings.error("limits.in_flight_bytes", "must be at least 1B: nothing would ever move");
    }
    Some(Settings {
        control: control?,
        log: log?,
        shutdown_timeout: shutdown_timeout?.0,
        in_flight_bytes: limits?.in_flight_bytes.to_usize(),
    })
}

/// One of them; `None` when it is not right.
fn setting<T: DeserializeOwned>(
    findings: &mut Findings<'_>,
    view: View<'_>,
    key: &'static str,
    default: impl FnOnce() -> T,
) -> Option<T> {
    if view.written.get(key).is_none() {
        return Some(default());
    }
    let at = KeyPath::from(key);
    if !findings.is_sound(&at) {
        return None;
    }
    let view = view.key(key);
    let slot = Slot::root(schema::whole()).key(key)?;
    let wrong = view.problems(&slot, |value| gantry_sdk::config::deserialize::<T>(value).err().into_iter().collect());
    for problem in wrong {
        findings.add_unless_missing(problem.under(&at));
    }
    match gantry_sdk::config::deserialize(view.resolved) {
        Err(_) if findings.is_unresolved(&at) => Some(default()),
        value => value.ok(),
    }
}

/// What a whole configuration is made of, besides single values.
const SECTIONS: [&str; 5] = ["control", "connections", "bridges", "log", "limits"];

/// Whether there are no connections because their key is written wrongly.
fn misspells_connections(written: &Json) -> bool {
    let connections = "connections";
    let misspells =
        |key: &String| !SECTIONS.contains(&key.as_str()) && suggest::nearest(key, SECTIONS) == Some(connections);
    written.get(connections).is_none() && written.as_object().is_some_and(|entries| entries.keys().any(misspells))
}

/// A section of the whole configuration with nothing behind it: everything below it may be commented out, or not written
/// yet. It must not pass for an empty one, which would end every bridge.
fn refuse_empty_sections(findings: &mut Findings<'_>, written: &Json) {
    for key in SECTIONS {
        if written.get(key).is_some_and(Json::is_null) {
            let none = if key == "bridges" { ", for no bridges at all" } else { "" };
            findings.error(key, format!("has nothing behind it: leave it out, or write `{key}: {{}}`{none}"));
        }
    }
}

/// Gantry's own keys without a value (`transforms:`, everything below it commented out) are as good as not written. A
/// connector's are left: there, nothing can mean something.
fn drop_empty(written: &mut Json) {
    let drop = |value: Option<&mut Json>| {
        if let Some(Json::Object(entries)) = value {
            entries.retain(|_, value| !value.is_null());
        }
    };
    drop(Some(written));
    for top in ["/control", "/log", "/limits"] {
        drop(written.pointer_mut(top));
    }
    for bridge in
        written.pointer_mut("/bridges").and_then(Json::as_object_mut).into_iter().flat_map(|all| all.values_mut())
    {
        drop(Some(&mut *bridge));
        for part in ["/errors", "/errors/retry", "/errors/backoff", "/limits"] {
            drop(bridge.pointer_mut(part));
        }
    }
}

#[cfg(test)]
mod tests;
