//! Paths as people read them: `bridges.orders.transforms[0].filter`.

use serde_json::Value as Json;

/// No option's key holds as many dots; what is longer is looked for no further.
const MOST_DOTS: usize = 64;

/// The path of a key.
pub(super) fn key(parent: &str, key: &str) -> String {
    if parent.is_empty() { key.to_owned() } else { format!("{parent}.{key}") }
}

/// The path of a list's item.
pub(super) fn index(parent: &str, index: usize) -> String {
    format!("{parent}[{index}]")
}

/// The path `below` seen from where `parent` is; either may be empty.
pub(super) fn join(parent: &str, below: &str) -> String {
    match (parent, below) {
        ("", _) => below.to_owned(),
        (_, "") => parent.to_owned(),
        _ if below.starts_with('[') => format!("{parent}{below}"),
        _ => format!("{parent}.{below}"),
    }
}

/// What is left of `path` below `parent`; `None` when it does not lie there.
pub(super) fn below<'a>(path: &'a str, parent: &str) -> Option<&'a str> {
    if parent.is_empty() {
        return Some(path);
    }
    let rest = path.strip_prefix(parent)?;
    match rest.as_bytes().first() {
        None | Some(b'[') => Some(rest),
        Some(b'.') => Some(&rest[1..]),
        Some(_) => None,
    }
}

/// Whether one is the other, or lies in it.
pub(super) fn related(one: &str, other: &str) -> bool {
    below(one, other).is_some() || below(other, one).is_some()
}

/// One step down from a path: the longest key that is there (keys may hold dots), or an index; and what is left.
pub(super) fn step<'p>(path: &'p str, has: impl Fn(&str) -> bool, length: usize) -> Option<(Step<'p>, &'p str)> {
    if let Some(inner) = path.strip_prefix('[') {
        let (number, rest) = inner.split_once(']')?;
        let index = number.parse().ok().filter(|index| *index < length)?;
        return Some((Step::Index(index), rest.strip_prefix('.').unwrap_or(rest)));
    }
    // A key is looked up where it can end, instead of looking at every key: there may be thousands.
    let ends = path.match_indices(['.', '[']).map(|(at, _)| at).chain([path.len()]).take(MOST_DOTS);
    let end = ends.filter(|end| *end > 0 && has(&path[..*end])).last()?;
    let rest = &path[end..];
    Some((Step::Key(&path[..end]), rest.strip_prefix('.').unwrap_or(rest)))
}

/// A step from a value into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step<'k> {
    Key(&'k str),
    Index(usize),
}

/// The first step of a path into a value, what stands there, and what is left of the path.
pub(super) fn next<'v, 'p>(value: &'v Json, path: &'p str) -> Option<(Step<'p>, &'v Json, &'p str)> {
    let (step, rest) = match value {
        Json::Object(entries) => step(path, |key| entries.contains_key(key), 0)?,
        Json::Array(items) => step(path, |_| false, items.len())?,
        _ => return None,
    };
    let value = match step {
        Step::Key(key) => value.get(key)?,
        Step::Index(index) => value.get(index)?,
    };
    Some((step, value, rest))
}
