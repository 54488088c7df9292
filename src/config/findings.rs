//! What was found so far: problems with their places.
//!
//! What is remembered is bounded: a file of sixty thousand mistakes is told by its first ones and a number.

use gantry_sdk::config::{KeyPath, Problem, Severity, Step};
use serde_json::Value as Json;

use super::{
    diagnostic::Diagnostic,
    layers::Tree,
    schema::{self, Slot},
    secrets, typed,
    view::{self, Options},
};

/// No more errors are told, and no more warnings.
const MOST: usize = 200;

/// What becomes of references.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secrets {
    /// They must be there.
    Required,
    /// What a bridge needs only when it connects may come later; that it is missing is a warning.
    Awaited,
    /// Nobody looks for them: something harmless stands in for each.
    Unread,
}

/// Problems of one configuration.
#[derive(Debug)]
pub(super) struct Findings<'t> {
    tree: &'t Tree,
    found: Vec<Diagnostic>,
    errors: usize,
    warnings: usize,
    secrets: Secrets,
    /// References that could not be resolved, or must not be.
    missing: Vec<Missing>,
    /// The key of the connections is written wrongly: that none is found is told with it.
    pub(super) connections_are_misspelt: bool,
}

/// A reference that was not resolved.
#[derive(Debug)]
struct Missing {
    problem: Problem,
    /// It can wait: it is text in a connector's or transform's section, which is resolved again at each use.
    later: bool,
}

impl<'t> Findings<'t> {
    pub(super) fn new(tree: &'t Tree, secrets: Secrets) -> Self {
        Self {
            tree,
            found: Vec::new(),
            errors: 0,
            warnings: 0,
            secrets,
            missing: Vec::new(),
            connections_are_misspelt: false,
        }
    }

    /// Where things were written.
    pub(super) const fn tree(&self) -> &'t Tree {
        self.tree
    }

    /// Adds a problem, by its path from the top.
    pub(super) fn add(&mut self, problem: Problem) {
        let count = match problem.severity {
            Severity::Error => &mut self.errors,
            Severity::Warning => &mut self.warnings,
        };
        *count += 1;
        if *count <= MOST {
            let place = self.tree.place(&problem.path).cloned();
            self.found.push(Diagnostic::new(place, problem));
        }
    }

    /// Adds a problem, unless it may come of a reference that could not be resolved.
    pub(super) fn add_unless_missing(&mut self, problem: Problem) {
        if !self.is_unresolved(&problem.path) {
            self.add(problem);
        }
    }

    /// Adds a problem with exactly this value, unless it is a reference that could not be resolved.
    pub(super) fn add_unless_unread(&mut self, problem: Problem) {
        if !self.missing.iter().any(|missing| problem.path.below(&missing.problem.path).is_some()) {
            self.add(problem);
        }
    }

    /// Adds an error.
    pub(super) fn error(&mut self, path: impl Into<KeyPath>, message: impl Into<String>) {
        self.add(Problem::error(path, message));
    }

    /// Adds a warning.
    pub(super) fn warning(&mut self, path: impl Into<KeyPath>, message: impl Into<String>) {
        self.add(Problem::warning(path, message));
    }

    /// Sees to it that what could not be loaded does not vanish without a word.
    pub(super) fn explain(&mut self, at: &KeyPath) {
        if self.is_sound(&KeyPath::root()) && !self.is_unresolved(at) {
            self.error(at, "cannot be loaded, and no check says why: please report this as a bug");
        }
    }

    /// Whether nothing that cannot work was found at this path or below it.
    pub(super) fn is_sound(&self, at: &KeyPath) -> bool {
        let mut errors = self.found.iter().filter(|found| found.severity == Severity::Error);
        // Of what is not told any more, nobody knows the path.
        self.errors <= MOST && errors.all(|found| found.path.below(at).is_none())
    }

    /// Whether something at this path or around or below it is a reference that could not be resolved.
    pub(super) fn is_unresolved(&self, at: &KeyPath) -> bool {
        self.missing.iter().any(|missing| missing.problem.path.is_related(at))
    }

    /// Reads the references of the whole configuration. What cannot be read has a stand-in.
    pub(super) fn resolve(&mut self, written: Json) -> Options {
        let mut resolved = written.clone();
        let unread = self.secrets == Secrets::Unread;
        secrets::each_text(&mut resolved, |at, text| match secrets::expand(text) {
            _ if unread && !secrets::references(text).is_empty() => {
                self.missing.push(Missing { problem: Problem::error(at, String::new()), later: true });
            }
            Ok(Some(expanded)) => *text = expanded,
            Ok(None) => {}
            Err(message) => match secrets::parse(text) {
                Ok(_) => {
                    let later = can_wait(&written, at);
                    self.missing.push(Missing { problem: Problem::error(at, message), later });
                }
                Err(message) => self.add(Problem::error(at, message)),
            },
        });
        let slot = Slot::root(schema::whole());
        typed::references(&slot, &written, &mut resolved);
        let quotable = view::quotable(&slot, &written);
        Options { written, resolved, quotable }
    }

    /// Everything that was found, in reading order. What is missing is an error to a check; else, where it can wait, it is
    /// a warning: its bridge fails by itself until it is there.
    pub(super) fn finish(mut self) -> Vec<Diagnostic> {
        let missing = match self.secrets {
            Secrets::Unread => Vec::new(),
            Secrets::Required | Secrets::Awaited => std::mem::take(&mut self.missing),
        };
        for Missing { mut problem, later } in missing {
            if later && self.secrets == Secrets::Awaited {
                problem.severity = Severity::Warning;
                problem.message.push_str("; until it is there, what needs it will not run");
            }
            self.add(problem);
        }
        self.found.sort_by(Diagnostic::reading_order);
        self.found.dedup();
        for (count, severity) in [(self.errors, Severity::Error), (self.warnings, Severity::Warning)] {
            if count > MOST {
                let problem =
                    Problem { severity, path: KeyPath::root(), message: format!("… and {} more", count - MOST) };
                self.found.push(Diagnostic::new(None, problem));
            }
        }
        self.found
    }
}

/// Whether what stands at a path is used only later, as text.
fn can_wait(written: &Json, at: &KeyPath) -> bool {
    let place = Slot::root(schema::whole()).at(written, at.steps());
    place.is_none_or(|slot| slot.accepts(&Json::from(""))) && is_of_plugin(at)
}

/// Whether a connector or a transform reads what stands there.
fn is_of_plugin(at: &KeyPath) -> bool {
    let parts = ["source", "sink", "sinks", "transforms", "errors.dead_letter"];
    match at.below(&"bridges".into()) {
        Some([Step::Key(_), inner @ ..]) => parts.iter().any(|part| inner.starts_with(KeyPath::from(*part).steps())),
        Some(_) => false,
        None => at.below(&"connections".into()).is_some(),
    }
}
