//! Files in order, then `GANTRY__…` environment variables, and below all the default of an image: one tree, in which the
//! later wins and every value knows where it was written.
//!
//! Maps are merged key by key; lists and all else are replaced. Only a variable's name is cut into a path here: what a person
//! wrote in a file may hold any character.

use std::{
    env,
    path::{Path, PathBuf},
};

use gantry_sdk::config::KeyPath;
use serde_json::Value as Json;

use super::{
    diagnostic::{Diagnostic, Place},
    files,
    node::{Entries, Kind, Node},
    yaml,
};

/// Environment variables that set an option begin so; the rest is the path, `__` between its parts.
const PREFIX: &str = "GANTRY__";
/// Where the control port listens when nothing else says so: for images and unit files, which have a default of their own.
const DEFAULT_LISTEN: &str = "GANTRY_DEFAULT_LISTEN";
const SEPARATOR: &str = "__";
/// So much is shown of a variable's name that is too long to be one.
const SHOWN_OF_A_NAME: usize = 60;

/// What all layers say together.
#[derive(Debug, Clone)]
pub(super) struct Tree {
    root: Node,
}

/// The environment variables that set options, by name.
pub(super) fn variables() -> Vec<(String, String)> {
    let text = |os: std::ffi::OsString| os.to_string_lossy().into_owned();
    let all = env::vars_os().map(|(name, value)| (text(name), text(value)));
    let mut found: Vec<_> = all.filter(|(name, _)| name.starts_with(PREFIX) || name == DEFAULT_LISTEN).collect();
    found.sort();
    found
}

/// Reads all files and lays them over each other, then the variables. No tree when a file is no YAML.
pub(super) fn collect(files: &[PathBuf], variables: Vec<(String, String)>) -> (Option<Tree>, Vec<Diagnostic>) {
    let mut problems = Vec::new();
    let mut root = Node::new(None, Kind::Map(Entries::new()));
    let (below, above): (Vec<_>, Vec<_>) = variables.into_iter().partition(|(name, _)| name == DEFAULT_LISTEN);
    for (name, value) in below {
        set(&mut root, &["control", "listen"], &value, &Place::Variable(name));
    }
    let mut complete = true;
    for path in files {
        let found = files::of(path).map_err(|reason| Diagnostic::error(None, reason));
        for file in found.as_deref().unwrap_or_default() {
            match file_layer(file, &mut problems) {
                Some(layer) => merge(&mut root, layer),
                None => complete = false,
            }
        }
        complete &= found.is_ok();
        problems.extend(found.err());
    }
    if let Err(reason) = set_all(&mut root, above) {
        problems.push(Diagnostic::error(None, reason));
    }
    (complete.then_some(Tree { root }), problems)
}

/// Reads one file; `None` when it is no YAML.
fn file_layer(file: &Path, problems: &mut Vec<Diagnostic>) -> Option<Node> {
    match files::text(file) {
        Ok(text) => {
            let (root, more) = yaml::parse_file(file, &text);
            problems.extend(more);
            root
        }
        Err(reason) => {
            problems.push(Diagnostic::error(None, reason));
            None
        }
    }
}

fn merge(below: &mut Node, above: Node) {
    match (&mut below.kind, above) {
        (Kind::Map(entries), Node { kind: Kind::Map(more), .. }) => {
            for (key, value) in more {
                match entries.get_mut(&key) {
                    Some(entry) => merge(entry, value),
                    None => _ = entries.insert(key, value),
                }
            }
        }
        (_, above) => *below = above,
    }
}

/// Lays environment variables over the files. Their values stay text here; what a number or a list is, the schema knows.
fn set_all(root: &mut Node, variables: Vec<(String, String)>) -> Result<(), String> {
    for (name, value) in variables {
        let segments: Vec<&str> = name[PREFIX.len()..].split(SEPARATOR).collect();
        if segments.len() > yaml::MAX_DEPTH {
            let begin: String = name.chars().take(SHOWN_OF_A_NAME).collect();
            let most = yaml::MAX_DEPTH;
            return Err(format!("the environment variable {begin}…: its name has more than {most} parts"));
        }
        let place = Place::Variable(name.clone());
        if segments.iter().any(|segment| segment.is_empty()) {
            return Err(format!("{place}: a part of the name between two {SEPARATOR} is empty"));
        }
        set(root, &segments, &value, &place);
    }
    Ok(())
}

fn set(below: &mut Node, segments: &[&str], text: &str, place: &Place) {
    let here = |kind| Node::new(Some(place.clone()), kind);
    let [segment, rest @ ..] = segments else {
        *below = here(Kind::Single(Json::from(text)));
        return;
    };
    if !matches!(below.kind, Kind::Map(_)) {
        *below = here(Kind::Map(Entries::new()));
    }
    if let Kind::Map(entries) = &mut below.kind {
        let key = key_for(entries, segment);
        set(entries.entry(key).or_insert_with(|| here(Kind::Single(Json::Null))), rest, text, place);
    }
}

/// The key that a part of a variable's name means: one that is there, upper or lower case; else as it is written, in
/// lower case when all of it is upper case.
fn key_for(entries: &Entries, segment: &str) -> String {
    if entries.contains_key(segment) {
        return segment.to_owned();
    }
    if let Some(key) = entries.keys().find(|key| key.eq_ignore_ascii_case(segment)) {
        return key.clone();
    }
    if segment.chars().any(char::is_lowercase) { segment.to_owned() } else { segment.to_lowercase() }
}

// === impl Tree ===

impl Tree {
    /// What is at its top.
    pub(super) const fn root(&self) -> &Node {
        &self.root
    }

    /// Where the value at this path was written, or the nearest value around it.
    pub(super) fn place(&self, path: &KeyPath) -> Option<&Place> {
        self.root.place(path)
    }

    /// Whether a value at this path was written.
    pub(super) fn holds(&self, path: &KeyPath) -> bool {
        self.root.holds(path)
    }

    /// Whether the control port listens where an image or a unit file has its default.
    pub(super) fn listens_by_default(&self) -> bool {
        matches!(self.place(&"control.listen".into()), Some(Place::Variable(name)) if name == DEFAULT_LISTEN)
    }
}

#[cfg(test)]
mod tests;
