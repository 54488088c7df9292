//! From text to parts.

use super::{Part, field::Field, field::NAMED};

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
            let end = inside.find('}').ok_or_else(|| format!("\"{text}\": a \"{{\" without its \"}}\""))?;
            if !literal.is_empty() {
                parts.push(Part::Literal(std::mem::take(&mut literal)));
            }
            parts.push(part(&inside[..end])?);
            rest = &inside[end + 1..];
        } else {
            return Err(format!("\"{text}\": a \"}}\" without its \"{{\"; write \"}}}}\" for a literal one"));
        }
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        parts.push(Part::Literal(literal));
    }
    Ok(parts)
}

fn part(inside: &str) -> Result<Part, String> {
    let (name, default) = match inside.split_once('|') {
        Some((name, default)) => (name.trim(), Some(default.to_owned())),
        None => (inside.trim(), None),
    };
    Ok(Part::Field { field: field(name)?, default })
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
    if let Some(meant) = meant(name) {
        return format!("there is no field \"{{{name}}}\"; did you mean \"{{{meant}}}\"?");
    }
    let known: Vec<_> =
        ["key", "value", "value.FIELD", "header.NAME"].into_iter().chain(NAMED.iter().map(|(own, _)| *own)).collect();
    format!("there is no field \"{{{name}}}\"; the fields are {}", known.join(", "))
}

/// The field that is near enough to be meant: `headers.test` is `header.test`.
fn meant(name: &str) -> Option<String> {
    let near = |written: &str, known: &str| {
        let distance = strsim::damerau_levenshtein(written, known);
        (distance <= written.len().max(known.len()).div_ceil(3)).then_some(distance)
    };
    if let Some((head, rest)) = name.split_once('.').filter(|(_, rest)| !rest.is_empty()) {
        let known = ["header", "value"].into_iter();
        let (_, head) = known.filter_map(|known| near(head, known).map(|distance| (distance, known))).min()?;
        return Some(format!("{head}.{rest}"));
    }
    let known = ["key", "value"].into_iter().chain(NAMED.iter().map(|(own, _)| *own));
    known.filter_map(|known| near(name, known).map(|distance| (distance, known))).min().map(|(_, name)| name.to_owned())
}

impl std::str::FromStr for Field {
    type Err = String;

    /// A field by its name, without braces.
    fn from_str(name: &str) -> Result<Self, String> {
        field(name)
    }
}
