//! Files in order, then `GANTRY__…` environment variables, and below all the default of an image: one tree, in which the later wins and every value knows where
//! it was written.
//!
//! Maps are merged key by key; lists and all else are replaced. Both kinds of layer are [`::config::Source`]s, collected
//! in order into one [`Value`]. The crate's `ConfigBuilder`, `File` and `Environment` are not used, because they read a
//! key with dots as a path (`linger.ms`), make variables lower case (header names) and forget where a map was written.

use std::{env, path::PathBuf};

use ::config::{ConfigError, Map, Source, Value, ValueKind};
use serde_json::{Number, Value as Json};

use super::{
    diagnostic::{Diagnostic, Place},
    path::{self, Step},
    yaml,
};

/// Environment variables that set an option begin so; the rest is the path, `__` between its parts.
const PREFIX: &str = "GANTRY__";
/// Where the control port listens when nothing else says so: for images and unit files, which have a default of their own.
const DEFAULT_LISTEN: &str = "GANTRY_DEFAULT_LISTEN";
const SEPARATOR: &str = "__";

/// What all layers say together.
#[derive(Debug, Clone)]
pub(super) struct Tree {
    root: Value,
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
    let mut layers: Vec<Box<dyn Source>> = Vec::new();
    let mut complete = true;
    for file in files {
        let root = match std::fs::read_to_string(file) {
            Ok(text) => {
                let (root, more) = yaml::parse_file(file, &text);
                problems.extend(more);
                root
            }
            Err(error) => {
                problems.push(Diagnostic::error(None, format!("reading {}: {error}", file.display())));
                None
            }
        };
        match root {
            Some(root) => layers.push(Box::new(File(root))),
            None => complete = false,
        }
    }
    let (below, above): (Vec<_>, Vec<_>) = variables.into_iter().partition(|(name, _)| name == DEFAULT_LISTEN);
    layers.push(Box::new(Variables(above)));

    let mut root = Value::new(None, Map::<String, Value>::new());
    for (name, value) in below {
        set(&mut root, &["control", "listen"], &value, &Place::Variable(name).to_origin());
    }
    for layer in &layers {
        if let Err(error) = layer.collect_to(&mut root) {
            problems.push(Diagnostic::error(None, error.to_string()));
        }
    }
    (complete.then_some(Tree { root }), problems)
}

/// One file's tree.
#[derive(Debug, Clone)]
struct File(Value);

impl Source for File {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        self.0.clone().into_table()
    }

    fn collect_to(&self, tree: &mut Value) -> Result<(), ConfigError> {
        merge(tree, &self.0);
        Ok(())
    }
}

fn merge(below: &mut Value, above: &Value) {
    match (&mut below.kind, &above.kind) {
        (ValueKind::Table(entries), ValueKind::Table(more)) => {
            for (key, value) in more {
                match entries.get_mut(key) {
                    Some(entry) => merge(entry, value),
                    None => _ = entries.insert(key.clone(), value.clone()),
                }
            }
        }
        _ => *below = above.clone(),
    }
}

/// Environment variables. Their values stay text here; what a number or a list is, the schema knows.
#[derive(Debug, Clone)]
struct Variables(Vec<(String, String)>);

impl Source for Variables {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        let mut tree = Value::new(None, Map::<String, Value>::new());
        self.collect_to(&mut tree)?;
        tree.into_table()
    }

    fn collect_to(&self, tree: &mut Value) -> Result<(), ConfigError> {
        for (name, value) in &self.0 {
            let origin = Place::Variable(name.clone()).to_origin();
            let segments: Vec<&str> = name[PREFIX.len()..].split(SEPARATOR).collect();
            if segments.iter().any(|segment| segment.is_empty()) {
                return Err(ConfigError::Message(format!(
                    "{origin}: a part of the name between two {SEPARATOR} is empty"
                )));
            }
            set(tree, &segments, value, &origin);
        }
        Ok(())
    }
}

fn set(below: &mut Value, segments: &[&str], text: &str, origin: &String) {
    let [segment, rest @ ..] = segments else {
        *below = Value::new(Some(origin), ValueKind::String(text.to_owned()));
        return;
    };
    if !matches!(below.kind, ValueKind::Table(_)) {
        *below = Value::new(Some(origin), Map::<String, Value>::new());
    }
    if let ValueKind::Table(entries) = &mut below.kind {
        let key = key_for(entries, segment);
        set(entries.entry(key).or_insert_with(|| Value::new(Some(origin), ValueKind::Nil)), rest, text, origin);
    }
}

/// The key that a part of a variable's name means: one that is there, upper or lower case; else as it is written, in
/// lower case when all of it is upper case.
fn key_for(entries: &Map<String, Value>, segment: &str) -> String {
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
    /// The tree without the places.
    pub(super) fn to_json(&self) -> Json {
        to_json(&self.root)
    }

    /// Where the value at this path was written, or the nearest value around it.
    pub(super) fn place(&self, path: &str) -> Option<Place> {
        let mut nearest = None;
        self.descend(path, |value| nearest = value.origin().or(nearest));
        nearest.and_then(Place::from_origin)
    }

    /// Whether a value at this path was written.
    pub(super) fn holds(&self, path: &str) -> bool {
        self.descend(path, |_| {})
    }

    /// Whether the control port listens where an image or a unit file has its default.
    pub(super) fn listens_by_default(&self) -> bool {
        matches!(self.place("control.listen"), Some(Place::Variable(name)) if name == DEFAULT_LISTEN)
    }

    /// Whether the value at this path is the text of an environment variable.
    pub(super) fn is_variable(&self, path: &str) -> bool {
        matches!(self.place(path), Some(Place::Variable(_)))
    }

    /// Visits the values on the way; whether the path leads to the end.
    fn descend<'a>(&'a self, mut path: &str, mut visit: impl FnMut(&'a Value)) -> bool {
        let mut value = &self.root;
        loop {
            visit(value);
            if path.is_empty() {
                return true;
            }
            let next = match &value.kind {
                ValueKind::Table(entries) => path::step(path, entries.keys(), 0).and_then(|(step, rest)| match step {
                    Step::Key(key) => entries.get(key).map(|value| (value, rest)),
                    Step::Index(_) => None,
                }),
                ValueKind::Array(items) => match path::step(path, std::iter::empty(), items.len()) {
                    Some((Step::Index(index), rest)) => Some((&items[index], rest)),
                    _ => None,
                },
                _ => None,
            };
            let Some((next, rest)) = next else { return false };
            (value, path) = (next, rest);
        }
    }
}

/// A value without its place.
pub(super) fn to_json(value: &Value) -> Json {
    match &value.kind {
        ValueKind::Nil => Json::Null,
        ValueKind::Boolean(value) => Json::Bool(*value),
        ValueKind::I64(value) => Json::from(*value),
        ValueKind::U64(value) => Json::from(*value),
        ValueKind::I128(value) => Number::from_i128(*value).map_or(Json::Null, Json::Number),
        ValueKind::U128(value) => Number::from_u128(*value).map_or(Json::Null, Json::Number),
        ValueKind::Float(value) => Json::from(*value),
        ValueKind::String(text) => Json::String(text.clone()),
        ValueKind::Array(items) => items.iter().map(to_json).collect(),
        ValueKind::Table(entries) => entries.iter().map(|(key, value)| (key.clone(), to_json(value))).collect(),
    }
}

#[cfg(test)]
mod tests;
