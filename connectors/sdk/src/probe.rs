//! Asking the other side whether a bridge could work: what `gantry check --connect` does.
//!
//! # The contract
//! A probe logs in, looks at everything that the options name, and says *all* that is missing or not allowed, not only the
//! first. It moves, makes and alters nothing. What the other side cannot be asked without a trace is left out, and the
//! connector's page says so. An error is that it could not get in at all.

use std::{future::Future, pin::Pin};

use crate::Result;

/// Something that a bridge needs and does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacle {
    /// What and where: `queue "orders" on rabbit1:5672: there is no such queue`.
    pub problem: String,
    /// A command for a shell that mends it, for whoever may; it holds no secret.
    pub remedy: Option<String>,
}

/// A probe under way: everything that stands in the way, or why nobody could be asked.
pub type Probing = Pin<Box<dyn Future<Output = Result<Vec<Obstacle>>> + Send>>;

/// The probe of what needs nothing from outside.
pub fn nothing_to_ask() -> Probing {
    Box::pin(async { Ok(Vec::new()) })
}

/// A word for a POSIX shell that stands for exactly this text.
pub fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@+%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

// === impl Obstacle ===

impl Obstacle {
    /// One that a command mends.
    pub fn new(problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { problem: problem.into(), remedy: Some(remedy.into()) }
    }

    /// One that takes more than a command.
    pub fn without_remedy(problem: impl Into<String>) -> Self {
        Self { problem: problem.into(), remedy: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_a_word_back_as_it_was() {
        for (text, word) in [("orders", "orders"), ("a b", "'a b'"), ("", "''"), ("it's", r"'it'\''s'"), ("$x", "'$x'")]
        {
            assert_eq!(shell_word(text), word);
        }
    }
}
