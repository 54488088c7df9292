//! From text to parts.
//!
//! ```text
//! template   = { literal | "{{" | "}}" | "{" expression [ "|" default ] "}" }
//! expression = field | function "(" argument { "," argument } ")"
//! argument   = expression | number | text between double or single quotes
//! ```
//! A name with a bracket behind it is a function: no field has such a name.

use bytes::Bytes;

use super::{
    field::{Field, NAMED},
    function::{Call, Expression, FUNCTIONS},
    part::Part,
};

/// How deep calls may stand in each other.
const DEPTH: usize = 16;

pub(super) fn parts(text: &str) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        literal.push_str(&rest[..at]);
        let tail = &rest[at..];
        if let Some(after) = tail.strip_prefix("{{") {
            literal.push('{');
            rest = after;
        } else if let Some(after) = tail.strip_prefix("}}") {
            literal.push('}');
            rest = after;
        } else if let Some(inside) = tail.strip_prefix('{') {
            let open = || format!("\"{text}\": a \"{{\" without its \"}}\"");
            if !literal.is_empty() {
                parts.push(Part::Literal(std::mem::take(&mut literal).into()));
            }
            let (part, behind) = if is_call(inside) { called(inside, open)? } else { plain(inside, open)? };
            parts.push(part);
            rest = behind;
        } else {
            return Err(format!("\"{text}\": a \"}}\" without its \"{{\"; write \"}}}}\" for a literal one"));
        }
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        parts.push(Part::Literal(literal.into()));
    }
    Ok(parts)
}

/// `field}` or `field|default}`, and what is behind it.
fn plain(inside: &str, open: impl Fn() -> String) -> Result<(Part, &str), String> {
    let (inside, behind) = inside.split_once('}').ok_or_else(open)?;
    let (name, default) = match inside.split_once('|') {
        Some((name, default)) => (name.trim(), Some(default.into())),
        None => (inside.trim(), None),
    };
    Ok((Part::Field { expression: Expression::Field(field(name)?), default }, behind))
}

/// `function(…)}` or `function(…)|default}`, and what is behind it.
fn called(inside: &str, open: impl Fn() -> String) -> Result<(Part, &str), String> {
    let mut arguments = Arguments { rest: inside.trim_start() };
    let expression = arguments.expression(0)?;
    let rest = arguments.rest.trim_start();
    if let Some(behind) = rest.strip_prefix('}') {
        return Ok((Part::Field { expression, default: None }, behind));
    }
    match rest.strip_prefix('|') {
        Some(rest) => {
            let (default, behind) = rest.split_once('}').ok_or_else(open)?;
            Ok((Part::Field { expression, default: Some(default.into()) }, behind))
        }
        None if rest.is_empty() => Err(open()),
        None => Err("behind the \")\" of a function comes \"}\" or \"|DEFAULT}\"".to_owned()),
    }
}

/// Whether a name and a bracket stand there.
fn is_call(text: &str) -> bool {
    let text = text.trim_start();
    let name = text.len() - text.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_').len();
    name > 0 && text[name..].starts_with('(')
}

/// What stands between brackets, read from the left.
struct Arguments<'t> {
    rest: &'t str,
}

