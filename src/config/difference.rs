//! A configuration is read again while bridges run.

use std::{path::PathBuf, sync::Arc};

use gantry_runtime::{Definition, Difference};

use super::{Diagnostic, Loaded, Secrets, check, load};

/// Loads a configuration to put it in place of one whose bridges run. It is stricter than [`load`], because a bridge may
/// be running that works:
///
/// - A secret that is missing is an error when a bridge that would start needs it.
/// - Files that do not name `bridges:` at all are an error when there are some: so looks a file that somebody is writing
///   just now.
pub fn reload(files: &[PathBuf], running: &[Arc<Definition>]) -> Result<(Loaded, Difference), Vec<Diagnostic>> {
    let mut loaded = load(files)?;
    if !loaded.names_bridges && !running.is_empty() {
        let message = "there is no key \"bridges\": write `bridges: {}` to end every bridge";
        return Err(vec![Diagnostic::error(None, message)]);
    }
    let difference = Difference::between(running, std::mem::take(&mut loaded.bridges));
    let mut starting = difference.added.iter().chain(&difference.changed);
    if starting.any(|definition| definition.check_secrets().is_err()) {
        // It says where; unless all are there by now.
        check(files, Secrets::Required)?;
    }
    Ok((loaded, difference))
}

#[cfg(test)]
mod tests;
