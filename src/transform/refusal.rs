//! What `check` finds, as the error of who builds all the same.

use gantry_sdk::{
    Error, Result,
    config::{Problem, Severity},
};

/// The error of whoever builds without having checked.
pub(super) fn refusal(problems: &[Problem]) -> Error {
    let texts: Vec<_> = problems.iter().map(Problem::to_string).collect();
    Error::config(texts.join("; "))
}

/// No problem, or a refusal.
pub(super) fn refuse(problems: &[Problem]) -> Result<()> {
    if problems.iter().any(|problem| problem.severity == Severity::Error) {
        return Err(refusal(problems));
    }
    Ok(())
}
