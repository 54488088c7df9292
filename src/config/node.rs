//! Values that know where they were written.

use gantry_sdk::config::{KeyPath, Step};
use indexmap::IndexMap;
use serde_json::Value as Json;

use super::diagnostic::Place;

/// A value of a configuration, and where it was written: of an entry the place of its key, of a list's item its own.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) place: Option<Place>,
    pub(super) kind: Kind,
}

/// What it is.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    /// A text, a number, a truth value or nothing.
    Single(Json),
    List(Vec<Node>),
    Map(Entries),
}

/// The entries of a map, in the order they were written.
pub(super) type Entries = IndexMap<String, Node>;

impl Node {
    pub(super) const fn new(place: Option<Place>, kind: Kind) -> Self {
        Self { place, kind }
    }

    /// The value without its places.
    pub(super) fn to_json(&self) -> Json {
        match &self.kind {
            Kind::Single(value) => value.clone(),
            Kind::List(items) => items.iter().map(Self::to_json).collect(),
            Kind::Map(entries) => entries.iter().map(|(key, value)| (key.clone(), value.to_json())).collect(),
        }
    }

    /// Whether it was written in an environment variable.
    pub(super) const fn is_variable(&self) -> bool {
        matches!(self.place, Some(Place::Variable(_)))
    }

    /// Where the value at this path was written, or the nearest value around it.
    pub(super) fn place(&self, path: &KeyPath) -> Option<&Place> {
        let mut nearest = None;
        self.descend(path, |node| nearest = node.place.as_ref().or(nearest));
        nearest
    }

    /// Whether a value at this path was written.
    pub(super) fn holds(&self, path: &KeyPath) -> bool {
        self.descend(path, |_| {})
    }

    /// Visits the values on the way; whether the path leads to the end.
    fn descend<'a>(&'a self, path: &KeyPath, mut visit: impl FnMut(&'a Self)) -> bool {
        let mut node = self;
        visit(node);
        path.steps().iter().all(|step| {
            let below = node.below(step);
            if let Some(below) = below {
                node = below;
                visit(node);
            }
            below.is_some()
        })
    }

    fn below(&self, step: &Step) -> Option<&Self> {
        match (&self.kind, step) {
            (Kind::Map(entries), Step::Key(key)) => entries.get(key),
            (Kind::List(items), Step::Index(index)) => items.get(*index),
            _ => None,
        }
    }
}
