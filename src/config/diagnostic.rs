//! A problem with its place: what a compiler would print.

use std::{cmp::Ordering, fmt, path::Path, sync::Arc};

use gantry_sdk::config::{KeyPath, Problem, Severity};
use serde::{Serialize, Serializer, ser::SerializeMap as _};

/// Where something was written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// In a file; line and column count from one.
    File {
        /// The file, as it was named.
        path: Arc<Path>,
        /// Its line.
        line: usize,
        /// The character in that line.
        column: usize,
    },
    /// In this environment variable.
    Variable(String),
}

/// One thing that is wrong with a configuration, or will hurt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// Where it was written, when that can be said.
    pub place: Option<Place>,
    /// Where the key is that it is about, like `bridges.orders.sink.kafka.topic`; the root for a whole file.
    pub path: KeyPath,
    /// What is wrong and what to do. It holds no secret.
    pub message: String,
}

// === impl Place ===

impl Place {
    /// The file, if it is in one.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File { path, .. } => Some(path),
            Self::Variable(_) => None,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line, column } => write!(f, "{}:{line}:{column}", path.display()),
            Self::Variable(name) => write!(f, "environment variable {name}"),
        }
    }
}

// === impl Diagnostic ===

impl Diagnostic {
    /// Something that cannot work, about no key in particular.
    pub(super) fn error(place: Option<Place>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, place, path: KeyPath::root(), message: message.into() }
    }

    pub(super) fn new(place: Option<Place>, problem: Problem) -> Self {
        let Problem { severity, path, message } = problem;
        Self { severity, place, path, message }
    }

    /// The word for its severity.
    pub const fn severity_text(&self) -> &'static str {
        match self.severity {
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }

    /// In the order of reading: by file, line and column; what has no place comes first.
    pub(super) fn reading_order(&self, other: &Self) -> Ordering {
        let key = |one: &Self| (one.path.to_string(), one.message.clone());
        self.place.cmp(&other.place).then_with(|| key(self).cmp(&key(other)))
    }
}

/// As `gantry check --json` and the REST API show it.
impl Serialize for Diagnostic {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("severity", self.severity_text())?;
        map.serialize_entry("path", &self.path.to_string())?;
        map.serialize_entry("message", &self.message)?;
        match &self.place {
            Some(Place::File { path, line, column }) => {
                map.serialize_entry("file", &path.display().to_string())?;
                map.serialize_entry("line", line)?;
                map.serialize_entry("column", column)?;
            }
            Some(Place::Variable(name)) => map.serialize_entry("variable", name)?,
            None => {}
        }
        map.end()
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        write!(f, "{}: ", self.severity_text())?;
        if !self.path.is_root() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}
