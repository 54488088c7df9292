//! What other definitions mean for the bridges that run.

use std::sync::Arc;

use crate::definition::Definition;

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
