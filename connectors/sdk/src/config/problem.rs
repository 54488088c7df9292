//! One thing that is wrong, or will hurt.

use std::fmt;

use super::KeyPath;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// It works, and will hurt.
    Warning,
    /// It cannot work.
    Error,
}

/// One thing that is wrong with a configuration. The loader adds file and line by the path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// Where the key is that it is about, seen from the section that was checked; the root for the section itself.
    pub path: KeyPath,
    /// What is wrong and what to do.
    pub message: String,
}

impl Problem {
    /// Something that cannot work.
    pub fn error(path: impl Into<KeyPath>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, path: path.into(), message: message.into() }
    }

    /// Something that will hurt.
    pub fn warning(path: impl Into<KeyPath>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, path: path.into(), message: message.into() }
    }

    /// The same, seen from a section that holds this one under `prefix`.
    #[must_use]
    pub fn under(mut self, prefix: impl Into<KeyPath>) -> Self {
        self.path = prefix.into().join(self.path);
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_root() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}
