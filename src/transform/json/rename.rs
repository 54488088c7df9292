//! Renaming fields of JSON objects in their places.

use std::collections::BTreeMap;

use gantry_sdk::config::{KeyPath, Problem};

use super::{
    node::{Field, Name, Node},
    path::{Path, Step},
};

/// The renames of one object (or of every object that the path leads to), done at once.
#[derive(Debug)]
pub(super) struct Rename {
    object: Path,
    names: BTreeMap<String, String>,
}

/// The renames by their objects, innermost first, so that paths see the names as they were; and what is wrong.
pub(super) fn compile(renames: &BTreeMap<String, String>) -> (Vec<Rename>, Vec<Problem>) {
    let (mut objects, mut problems) = (BTreeMap::<Path, BTreeMap<String, String>>::new(), Vec::new());
    for (path, new) in renames {
        let result = parse(path, new).and_then(|(object, old)| {
            let names = objects.entry(object).or_default();
            if let Some((before, _)) = names.iter().find(|(_, taken)| *taken == new) {
                return Err(format!("\"{before}\" becomes \"{new}\" already; two fields cannot both"));
            }
            names.insert(old, new.clone());
            Ok(())
        });
        if let Err(message) = result {
            problems.push(Problem::error(KeyPath::from("rename").key(path), message));
        }
    }
    let mut renames: Vec<_> = objects.into_iter().map(|(object, names)| Rename { object, names }).collect();
    renames.sort_by_key(|rename| std::cmp::Reverse(rename.object.depth()));
    (renames, problems)
}

fn parse(path: &str, new: &str) -> Result<(Path, String), String> {
    let Some((object, Step::Named { name: old, .. })) = Path::parse(path)?.split() else {
        return Err(format!("\"{path}\" does not end with the name of a field"));
    };
    if new.is_empty() || new.contains('.') {
        return Err(format!("\"{new}\" is not a name: a field is renamed in its place, so write no path"));
    }
    if old == new {
        return Err("the old and the new name are the same".to_owned());
    }
    Ok((object, old))
}

impl Rename {
    /// Renames what is there; says whether anything was. A field that stood under a new name is replaced.
    pub(super) fn apply<'a>(&'a self, node: &mut Node<'a>) -> bool {
        self.object.at_each(node, &mut |object| {
            let Some(fields) = object.fields() else { return false };
            let new_name = |field: &Field<'_>| self.names.iter().find(|(old, _)| field.name.is(old));
            let replaced: Vec<&str> = fields.iter().filter_map(new_name).map(|(_, new)| new.as_str()).collect();
            if replaced.is_empty() {
                return false;
            }
            fields.retain_mut(|field| match new_name(field) {
                Some((_, new)) => {
                    field.name = Name::New(new);
                    true
                }
                None => !replaced.iter().any(|name| field.name.is(name)),
            });
            true
        })
    }
}
