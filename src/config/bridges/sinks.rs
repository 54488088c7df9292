//! Where the records of a bridge go: to its `sink`, or to several `sinks`, each with a condition or without.
//!
//! # The contract
//! - A bridge has exactly one of the two keys, and at least one sink.
//! - A condition (`when`) has the options of a `filter`, and is one: records that it keeps go to the sink.

use gantry_runtime::definition;
use gantry_sdk::{
    config::{KeyPath, Step},
    plugin::{Plugin as _, SinkPlugin, TransformPlugin},
};
use serde_json::Value as Json;

use crate::{
    config::{
        findings::Findings,
        plugins::Registered as _,
        schema,
        sections::{self, Connections, Section},
        settings::CONDITION,
        suggest,
        view::View,
    },
    transform::filter,
};

/// The key of one sink.
const ONE: &str = "sink";
/// The key of several.
const SEVERAL: &str = "sinks";

/// One of the sinks.
#[derive(Debug)]
pub(in crate::config) struct Branch {
    /// Which records go there; `None`: all.
    pub when: Option<Section<TransformPlugin>>,
    pub sink: Section<SinkPlugin>,
}

impl Branch {
    /// What the data path runs.
    pub(super) fn to_definition(&self) -> definition::Branch {
        definition::Branch { when: self.when.as_ref().map(Section::to_part), sink: self.sink.to_part() }
    }
}

/// The transform that a condition is.
fn condition() -> &'static TransformPlugin {
    let found = TransformPlugin::all().iter().find(|plugin| plugin.name() == filter::NAME);
    found.expect("the filter is one of Gantry's own transforms")
}

/// Reads the sinks of the bridge at a path and says all that is wrong with them; `None` when something is.
pub(super) fn read(
    findings: &mut Findings<'_>,
    at: &KeyPath,
    view: View<'_>,
    connections: &Connections,
) -> Option<Vec<Branch>> {
    let entries = view.written.as_object()?;
    let one = entries.contains_key(ONE).then(|| {
        let sink = sections::read(findings, &at.key(ONE), view.key(ONE), connections)?;
        Some(vec![Branch { when: None, sink }])
    });
    let several = entries.contains_key(SEVERAL).then(|| several(findings, at, view.key(SEVERAL), connections));
    match (one, several) {
        (Some(found), None) | (None, Some(found)) => found,
        (Some(_), Some(_)) => {
            let message = "stands beside sink: write exactly one of the two, with all sinks in the list";
            findings.error(at.key(SEVERAL), message);
            None
        }
        (None, None) => {
            // With a misspelt key it is told that it is misspelt.
            let known = schema::bridge();
            let known = || known["properties"].as_object().into_iter().flatten().map(|(key, _)| key.as_str());
            let meant = |key: &String| suggest::nearest(key, known()).filter(|_| !known().any(|known| known == key));
            if !entries.keys().any(|key| matches!(meant(key), Some(ONE | SEVERAL))) {
                findings.error(at, format!("\"{ONE}\" is missing: Where records go"));
            }
            None
        }
    }
}

/// Reads the list. What is no list, or an empty one, the schema tells.
fn several(
    findings: &mut Findings<'_>,
    at: &KeyPath,
    view: View<'_>,
    connections: &Connections,
) -> Option<Vec<Branch>> {
    let count = view.written.as_array()?.len();
    let at = at.key(SEVERAL);
    let branches: Vec<_> = (0..count)
        .map(|index| branch(findings, &at.index(index), view.at(&[Step::Index(index)])?, connections))
        .collect();
    branches.into_iter().collect()
}

fn branch(findings: &mut Findings<'_>, at: &KeyPath, view: View<'_>, connections: &Connections) -> Option<Branch> {
    let is_written = view.written.get(CONDITION).is_some();
    let when = is_written.then(|| {
        let at = at.key(CONDITION);
        sections::read_options(findings, at, condition(), view.key(CONDITION), connections)
    });
    let mut alone = view.to_options();
    for side in alone.each() {
        if let Json::Object(entries) = side {
            entries.shift_remove(CONDITION);
        }
    }
    let sink = sections::read(findings, at, alone.view(), connections);
    match (when, sink) {
        (None, Some(sink)) => Some(Branch { when: None, sink }),
        (Some(Some(when)), Some(sink)) => Some(Branch { when: Some(when), sink }),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
