//! Secrets by reference: `${env:NAME}`, `${file:/path}` and `${dir:/path:key}`, anywhere in a text, several in one.
//!
//! | reference | is |
//! |---|---|
//! | `${env:NAME}` | the environment variable |
//! | `${file:/path}` | the content of the file, without the line break at its end |
//! | `${dir:/path:key}` | the content of the file `key` in that directory, without the line break at its end |
//! | `$${` | a literal `${` |
//!
//! They are resolved at each use and never kept ([`super::References`]), so a secret that was rotated works on the next
//! connect. What they bring is text: it is not searched for references again. In the part of a URL before the `@` they are percent-encoded, so
//! that a password may hold any character; a reference that is the whole URL is taken as it is.

mod files;
mod reference;
mod texts;

use gantry_sdk::config::Problem;
use serde_json::Value as Json;

pub use files::files;
pub(super) use reference::{Part, parse, references};
pub(super) use texts::each_text;

/// The same options with every reference resolved, as text; to be used and dropped. The problem says where and what is
/// missing, and holds no secret.
pub(super) fn resolve(options: &Json) -> Result<Json, Problem> {
    let mut resolved = options.clone();
    let mut first = None;
    each_text(&mut resolved, |path, text| match expand(text) {
        Ok(Some(value)) => *text = value,
        Ok(None) => {}
        Err(message) => {
            first.get_or_insert_with(|| Problem::error(path, message));
        }
    });
    first.map_or(Ok(resolved), Err)
}

/// What the text says when its references are resolved; `None` when it has none and no escapes.
pub(super) fn expand(text: &str) -> Result<Option<String>, String> {
    if !text.contains("${") {
        return Ok(None);
    }
    let parts = parse(text)?;
    let user_info = user_info(&parts);
    let mut expanded = String::with_capacity(text.len());
    for (index, part) in parts.iter().enumerate() {
        match part {
            Part::Literal(literal) => expanded.push_str(literal),
            Part::Reference(reference) if user_info.contains(&index) => {
                percent_encode(&reference.read()?, &mut expanded);
            }
            Part::Reference(reference) => expanded.push_str(&reference.read()?),
        }
    }
    Ok(Some(expanded))
}

/// The references among the parts that lie in a URL's `user:password`.
fn user_info(parts: &[Part]) -> std::ops::Range<usize> {
    let mut begin = None;
    let mut end = 0;
    for (index, part) in parts.iter().enumerate() {
        let Part::Literal(literal) = part else { continue };
        let rest = match begin {
            Some(_) => literal.as_str(),
            None => match literal.find("://") {
                Some(at) => {
                    begin = Some(index);
                    &literal[at + 3..]
                }
                None => continue,
            },
        };
        let authority = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        if rest[..authority].contains('@') {
            end = index;
        }
        if authority < rest.len() {
            break;
        }
    }
    begin.map_or(0..0, |begin| begin..end.max(begin))
}

fn percent_encode(text: &str, out: &mut String) {
    use std::fmt::Write as _;
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            // Writing to a String cannot fail.
            _ => _ = write!(out, "%{byte:02X}"),
        }
    }
}

#[cfg(test)]
mod tests;
