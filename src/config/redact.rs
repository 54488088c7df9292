//! What must not be shown of options as a person wrote them.
//!
//! References (`${…}`) are shown: they are no secret. Hidden is a secret written in plain text: where the schema says
//! `writeOnly`, in an open map (`properties:`) under a key that sounds like one, and the password of any URL. In doubt it
//! is hidden.

use std::sync::LazyLock;

use gantry_runtime::definition::Definition;
use gantry_sdk::config::{KeyPath, Step};
use regex::{Captures, Regex};
use serde_json::Value as Json;

use super::{
    schema::{self, Slot},
    secrets::{self, Part},
};

const HIDDEN: &str = "[hidden]";

/// The section of a bridge as it was written, with `[hidden]` for secrets in plain text; what REST may serve.
pub fn redacted(definition: &Definition) -> Json {
    let bridge = Slot::root(schema::whole()).key("bridges").and_then(|bridges| bridges.key(&definition.name));
    let mut shown = definition.raw.clone();
    if let Some(bridge) = bridge {
        each_plain_secret(&bridge, &mut shown, |_, text, hidden| *text = hidden);
    }
    shown
}

/// Visits every text that holds a secret in plain text, with its path and what may be shown of it.
pub(super) fn each_plain_secret(
    slot: &Slot<'_>,
    value: &mut Json,
    mut visit: impl FnMut(&KeyPath, &mut String, String),
) {
    walk(Some(slot.clone()), false, value, &mut KeyPath::root(), &mut visit);
}

fn walk(
    slot: Option<Slot<'_>>,
    secret: bool,
    value: &mut Json,
    at: &mut KeyPath,
    visit: &mut impl FnMut(&KeyPath, &mut String, String),
) {
    let secret = secret || slot.as_ref().is_some_and(Slot::is_secret);
    match value {
        Json::Object(entries) => {
            for (key, entry) in entries {
                let open = slot.as_ref().is_none_or(|slot| !slot.known_keys().contains(&key.as_str()));
                let below = slot.as_ref().and_then(|slot| slot.key(key));
                let template = below.as_ref().is_some_and(Slot::is_template);
                let secret = secret || (open && !template && sounds_secret(key));
                at.within(Step::Key(key.clone()), |at| walk(below, secret, entry, at, visit));
            }
        }
        Json::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                let below = slot.as_ref().and_then(Slot::item);
                at.within(Step::Index(index), |at| walk(below, secret, item, at, visit));
            }
        }
        Json::String(text) => {
            if let Some(hidden) = hide(text, secret) {
                visit(at, text, hidden);
            }
        }
        // A password that looks like a number is one of an open map; a schema's own is text.
        Json::Number(_) if secret => *value = Json::from(HIDDEN),
        Json::Null | Json::Bool(_) | Json::Number(_) => {}
    }
}

fn sounds_secret(key: &str) -> bool {
    static SECRET: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r"(?i)password|passwd|passphrase|secret|token|credential|jaas|api[._-]?key|private|\.pem$|config$|authori[sz]ation|cookie|(^|[^a-z])auth$",
        )
            .expect("it is a constant, and every test of this file uses it")
    });
    SECRET.is_match(key)
}

/// The text without what is secret in it, if anything is.
fn hide(text: &str, secret: bool) -> Option<String> {
    static CREDENTIALS: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(\w*)://(?:([^/?#\s:@,]*):)?([^/?#\s,]*)@")
            .expect("it is a constant, and every test of this file uses it")
    });
    static QUERY: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"((\w*)://[^?#\s,]*)\?([^#\s,]+)").expect("it is a constant, and every test of this file uses it")
    });
    let everything = || secret.then(|| HIDDEN.to_owned());
    let Ok(parts) = secrets::parse(text) else { return everything() };
    // References may hold any character: out with them while the rest is searched.
    let (masked, references) = mask(&parts);
    if !masked.contains("://") {
        let plain = masked.chars().any(|c| !is_mask(c) && !c.is_whitespace());
        return if plain { everything() } else { None };
    }
    if masked.contains('@') && !CREDENTIALS.is_match(&masked) {
        return everything();
    }
    let shown = CREDENTIALS.replace_all(&masked, |found: &Captures<'_>| {
        let (scheme, password) = (&found[1], &found[3]);
        let shown = if password.chars().all(is_mask) { password } else { HIDDEN };
        match found.get(2) {
            Some(user) => format!("{scheme}://{}:{shown}@", user.as_str()),
            // A user alone is hidden only where it may be a token.
            None if secret && takes_tokens(scheme) => format!("{scheme}://{shown}@"),
            None => found[0].to_owned(),
        }
    });
    let shown = match secret {
        true => QUERY.replace_all(&shown, |found: &Captures<'_>| match takes_tokens(&found[2]) {
            true => format!("{}?{HIDDEN}", &found[1]),
            false => format!("{}?{}", &found[1], hide_parameters(&found[3])),
        }),
        false => shown,
    };
    (shown != masked).then(|| unmask(&shown, &references))
}

/// Whether a URL of this scheme may hold a token in the place of a user, or in any parameter. A broker's holds a password or
/// none: its user and its `heartbeat` are no secret.
fn takes_tokens(scheme: &str) -> bool {
    scheme.to_ascii_lowercase().starts_with("http") || scheme.is_empty()
}

/// A URL's parameters without the values of those that sound like a secret.
fn hide_parameters(query: &str) -> String {
    let hide = |parameter: &str| match parameter.split_once('=') {
        Some((name, value)) if sounds_secret(name) && !value.chars().all(is_mask) => format!("{name}={HIDDEN}"),
        _ => parameter.to_owned(),
    };
    query.split('&').map(hide).collect::<Vec<_>>().join("&")
}

/// References become single characters of the private use area, in order.
const FIRST_MASK: u32 = 0xE000;

fn mask(parts: &[Part]) -> (String, Vec<String>) {
    let mut references = Vec::new();
    let mut masked = String::new();
    for part in parts {
        match part {
            Part::Literal(literal) => masked.extend(literal.chars().filter(|c| !is_mask(*c))),
            Part::Reference(reference) => {
                let number = u32::try_from(references.len()).unwrap_or(0x1000).min(0x0FFF);
                masked.push(char::from_u32(FIRST_MASK + number).unwrap_or('\u{E000}'));
                references.push(reference.to_string());
            }
        }
    }
    (masked, references)
}

fn is_mask(c: char) -> bool {
    (FIRST_MASK..FIRST_MASK + 0x1000).contains(&u32::from(c))
}

fn unmask(masked: &str, references: &[String]) -> String {
    let mut text = String::new();
    for c in masked.chars() {
        match references.get((u32::from(c).wrapping_sub(FIRST_MASK)) as usize) {
            Some(reference) => text.push_str(reference),
            None => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests;
