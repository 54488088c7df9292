//! Where a field is in a JSON body, and what can be done there.

use std::fmt;

use serde_json::{Map, Value as Json};

use gantry_sdk::json;

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

    /// The field, taken out; what is left of the body is of no use.
    pub(super) fn take(&self, mut json: &mut Json) -> Option<Json> {
        for step in &self.0 {
            json = step.child(json)?;
        }
        Some(json.take())
    }

    /// Removes what any of the paths leads to; says whether anything was there. All at once: an item that goes moves
    /// those behind it, and a path means the places as they were.
    pub(super) fn remove_all(paths: &[Self], json: &mut Json) -> bool {
        let paths: Vec<_> = paths.iter().map(|path| path.0.as_slice()).collect();
        remove_all(&paths, json)
    }

    /// Puts `new` in the place of what is there; says whether that changed anything.
    pub(super) fn replace(&self, json: &mut Json, new: &Json) -> bool {
        at_each(&self.0, json, &mut |field| {
            let changes = field != new;
            if changes {
                field.clone_from(new);
            }
            changes
        })
    }

    /// Calls `change` wherever the path leads; says whether any call said that it changed something.
    pub(super) fn at_each(&self, json: &mut Json, change: &mut dyn FnMut(&mut Json) -> bool) -> bool {
        at_each(&self.0, json, change)
    }

    /// Sets the field, and makes the objects on the way to it.
    pub(super) fn insert(&self, json: &mut Json, value: Json) -> Result<(), String> {
        let mut place = json;
        for (done, step) in self.0.iter().enumerate() {
            let Step::Named { index, name } = step else { return Err(format!("{self} leads to many places")) };
            if place.is_null() && done > 0 {
                *place = Json::Object(Map::new());
            }
            let kind = json::type_name(place);
            place = match (place, index) {
                (Json::Object(fields), _) => fields.entry(name.as_str()).or_insert(Json::Null),
                (Json::Array(items), Some(index)) => {
                    let count = items.len();
                    let missing = || format!("cannot insert {self}: the list has {count} items");
                    items.get_mut(*index).ok_or_else(missing)?
                }
                _ => return Err(format!("cannot insert {self}: {} is {kind}, not an object", Before(&self.0[..done]))),
            };
        }
        *place = value;
        Ok(())
    }
}

fn at_each(steps: &[Step], json: &mut Json, change: &mut dyn FnMut(&mut Json) -> bool) -> bool {
    let Some((step, rest)) = steps.split_first() else { return change(json) };
    match (step, json) {
        (Step::Every, Json::Object(fields)) => {
            fields.values_mut().fold(false, |changed, field| at_each(rest, field, change) | changed)
        }
        (Step::Every, Json::Array(items)) => {
            items.iter_mut().fold(false, |changed, item| at_each(rest, item, change) | changed)
        }
        (step, json) => step.child(json).is_some_and(|child| at_each(rest, child, change)),
    }
}

fn remove_all(paths: &[&[Step]], json: &mut Json) -> bool {
    let mut removed = false;
    match json {
        Json::Object(fields) => {
            fields.retain(|name, field| survives(paths, |step| step.is_field(name), field, &mut removed));
        }
        Json::Array(items) => {
            let mut places = 0..;
            items.retain_mut(|item| {
                let place = places.next();
                survives(paths, |step| place.is_some_and(|place| step.is_item(place)), item, &mut removed)
            });
        }
        _ => {}
    }
    removed
}

/// Whether no path ends at this child; those that lead further remove what is below it.
fn survives(paths: &[&[Step]], leads: impl Fn(&Step) -> bool, child: &mut Json, removed: &mut bool) -> bool {
    // Without a path that leads further this allocates nothing.
    let mut below = Vec::new();
    for path in paths {
        match path.split_first() {
            Some((step, [])) if leads(step) => {
                *removed = true;
                return false;
            }
            Some((step, rest)) if leads(step) => below.push(rest),
            _ => {}
        }
    }
    *removed |= !below.is_empty() && remove_all(&below, child);
    true
}

// === impl Step ===

impl Step {
    fn child<'j>(&self, json: &'j mut Json) -> Option<&'j mut Json> {
        match (self, json) {
            (Self::Named { name, .. }, Json::Object(fields)) => fields.get_mut(name),
            (Self::Named { index, .. }, Json::Array(items)) => items.get_mut((*index)?),
            _ => None,
        }
    }

    fn is_field(&self, field: &str) -> bool {
        match self {
            Self::Every => true,
            Self::Named { name, .. } => name == field,
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
