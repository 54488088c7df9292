//! YAML text → a tree in which every value knows where it was written.
//!
//! Keys that are written twice are errors; no last one wins.

use std::{collections::HashMap, path::Path, str::Chars, sync::Arc};

use serde_json::{Number, Value as Json};
use yaml_rust2::{
    Yaml,
    parser::{Event, Parser, Tag},
    scanner::{Marker, TScalarStyle},
};

use super::{
    diagnostic::{Diagnostic, Place},
    node::{Entries, Kind, Node},
};

/// Aliases can make a small file expand without end: more values than this are an error.
const MAX_VALUES: usize = 100_000;
/// The same for their text: a long one with many aliases is as bad as many values.
const MAX_BYTES: usize = 16 << 20;
/// No configuration is this deep; reading recurses.
pub(super) const MAX_DEPTH: usize = 100;

/// The file as a tree, unless it is no YAML; and all that is wrong with it.
pub(super) fn parse_file(file: &Path, text: &str) -> (Option<Node>, Vec<Diagnostic>) {
    let path: Arc<Path> = Arc::from(file);
    let place = |mark: Marker| Place::File { path: Arc::clone(&path), line: mark.line(), column: mark.col() + 1 };
    let nothing = || Some(Node::new(None, Kind::Map(Entries::new())));
    let mut loader = Loader::new(text, &place);
    let root = match loader.document() {
        Ok(Some((root, mark))) => match root.kind {
            Kind::Map(_) => Some(root),
            Kind::Single(Json::Null) => nothing(),
            _ => {
                loader.problem(mark, "a configuration is a map, like `bridges: { … }`");
                None
            }
        },
        Ok(None) => nothing(),
        Err((mark, message)) => {
            loader.problem(mark, message);
            None
        }
    };
    (root, loader.problems)
}

/// A value as it would be written in a file; `None` when it is no YAML.
pub(super) fn parse_value(text: &str) -> Option<Node> {
    let place = |_: Marker| Place::Variable(String::new());
    let mut loader = Loader::new(text, &place);
    let (value, _) = loader.document().ok()??;
    loader.problems.is_empty().then_some(value)
}

type Stop = (Marker, String);

struct Loader<'a> {
    text: &'a str,
    parser: Parser<Chars<'a>>,
    place: &'a dyn Fn(Marker) -> Place,
    anchors: HashMap<usize, Node>,
    values: usize,
    bytes: usize,
    /// Where the lists and maps begin that have not ended.
    open: Vec<Marker>,
    problems: Vec<Diagnostic>,
}

impl<'a> Loader<'a> {
    fn new(text: &'a str, place: &'a dyn Fn(Marker) -> Place) -> Self {
        // A byte order mark is allowed at the start of a file and is no part of it.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let parser = Parser::new(text.chars());
        Self {
            text,
            parser,
            place,
            anchors: HashMap::new(),
            values: 0,
            bytes: 0,
            open: Vec::new(),
            problems: Vec::new(),
        }
    }

    fn problem(&mut self, mark: Marker, message: impl Into<String>) {
        self.problems.push(Diagnostic::error(Some((self.place)(mark)), message));
    }

    fn next(&mut self) -> Result<(Event, Marker), Stop> {
        let next = self.parser.next_token();
        next.map_err(|error| {
            let found = (*error.marker(), format!("this is no YAML: {}", error.info()));
            self.unclosed(*error.marker(), error.info()).unwrap_or(found)
        })
    }

    /// A brace or bracket that never closes is noticed only where the next line does not fit: what is wrong is where it opens.
    fn unclosed(&self, noticed: Marker, info: &str) -> Option<Stop> {
        let opening = *self.open.last()?;
        let bracket = self.text.chars().nth(opening.index()).filter(|c| matches!(c, '{' | '['))?;
        (noticed.line() > opening.line()).then(|| {
            let line = noticed.line();
            (opening, format!("this is no YAML: the {bracket} here is not closed before line {line} ({info})"))
        })
    }

    /// The one document of the text; `None` when there is none.
    fn document(&mut self) -> Result<Option<(Node, Marker)>, Stop> {
        let mut root = None;
        loop {
            match self.next()? {
                (Event::StreamEnd, _) => return Ok(root),
                (Event::Nothing | Event::StreamStart | Event::DocumentEnd, _) => {}
                (Event::DocumentStart, mark) if root.is_some() => {
                    return Err((mark, "a second YAML document begins here: write one a file".to_owned()));
                }
                (Event::DocumentStart, _) => {
                    let (event, mark) = self.next()?;
                    root = Some((self.value(event, mark, 0)?, mark));
                }
                (_, mark) => return Err((mark, "this is no YAML: unexpected content".to_owned())),
            }
        }
    }

