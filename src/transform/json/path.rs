//! Where a field is in a JSON body, and what can be done there.

use std::fmt;

use gantry_sdk::json::Raw;

use super::node::{Field, Node};

/// Steps from the body to a field.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Path(Vec<Step>);

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    /// Every field or item.
    Every,
    /// A field; when it is a number also an item.
    Named { index: Option<usize>, name: String },
}

impl Path {
    /// Compiles a path in which `*` may stand.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.split('.').any(str::is_empty) {
            return Err(format!("\"{text}\" is not a path: write keys with dots between, like order.items.0.sku"));
        }
        let step = |name: &str| match name {
            "*" => Step::Every,
            _ => Step::Named { index: name.parse().ok(), name: name.to_owned() },
        };
        Ok(Self(text.split('.').map(step).collect()))
    }

    /// Compiles a path that leads to one place only.
    pub(super) fn plain(text: &str) -> Result<Self, String> {
        let path = Self::parse(text)?;
        if path.0.contains(&Step::Every) {
            return Err(format!("\"{text}\": \"*\" works in rename, drop and mask only"));
        }
        Ok(path)
    }

    /// The way to the object or list around the field, and the last step.
    pub(super) fn split(mut self) -> Option<(Self, Step)> {
        let last = self.0.pop()?;
        Some((self, last))
    }

    /// How many steps it takes.
    pub(super) const fn depth(&self) -> usize {
        self.0.len()
    }

    /// The names of its steps, for a path that leads to one place only.
    pub(super) fn names(&self) -> Vec<String> {
        let name = |step: &Step| match step {
            Step::Every => "*".to_owned(),
            Step::Named { name, .. } => name.clone(),
        };
        self.0.iter().map(name).collect()
    }

    /// Removes what any of the paths leads to; says whether anything was there. All at once: an item that goes moves
    /// those behind it, and a path means the places as they were.
    pub(super) fn remove_all(paths: &[Self], node: &mut Node<'_>) -> bool {
        let paths: Vec<_> = paths.iter().map(|path| path.0.as_slice()).collect();
        remove_all(&paths, node)
    }

    /// Puts `new` in the place of what is there; says whether that changed anything.
    pub(super) fn replace<'a>(&self, node: &mut Node<'a>, new: Raw<'a>) -> bool {
        at_each(&self.0, node, &mut |field| {
            let changes = !matches!(field, Node::Raw(raw) if raw.bytes() == new.bytes());
            if changes {
                *field = Node::Raw(new);
            }
            changes
        })
    }

    /// Calls `change` wherever the path leads; says whether any call said that it changed something.
    pub(super) fn at_each<'a>(&self, node: &mut Node<'a>, change: &mut dyn FnMut(&mut Node<'a>) -> bool) -> bool {
        at_each(&self.0, node, change)
    }

    /// Sets the field, and makes the objects on the way to it. Of a key that stands twice the last leads on; what it ends at
    /// stands once afterwards.
    pub(super) fn insert<'a>(&'a self, node: &mut Node<'a>, value: Raw<'a>) -> Result<(), String> {
        let mut place = node;
        for (done, step) in self.0.iter().enumerate() {
            let Step::Named { index, name } = step else { return Err(format!("{self} leads to many places")) };
            if done > 0 && matches!(place, Node::Raw(raw) if raw.is_null()) {
                *place = Node::Object(Vec::new());
            }
            let is_last = done + 1 == self.0.len();
            let kind = place.type_name();
            place = match (kind, index) {
                ("an object", _) => field(place.fields().ok_or_else(String::new)?, name, is_last),
                ("a list", Some(index)) => {
                    let items = place.items().ok_or_else(String::new)?;
                    let count = items.len();
                    let missing = || format!("cannot insert {self}: the list has {count} items");
                    &mut items.get_mut(*index).ok_or_else(missing)?.value
                }
                _ => return Err(format!("cannot insert {self}: {} is {kind}, not an object", Before(&self.0[..done]))),
            };
        }
        *place = Node::Raw(value);
        Ok(())
    }
}

/// The field of that name; a null is made where there is none. With `alone` others of the name go.
fn field<'n, 'a>(fields: &'n mut Vec<Field<'a>>, name: &'a str, alone: bool) -> &'n mut Node<'a> {
    let is_it = |field: &Field<'_>| field.name.is(name);
    let found = if alone { fields.iter().position(is_it) } else { fields.iter().rposition(is_it) };
    let Some(at) = found else {
        fields.push(Field::new(name, Node::Raw(Raw::NULL)));
        let last = fields.len() - 1;
        return &mut fields[last].value;
    };
    if alone {
        let mut places = 0..;
        fields.retain(|field| places.next() == Some(at) || !field.name.is(name));
    }
    &mut fields[at].value
}

fn at_each<'a>(steps: &[Step], node: &mut Node<'a>, change: &mut dyn FnMut(&mut Node<'a>) -> bool) -> bool {
    let Some((step, rest)) = steps.split_first() else { return change(node) };
    let mut changed = false;
    if let Some(fields) = node.fields() {
        for field in fields.iter_mut().filter(|field| step.is_field(field)) {
            changed |= at_each(rest, &mut field.value, change);
        }
    } else if let Some(items) = node.items() {
        for (_, item) in items.iter_mut().enumerate().filter(|(place, _)| step.is_item(*place)) {
            changed |= at_each(rest, &mut item.value, change);
        }
    }
    changed
}

fn remove_all(paths: &[&[Step]], node: &mut Node<'_>) -> bool {
    let mut removed = false;
    if let Some(fields) = node.fields() {
        fields.retain_mut(|field| {
            let below = below(paths, |step| step.is_field(field));
            survives(below, &mut field.value, &mut removed)
        });
    } else if let Some(items) = node.items() {
        let mut places = 0..;
        items.retain_mut(|item| {
            let place = places.next();
            let below = below(paths, |step| place.is_some_and(|place| step.is_item(place)));
            survives(below, &mut item.value, &mut removed)
        });
    }
    removed
}

/// What is left of the paths that lead to a child. Without one it allocates nothing.
fn below<'p>(paths: &[&'p [Step]], leads: impl Fn(&Step) -> bool) -> Vec<&'p [Step]> {
    paths.iter().filter_map(|path| path.split_first()).filter(|(step, _)| leads(step)).map(|(_, rest)| rest).collect()
}

/// Whether no path ends at this child; those that lead further remove what is below it.
fn survives(below: Vec<&[Step]>, child: &mut Node<'_>, removed: &mut bool) -> bool {
    let ends_here = below.iter().any(|rest| rest.is_empty());
    *removed |= ends_here || (!below.is_empty() && remove_all(&below, child));
    !ends_here
}

// === impl Step ===

impl Step {
    fn is_field(&self, field: &Field<'_>) -> bool {
        match self {
            Self::Every => true,
            Self::Named { name, .. } => field.name.is(name),
        }
    }

    fn is_item(&self, place: usize) -> bool {
        match self {
            Self::Every => true,
            Self::Named { index, .. } => *index == Some(place),
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, step) in self.0.iter().enumerate() {
            let dot = if place > 0 { "." } else { "" };
            match step {
                Step::Every => write!(f, "{dot}*")?,
                Step::Named { name, .. } => write!(f, "{dot}{name}")?,
            }
        }
        Ok(())
    }
}

/// The part of a path that was walked: nothing yet is the body itself.
struct Before<'a>(&'a [Step]);

impl fmt::Display for Before<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [] => f.write_str("the body"),
            steps => Path(steps.to_vec()).fmt(f),
        }
    }
}
