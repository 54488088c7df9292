//! What was found so far: problems with their places, and what must not be shown of them.

use gantry_sdk::config::{Problem, Severity};
use serde_json::{Map, Value as Json};

use super::{
    diagnostic::Diagnostic,
    layers::Tree,
    path, redact,
    schema::{self, Slot},
    secrets::{self, Part},
};

/// Anything shorter is no secret, and would be found everywhere.
const SHORTEST_SECRET: usize = 4;

/// Problems of one configuration.
#[derive(Debug)]
pub(super) struct Findings<'t> {
    tree: &'t Tree,
    found: Vec<Diagnostic>,
    /// References that could not be resolved.
    missing: Vec<Missing>,
    secrets: Vec<String>,
}

/// A reference that could not be resolved.
#[derive(Debug)]
struct Missing {
    problem: Problem,
    /// It can wait: it is text in a connector's or transform's section, which is resolved again at each use.
    later: bool,
}

impl<'t> Findings<'t> {
    pub(super) fn new(tree: &'t Tree) -> Self {
        Self { tree, found: Vec::new(), missing: Vec::new(), secrets: Vec::new() }
    }

    /// Where things were written.
    pub(super) const fn tree(&self) -> &'t Tree {
        self.tree
    }

    /// Adds a problem, by its path from the top.
    pub(super) fn add(&mut self, problem: Problem) {
        let place = self.tree.place(&problem.path);
        self.found.push(Diagnostic::new(place, problem));
    }

    /// Adds a problem, unless it comes of a reference that could not be resolved.
    pub(super) fn add_unless_missing(&mut self, problem: Problem) {
        if !self.is_unresolved(&problem.path) {
            self.add(problem);
        }
    }

    /// Adds an error.
    pub(super) fn error(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.add(Problem::error(path, message));
    }

    /// Adds a warning.
    pub(super) fn warning(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.add(Problem::warning(path, message));
    }

    /// Sees to it that what could not be loaded does not vanish without a word.
    pub(super) fn explain(&mut self, at: &str) {
        if self.is_sound("") && !self.is_unresolved(at) {
            self.error(at, "cannot be loaded, and no check says why: please report this as a bug");
        }
    }

    /// Whether nothing that cannot work was found at this path or below it.
    pub(super) fn is_sound(&self, at: &str) -> bool {
        let errors = self.found.iter().filter(|found| found.severity == Severity::Error);
        errors.into_iter().all(|found| path::below(&found.path, at).is_none())
    }

    fn is_unresolved(&self, at: &str) -> bool {
        self.missing.iter().any(|missing| path::related(&missing.problem.path, at))
    }

    /// Resolves the references of the whole configuration, and remembers what they brought so that it is never shown.
    pub(super) fn resolve(&mut self, written: &Json) -> Json {
        let mut resolved = written.clone();
        secrets::each_text(&mut resolved, "", &mut |at, text| match secrets::expand(text) {
            Ok(Some(expanded)) => {
                self.remember(text);
                self.secrets.push(expanded.clone());
                *text = expanded;
            }
            Ok(None) => {}
            Err(message) => match secrets::parse(text) {
                Ok(_) => {
                    let later = can_wait(written, at);
                    self.missing.push(Missing { problem: Problem::error(at, message), later });
                }
                Err(message) => self.add(Problem::error(at, message)),
            },
        });
        let mut plain = written.clone();
        redact::each_plain_secret(Some(&Slot::root(schema::whole())), &mut plain, &mut |_, text, _| {
            self.secrets.push(text.clone());
        });
        resolved
    }

    fn remember(&mut self, text: &str) {
        for part in secrets::parse(text).into_iter().flatten() {
            if let Part::Reference(reference) = part {
                self.secrets.extend(reference.read());
            }
        }
    }

    /// Everything that was found, in reading order, without secrets. What is missing is an error when `strict`; else, where
    /// it can wait, it is a warning: its bridge fails by itself until it is there.
    pub(super) fn finish(mut self, strict: bool) -> Vec<Diagnostic> {
        for Missing { mut problem, later } in std::mem::take(&mut self.missing) {
            if later && !strict {
                problem.severity = Severity::Warning;
                problem.message.push_str("; until it is there, what needs it will not run");
            }
            self.add(problem);
        }
        self.secrets.retain(|secret| secret.len() >= SHORTEST_SECRET);
        // The longest first: one may hold another.
        self.secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        for found in &mut self.found {
            for secret in &self.secrets {
                if found.message.contains(secret.as_str()) {
                    found.message = found.message.replace(secret.as_str(), "[hidden]");
                }
            }
        }
        self.found.sort_by(Diagnostic::reading_order);
        self.found.dedup();
        self.found
    }
}

/// Whether what stands at a path is used only later, as text.
fn can_wait(written: &Json, at: &str) -> bool {
    let takes_text = Slot::root(schema::whole()).at(written, at).is_none_or(|slot| slot.accepts(&Json::from("")));
    let in_section = match path::below(at, "bridges") {
        Some(inner) => written["bridges"].as_object().into_iter().flat_map(Map::keys).any(|name| {
            let parts = ["source", "sink", "transforms", "errors.dead_letter"];
            path::below(inner, name).is_some_and(|inner| parts.iter().any(|part| path::below(inner, part).is_some()))
        }),
        None => path::below(at, "connections").is_some(),
    };
    takes_text && in_section
}