    fn value(&mut self, event: Event, mark: Marker, depth: usize) -> Result<Node, Stop> {
        if depth > MAX_DEPTH {
            return Err((mark, format!("nested more than {MAX_DEPTH} deep")));
        }
        self.count(mark, Extent { values: 1, bytes: 0 })?;
        let (anchor, kind) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.count(mark, Extent { values: 0, bytes: text.len() })?;
                (anchor, Kind::Single(scalar(text, style, tag.as_ref()).map_err(|e| (mark, e))?))
            }
            Event::SequenceStart(anchor, _) => {
                self.open.push(mark);
                (anchor, self.list(depth)?)
            }
            Event::MappingStart(anchor, _) => {
                self.open.push(mark);
                (anchor, self.map(depth)?)
            }
            Event::Alias(anchor) => {
                let value = self.anchors.get(&anchor).cloned();
                let value = value.ok_or_else(|| (mark, "this alias holds itself".to_owned()))?;
                self.count(mark, Extent::of(&value))?;
                return Ok(value);
            }
            _ => return Err((mark, "this is no YAML: unexpected end".to_owned())),
        };
        let value = Node::new(Some((self.place)(mark)), kind);
        // The parser gives 0 to what has no anchor.
        if anchor != 0 {
            // It is kept besides: anchors in anchors are kept many times.
            self.count(mark, Extent::of(&value))?;
            self.anchors.insert(anchor, value.clone());
        }
        Ok(value)
    }

    fn list(&mut self, depth: usize) -> Result<Kind, Stop> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => {
                    self.open.pop();
                    return Ok(Kind::List(items));
                }
                (event, mark) => items.push(self.value(event, mark, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Kind, Stop> {
        let mut entries = Entries::new();
        let mut merged = Vec::new();
        loop {
            let (key, mark) = match self.next()? {
                (Event::MappingEnd, _) => {
                    self.open.pop();
                    break;
                }
                (Event::Scalar(key, style, ..), mark) => {
                    self.count(mark, Extent { values: 0, bytes: key.len() })?;
                    ((key, style), mark)
                }
                (_, mark) => return Err((mark, "a key must be a plain word or a quoted text".to_owned())),
            };
            let (event, value_mark) = self.next()?;
            let value = self.value(event, value_mark, depth + 1)?;
            if key == ("<<".to_owned(), TScalarStyle::Plain) {
                merged.push((value, value_mark));
            } else {
                self.insert(&mut entries, key.0, value, mark);
            }
        }
        for (value, mark) in merged {
            merge(&mut entries, value).map_err(|message| (mark, message))?;
        }
        Ok(Kind::Map(entries))
    }

    fn insert(&mut self, entries: &mut Entries, key: String, value: Node, mark: Marker) {
        if let Some(first) = entries.get(&key) {
            let line = match &first.place {
                Some(Place::File { line, .. }) => format!(" (first in line {line})"),
                _ => String::new(),
            };
            self.problem(mark, format!("the key \"{key}\" is written twice{line}"));
            return;
        }
        entries.insert(key, Node::new(Some((self.place)(mark)), value.kind));
    }

    fn count(&mut self, mark: Marker, more: Extent) -> Result<(), Stop> {
        self.values = self.values.saturating_add(more.values);
        self.bytes = self.bytes.saturating_add(more.bytes);
        if self.values > MAX_VALUES {
            return Err((mark, format!("more than {MAX_VALUES} values, aliases expanded")));
        }
        if self.bytes > MAX_BYTES {
            return Err((mark, format!("more than {} MiB of text, aliases expanded", MAX_BYTES >> 20)));
        }
        Ok(())
    }
}

/// How much memory a value takes.
#[derive(Clone, Copy)]
struct Extent {
    values: usize,
    bytes: usize,
}

impl Extent {
    fn of(value: &Node) -> Self {
        let mut extent = Self { values: 1, bytes: 0 };
        match &value.kind {
            Kind::Map(entries) => {
                for (key, value) in entries {
                    extent.bytes += key.len();
                    extent.add(value);
                }
            }
            Kind::List(items) => items.iter().for_each(|item| extent.add(item)),
            Kind::Single(value) => extent.bytes += value.as_str().map_or(0, str::len),
        }
        extent
    }

    fn add(&mut self, value: &Node) {
        let Self { values, bytes } = Self::of(value);
        self.values += values;
        self.bytes += bytes;
    }
}

/// `<<: *defaults`: what is not written here comes from there.
fn merge(entries: &mut Entries, value: Node) -> Result<(), String> {
    match value.kind {
        Kind::Map(defaults) => {
            for (key, value) in defaults {
                entries.entry(key).or_insert(value);
            }
            Ok(())
        }
        Kind::List(items) => items.into_iter().try_for_each(|item| merge(entries, item)),
        _ => Err("`<<` takes a map, or a list of maps".to_owned()),
    }
}

/// What a scalar means by YAML 1.2's core rules: quoted it is text, plain it may be a number, a truth value or nothing.
fn scalar(text: String, style: TScalarStyle, tag: Option<&Tag>) -> Result<Json, String> {
    match tag {
        None => {}
        Some(tag) if tag.suffix == "str" => return Ok(Json::String(text)),
        Some(tag) if matches!(tag.suffix.as_str(), "int" | "float" | "bool" | "null") => {}
        Some(tag) => return Err(format!("the tag {}{} means nothing here", tag.handle, tag.suffix)),
    }
    if style != TScalarStyle::Plain {
        return Ok(Json::String(text));
    }
    Ok(match Yaml::from_str(&text) {
        Yaml::Null => Json::Null,
        Yaml::Boolean(value) => Json::Bool(value),
        Yaml::Integer(value) => Json::from(value),
        Yaml::Real(_) => match (text.parse::<i128>(), text.parse::<f64>()) {
            (Ok(value), _) => Number::from_i128(value).map_or(Json::Null, Json::Number),
            (_, Ok(value)) if value.is_finite() => Json::from(value),
            // `.inf` and `.nan` have no JSON, and no option takes them.
            _ => Json::String(text),
        },
        _ => Json::String(text),
    })
}

#[cfg(test)]
mod tests;
