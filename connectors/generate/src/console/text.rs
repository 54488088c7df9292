//! A record in one line for people.
//!
//! `to=DESTINATION key=KEY headers={NAME=VALUE, …} value=BODY`; what a record does not have is left out, and a record
//! without a body says `tombstone`.

use std::fmt::Write as _;

use gantry_sdk::Record;

pub(super) fn write(record: &Record, out: &mut Vec<u8>) {
    let mut line = String::new();
    if let Some(destination) = &record.destination {
        part("to=", destination.as_bytes(), &mut line);
    }
    if let Some(key) = &record.key {
        part("key=", key, &mut line);
    }
    if !record.headers.is_empty() {
        headers(record, &mut line);
    }
    match &record.value {
        Some(body) => part("value=", body, &mut line),
        None => line.push_str("tombstone "),
    }
    out.extend_from_slice(line.trim_end_matches(' ').as_bytes());
}

fn headers(record: &Record, line: &mut String) {
    line.push_str("headers={");
    for (place, (name, value)) in record.headers.iter().enumerate() {
        if place > 0 {
            line.push_str(", ");
        }
        escape(name.as_bytes(), line);
        line.push('=');
        match value.to_text() {
            Some(text) => escape(&text, line),
            None => line.push_str("null"),
        }
    }
    line.push_str("} ");
}

fn part(label: &str, bytes: &[u8], line: &mut String) {
    line.push_str(label);
    escape(bytes, line);
    line.push(' ');
}

/// Text as it is; control characters and bytes that are not UTF-8 as escapes.
fn escape(bytes: &[u8], line: &mut String) {
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if character.is_control() {
                line.extend(character.escape_default());
            } else {
                line.push(character);
            }
        }
        for byte in chunk.invalid() {
            // Writing to a string cannot fail.
            let _ = write!(line, "\\x{byte:02x}");
        }
    }
}
