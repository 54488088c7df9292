//! Templates: parsed and rendered, against a model that reads them letter by letter.

use bytes::Bytes;
use gantry_sdk::{Record, Template, json};

use super::input;

pub(super) fn run(data: &[u8]) {
    let (text, body) = input::line(data);
    let Ok(text) = str::from_utf8(text) else { return };
    let compiled = Template::parse(text);
    let record = input::record(body);
    // The model knows no functions.
    if text.contains('(') {
        if let Ok(template) = compiled {
            let missing = template.lacking(&record);
            assert!(missing.is_empty() || template.render(&record).is_none(), "{text:?} lacks {missing:?}");
        }
        return;
    }
    let expected = model(text, &record);
    let Ok(template) = compiled else {
        assert_eq!(expected, Err(Wrong::Template), "{text:?} is refused");
        return;
    };
    assert_eq!(template.as_str(), text);
    let rendered = template.render(&record);
    if let Some(literal) = template.as_literal() {
        assert_eq!(rendered.as_deref(), Some(literal.as_bytes()));
    }
    // A field of a body that is not JSON: what can be had of it is not said anywhere.
    if expected == Err(Wrong::Body) {
        return;
    }
    assert_eq!(Ok(rendered.map(Vec::from)), expected, "{text:?}");
}

#[derive(Debug, PartialEq)]
enum Wrong {
    Template,
    Body,
}

/// What the template yields; `None` when a field is missing.
fn model(text: &str, record: &Record) -> Result<Option<Vec<u8>>, Wrong> {
    let mut out = Some(Vec::new());
    let mut body_is_wrong = false;
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '{' | '}' if letters.peek() == Some(&letter) => {
                letters.next();
                append(&mut out, Some(letter.to_string().as_bytes()));
            }
            '{' => {
                let mut inside = String::new();
                loop {
                    match letters.next() {
                        Some('}') => break,
                        Some(letter) => inside.push(letter),
                        None => return Err(Wrong::Template),
                    }
                }
                match field(&inside, record) {
                    Ok(found) => append(&mut out, found.as_deref()),
                    Err(Wrong::Body) => body_is_wrong = true,
                    Err(wrong) => return Err(wrong),
                }
            }
            '}' => return Err(Wrong::Template),
            letter => append(&mut out, Some(letter.to_string().as_bytes())),
        }
    }
    if body_is_wrong { Err(Wrong::Body) } else { Ok(out) }
}

fn append(out: &mut Option<Vec<u8>>, more: Option<&[u8]>) {
    match more {
        Some(more) => out.iter_mut().for_each(|out| out.extend_from_slice(more)),
        None => *out = None,
    }
}

fn field(inside: &str, record: &Record) -> Result<Option<Bytes>, Wrong> {
    let (name, default) = inside.split_once('|').map_or((inside, None), |(name, default)| (name, Some(default)));
    let default = default.map(|text| Bytes::copy_from_slice(text.as_bytes()));
    Ok(named(name.trim(), record)?.or(default))
}

/// The documented table of fields, for the record of [`input::record`].
fn named(name: &str, record: &Record) -> Result<Option<Bytes>, Wrong> {
    let (properties, origin) = (record.properties(), &record.origin);
    let body = || record.value.clone().unwrap_or_default();
    if let Some(path) = name.strip_prefix("value.") {
        let path: Vec<_> = path.split('.').map(str::to_owned).collect();
        // What is found there is another target's.
        let found = json::pick(&body(), &path).map_err(|_| Wrong::Body)?.map(|text| text.into_owned().into());
        return Ok(found);
    }
    if let Some(header) = name.strip_prefix("header.").filter(|header| !header.is_empty()) {
        let first = record.headers.iter().find(|(own, _)| own == header);
        return Ok(first.and_then(|(_, value)| value.to_text()));
    }
    let text = match name {
        "key" => return Ok(record.key.clone()),
        "value" => return Ok(Some(body())),
        "message_id" => properties.message_id.clone(),
        "content_type" => properties.content_type.clone(),
        "priority" => Some("9".into()),
        "queue" | "topic" | "source" => Some(origin.address.clone()),
        "exchange" => Some(origin.text("exchange").cloned().unwrap_or_default()),
        "routing_key" => Some(origin.text("routing_key").cloned().unwrap_or_default()),
        "offset" => Some("77".into()),
        "timestamp" => Some("1700000000123".into()),
        "correlation_id" | "reply_to" | "content_encoding" | "type" | "user_id" | "app_id" | "expiration"
        | "partition" | "destination" => None,
        _ => return Err(Wrong::Template),
    };
    Ok(text.map(|text| text.into_bytes()))
}
