//! One field of a body: looked for without building anything, against a whole parse by serde_json.

use std::borrow::Cow;

use gantry_sdk::json;
use serde_json::Value as Json;

use super::input;

/// What the names begin with under which serde_json itself carries numbers and raw text: an object with such a key is
/// something else to it.
const SPECIAL: &str = "$serde_json";

pub(super) fn run(data: &[u8]) {
    let (path, body) = input::line(data);
    let Ok(path) = str::from_utf8(path) else { return };
    let path: Vec<_> = path.split('.').map(str::to_owned).collect();
    let picked = json::pick(body, &path);
    if let Err(reason) = &picked {
        assert_is_a_reason(reason);
    }
    match whole(body) {
        Whole::Json(whole) => assert_same(picked.expect("it is JSON"), field(&whole, &path)),
        Whole::NotJson => assert!(picked.is_err(), "{path:?}"),
        Whole::Tolerated => {}
    }
    assert_document(body);
}

/// What serde_json makes of a body.
pub(super) enum Whole {
    Json(Json),
    NotJson,
    /// It refuses, or reads otherwise, what the reader tolerates.
    Tolerated,
}

pub(super) fn whole(body: &[u8]) -> Whole {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let Ok(text) = str::from_utf8(body) else { return Whole::Tolerated };
    // A key of its own may be written with escapes.
    let special = text.contains(SPECIAL) || (text.contains("\\u") && text.contains("serde") | text.contains("private"));
    let lone = text.contains("\\ud") || text.contains("\\uD");
    let deep = text.matches(['[', '{']).count() > 100;
    match serde_json::from_str(text) {
        _ if special => Whole::Tolerated,
        Ok(json) => Whole::Json(json),
        Err(_) if lone || deep => Whole::Tolerated,
        Err(_) => Whole::NotJson,
    }
}

/// The parts of a document are the whole of it, and a key that means something to serde_json means nothing.
fn assert_document(body: &[u8]) {
    let Ok(document) = json::parse(body) else { return };
    let bytes = [document.head, document.value.bytes(), document.tail].concat();
    assert_eq!(bytes, body);
    for member in document.value.members() {
        let inside = [member.head, member.value.bytes(), member.tail].concat();
        assert!(body.windows(inside.len()).any(|window| window == inside));
    }
    if let Ok(text) = str::from_utf8(body)
        && text.contains(SPECIAL)
    {
        let plain = text.replace(SPECIAL, "#serde_json");
        assert!(json::parse(plain.as_bytes()).is_ok(), "{plain}");
    }
}

/// The field at that path as the documentation has it.
fn field(mut json: &Json, path: &[String]) -> Option<Json> {
    for step in path {
        json = match json {
            Json::Object(fields) => fields.get(step)?,
            Json::Array(items) => items.get(step.parse::<usize>().ok()?)?,
            _ => return None,
        };
    }
    Some(json.clone()).filter(|json| !json.is_null())
}

/// Strings are compared as text, everything else as JSON: the reader keeps digits, escapes and keys that stand twice.
fn assert_same(found: Option<Cow<'_, [u8]>>, expected: Option<Json>) {
    let found = found.map(|bytes| String::from_utf8(bytes.into_owned()).expect("it is text"));
    match (found, expected) {
        (Some(found), Some(Json::String(text))) => assert_eq!(found, text),
        (Some(found), Some(json)) => {
            assert_eq!(serde_json::from_str::<Json>(&found).expect("it is JSON").to_string(), json.to_string());
        }
        (found, expected) => assert_eq!(found, expected.map(|json| json.to_string())),
    }
}

fn assert_is_a_reason(reason: &str) {
    assert!(reason.starts_with("the body is not JSON: ") || reason.contains(" is no text: "), "{reason}");
    // It may name a place, never a stretch of the body.
    assert!(reason.starts_with("value.") || reason.len() < 200, "{reason}");
}
