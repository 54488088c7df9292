//! JSON bodies: one tolerant reader for whoever asks for a field of one.
//!
//! # The contract
//! - A body is gone over once, from end to end; nothing is built, and what is not asked for is not looked at closely.
//! - What it tolerates: a byte order mark, and in strings bytes that are not UTF-8 and halves of surrogate pairs. A field
//!   with such a string can be copied and passed on; asked for as *text* it is refused, with a reason. No key is special.
//! - Of a key that stands twice in one object the last counts.
//! - What is read keeps its bytes: the digits of numbers, escapes, keys that stand twice.

mod raw;
mod scan;
mod string;

use std::borrow::Cow;

pub use raw::{Item, Member, Raw};

/// A body that is JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Document<'a> {
    /// A byte order mark and white space, if there are any.
    pub head: &'a [u8],
    /// The value.
    pub value: Raw<'a>,
    /// White space behind it.
    pub tail: &'a [u8],
}

/// The whole body. The error says why it is not JSON and what it is instead.
pub fn parse(body: &[u8]) -> Result<Document<'_>, String> {
    // An empty path leads to the whole.
    let place = scan::find(body, &[]).map_err(|wrong| not_json(body, wrong))?.unwrap_or(0..body.len());
    let (head, tail) = (&body[..place.start], &body[place.end..]);
    Ok(Document { head, value: Raw::found(&body[place]), tail })
}

/// One field of the body as text: strings without quotes, the rest as JSON; as it stands in the body, where it stands like that.
/// `None` when it is not there or null. The error says why the body is not JSON, or the field no text.
pub fn pick<'b>(body: &'b [u8], path: &[String]) -> Result<Option<Cow<'b, [u8]>>, String> {
    match scan::find(body, path).map_err(|wrong| not_json(body, wrong))? {
        None => Ok(None),
        Some(place) => {
            let field = Raw::found(&body[place]).to_field();
            field.map_err(|reason| format!("value.{} is no text: {reason}", path.join(".")))
        }
    }
}

fn not_json(body: &[u8], wrong: scan::Wrong) -> String {
    let before = &body[..wrong.at.min(body.len())];
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let column = before.len() - before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1) + 1;
    let what = wrong.what;
    format!("the body is not JSON: {what} at line {line} column {column}; found {}", describe(body))
}

/// What bytes look like, for reasons: never the bytes themselves.
fn describe(body: &[u8]) -> String {
    let kind = match body {
        [] => return "an empty body".to_owned(),
        [0x1f, 0x8b, ..] => "bytes of gzip",
        [0x28, 0xb5, 0x2f, 0xfd, ..] => "bytes of zstd",
        _ if str::from_utf8(body).is_ok() => "bytes of text",
        _ => "bytes that are not text",
    };
    format!("{} {kind}", body.len())
}

#[cfg(test)]
mod tests;
