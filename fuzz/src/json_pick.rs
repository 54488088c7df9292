//! One field of a body: looked for without building the rest, against a whole parse.

use bytes::Bytes;
use gantry_sdk::json;
use serde_json::Value as Json;

use super::input;

/// The name under which serde_json itself carries the digits of a number. An object with such a key is a number to it.
const DIGITS: &[u8] = b"$serde_json";

pub(super) fn run(data: &[u8]) {
    let (path, body) = input::line(data);
    let Ok(path) = str::from_utf8(path) else { return };
    let path: Vec<_> = path.split('.').map(str::to_owned).collect();
    if is_ambiguous(data) {
        return;
    }
    let picked = json::pick(body, &path);
    match (json::parse(body), picked) {
        (Ok(whole), picked) => assert_eq!(picked, Ok(field(&whole, &path)), "{path:?}"),
        // What lies beside the path is skipped and not looked at closely: a broken escape there, or depth, is no error.
        (Err(reason), Ok(_)) => assert_is_a_reason(&reason),
        (Err(reason), Err(other)) => {
            assert_is_a_reason(&reason);
            assert_is_a_reason(&other);
        }
    }
}

/// Whether two readers may differ about these bytes although both are right.
pub(super) fn is_ambiguous(data: &[u8]) -> bool {
    data.windows(DIGITS.len()).any(|window| window == DIGITS)
}

/// The field at that path as the documentation has it.
pub(super) fn field(mut json: &Json, path: &[String]) -> Option<Bytes> {
    for step in path {
        json = match json {
            Json::Object(fields) => fields.get(step)?,
            Json::Array(items) => items.get(step.parse::<usize>().ok()?)?,
            _ => return None,
        };
    }
    match json {
        Json::Null => None,
        Json::String(text) => Some(text.clone().into()),
        other => Some(other.to_string().into()),
    }
}

fn assert_is_a_reason(reason: &str) {
    assert!(reason.starts_with("the body is not JSON: "), "{reason}");
    // It may name a place, never a stretch of the body.
    assert!(reason.len() < 200, "{reason}");
}