impl Arguments<'_> {
    fn expression(&mut self, depth: usize) -> Result<Expression, String> {
        self.rest = self.rest.trim_start();
        if let Some(quote) = self.rest.chars().next().filter(|c| matches!(c, '"' | '\'')) {
            return self.text(quote).map(Expression::Text);
        }
        if !is_call(self.rest) {
            let end = self.rest.find([',', ')', '}']).unwrap_or(self.rest.len());
            let (name, rest) = self.rest.split_at(end);
            self.rest = rest;
            let name = name.trim();
            let is_number = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
            return if is_number {
                Ok(Expression::Text(Bytes::copy_from_slice(name.as_bytes())))
            } else {
                field(name).map(Expression::Field)
            };
        }
        let (name, rest) = self.rest.split_once('(').unwrap_or_default();
        self.rest = rest;
        if !FUNCTIONS.iter().any(|function| function.name == name) {
            let names: Vec<_> = FUNCTIONS.iter().map(|function| function.name).collect();
            let meant = nearest(name, names.iter().copied()).map(str::to_owned);
            return Err(format!(
                "there is no function \"{name}\"; {} functions are {}",
                or_all(meant),
                names.join(", ")
            ));
        }
        if depth == DEPTH {
            return Err(format!("functions stand in each other more than {DEPTH} deep"));
        }
        let arguments = self.arguments(name, depth)?;
        Ok(Expression::Call(Box::new(Call::new(name, arguments)?)))
    }

    fn arguments(&mut self, name: &str, depth: usize) -> Result<Vec<Expression>, String> {
        let mut arguments = Vec::new();
        loop {
            arguments.push(self.expression(depth + 1)?);
            self.rest = self.rest.trim_start();
            if let Some(rest) = self.rest.strip_prefix(',') {
                self.rest = rest;
            } else if let Some(rest) = self.rest.strip_prefix(')') {
                self.rest = rest;
                return Ok(arguments);
            } else {
                return Err(format!("\"{name}(\": a comma or \")\" is missing behind an argument"));
            }
        }
    }

    /// Text up to the same quote; a backslash takes the next letter as it is.
    fn text(&mut self, quote: char) -> Result<Bytes, String> {
        let mut text = String::new();
        let mut letters = self.rest.char_indices().skip(1);
        while let Some((at, letter)) = letters.next() {
            match letter {
                '\\' => text.extend(letters.next().map(|(_, letter)| letter)),
                _ if letter == quote => {
                    self.rest = &self.rest[at + quote.len_utf8()..];
                    return Ok(text.into());
                }
                _ => text.push(letter),
            }
        }
        Err(format!("a text in a template begins with {quote} and does not end"))
    }
}

/// A field by its name in a template.
fn field(name: &str) -> Result<Field, String> {
    match name {
        "key" => return Ok(Field::Key),
        "value" => return Ok(Field::Value),
        _ => {}
    }
    if let Some(path) = name.strip_prefix("value.") {
        return Ok(Field::Json(path.split('.').map(str::to_owned).collect()));
    }
    if let Some(header) = name.strip_prefix("header.").filter(|header| !header.is_empty()) {
        return Ok(Field::Header(header.to_owned()));
    }
    match NAMED.iter().find(|(own, _)| *own == name) {
        Some((own, _)) => Ok(Field::Named(own)),
        None => Err(unknown(name)),
    }
}

fn unknown(name: &str) -> String {
    let known: Vec<_> =
        ["key", "value", "value.FIELD", "header.NAME"].into_iter().chain(NAMED.iter().map(|(own, _)| *own)).collect();
    let meant = meant(name).map(|meant| format!("{{{meant}}}"));
    format!("there is no field \"{{{name}}}\"; {} fields are {}", or_all(meant), known.join(", "))
}

/// The question whether that was meant, if anything was, and how the list of all begins.
fn or_all(meant: Option<String>) -> String {
    meant.map_or_else(|| "the".to_owned(), |meant| format!("did you mean \"{meant}\"? The"))
}

/// The field that may have been meant: another word before the dot, or a name that is nearly one.
fn meant(name: &str) -> Option<String> {
    if let Some((before, after)) = name.split_once('.').filter(|(_, after)| !after.is_empty()) {
        let places = [("header", "header"), ("value", "value"), ("body", "value"), ("payload", "value")];
        let meant = nearest(before, places.iter().map(|(word, _)| *word))?;
        let (_, place) = places.iter().find(|(word, _)| *word == meant)?;
        return Some(format!("{place}.{after}"));
    }
    let names = ["key", "value"].into_iter().chain(NAMED.iter().map(|(own, _)| *own));
    nearest(name, names).map(str::to_owned)
}

/// The nearest of these names, if one is near enough to be meant.
fn nearest<'n>(written: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let near = |name: &'n str| {
        let distance = strsim::damerau_levenshtein(&written.to_lowercase(), name);
        (distance <= written.len().max(name.len()).div_ceil(3)).then_some((distance, name))
    };
    names.into_iter().filter_map(near).min().map(|(_, name)| name)
}

impl std::str::FromStr for Field {
    type Err = String;

    /// A field by its name, without braces.
    fn from_str(name: &str) -> Result<Self, String> {
        field(name)
    }
}
