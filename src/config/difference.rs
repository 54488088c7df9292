//! What a new configuration means for the bridges that run.

use std::{path::PathBuf, sync::Arc};

use super::{Diagnostic, Loaded, Secrets, check, load};
use crate::bridge::definition::Definition;

/// What to do so that other bridges run than before.
#[derive(Debug, Default)]
pub struct Difference {
    /// Bridges of names that were not there.
    pub added: Vec<Arc<Definition>>,
    /// Bridges that mean something else now.
    pub changed: Vec<Arc<Definition>>,
    /// Names that are not there any more.
    pub removed: Vec<Arc<str>>,
    /// Bridges that mean the same, in their new wording.
    pub same: Vec<Arc<Definition>>,
}

impl Difference {
    /// What leads from those that run to those that are wanted. A bridge is known by its name.
    pub fn between(running: &[Arc<Definition>], wanted: Vec<Arc<Definition>>) -> Self {
        let is_gone = |old: &&Arc<Definition>| wanted.iter().all(|new| new.name != old.name);
        let mut difference =
            Self { removed: running.iter().filter(is_gone).map(|old| old.name.clone()).collect(), ..Self::default() };
        for new in wanted {
            match running.iter().find(|old| old.name == new.name) {
                None => difference.added.push(new),
                Some(old) if old.means_the_same(&new) => difference.same.push(new),
                Some(_) => difference.changed.push(new),
            }
        }
        difference
    }
}

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
