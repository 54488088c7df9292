//! What a message holds, for a terminal: nothing in it can move the cursor or forge a line.

use std::fmt::Write as _;

use gantry_sdk::json::{self, Raw};

use crate::printable::printable;

/// Text on one line, control characters escaped.
pub(super) fn escaped(text: &str) -> String {
    printable(text).into_owned()
}

/// Bytes on one line: as text where they are text, else in hex.
pub(super) fn short(bytes: &[u8]) -> String {
    match str::from_utf8(bytes) {
        Ok(text) => escaped(text),
        Err(_) => bytes.iter().fold("0x".to_owned(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        }),
    }
}

/// A body: JSON laid out, text as it is, anything else as a hex dump. At most `most` bytes of it.
pub(super) fn body(bytes: &[u8], most: usize) -> String {
    let shown = &bytes[..bytes.len().min(most)];
    let (kind, mut text) = match json::parse(bytes) {
        Ok(json) if shown.len() == bytes.len() && str::from_utf8(bytes).is_ok() => {
            let mut text = String::new();
            lay_out(json.value, 0, &mut text);
            ("JSON", lines(&text))
        }
        _ => match text_of(shown) {
            Some(text) => ("text", lines(text)),
            None => ("binary", dump(shown)),
        },
    };
    if shown.len() < bytes.len() {
        let _ = write!(text, "\n    … {} bytes more: --id shows all", bytes.len() - shown.len());
    }
    format!("{} bytes, {kind}\n{text}", bytes.len())
}

/// Writes JSON with each value on a line of its own. What it holds stays as it is written, also keys that stand twice.
fn lay_out(json: Raw<'_>, depth: usize, out: &mut String) {
    let (close, mut count) = (if json.is_object() { '}' } else { ']' }, 0);
    let mut line = |out: &mut String, value: Raw<'_>, name: Option<Raw<'_>>| {
        out.push_str(if count == 0 { "\n" } else { ",\n" });
        out.push_str(&"  ".repeat(depth + 1));
        if let Some(name) = name {
            out.push_str(&String::from_utf8_lossy(name.bytes()));
            out.push_str(": ");
        }
        lay_out(value, depth + 1, out);
        count += 1;
    };
    if !json.is_object() && !json.is_list() {
        out.push_str(&String::from_utf8_lossy(json.bytes()));
        return;
    }
    out.push(if json.is_object() { '{' } else { '[' });
    for member in json.members() {
        line(out, member.value, Some(member.name));
    }
    for item in json.items() {
        line(out, item.value, None);
    }
    if count > 0 {
        out.push('\n');
        out.push_str(&"  ".repeat(depth));
    }
    out.push(close);
}

/// Text, even if its last character was cut.
fn text_of(bytes: &[u8]) -> Option<&str> {
    let text = match str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => str::from_utf8(&bytes[..error.valid_up_to()]).ok()?,
        Err(_) => return None,
    };
    let is_text = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
    text.chars().all(is_text).then_some(text)
}

fn lines(text: &str) -> String {
    text.lines().map(|line| format!("    {}", escaped(line))).collect::<Vec<_>>().join("\n")
}

fn dump(bytes: &[u8]) -> String {
    let row = |(index, row): (usize, &[u8])| {
        let mut line = format!("    {:08x} ", index * 16);
        row.iter().for_each(|byte| {
            let _ = write!(line, " {byte:02x}");
        });
        let printable = |byte: &u8| if byte.is_ascii_graphic() || *byte == b' ' { char::from(*byte) } else { '.' };
        format!("{line:<61}  {}", row.iter().map(printable).collect::<String>())
    };
    bytes.chunks(16).enumerate().map(row).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_shown_as_what_they_are() {
        let odd = br#"{"$serde_json::private::Number":"12","a":{},"a":[]}"#;
        let text = "51 bytes, JSON\n    {\n      \"$serde_json::private::Number\": \"12\",\n      \"a\": {},\n      \"a\": []\n    }";
        assert_eq!(body(odd, 100), text, "as it is");
        assert_eq!(body(br#"{"a":[1]}"#, 100), "9 bytes, JSON\n    {\n      \"a\": [\n        1\n      ]\n    }");
        assert_eq!(body("über\tall".as_bytes(), 100), "9 bytes, text\n    über\\tall");
        assert_eq!(body("über".as_bytes(), 1), "5 bytes, text\n\n    … 4 bytes more: --id shows all");
        let binary = body(b"\x00\x1b[2J\xff0123456789ab", 100);
        assert!(binary.starts_with("18 bytes, binary\n    00000000  00 1b 5b 32 4a ff 30"), "{binary}");
        assert!(binary.contains("  ..[2J.0123456789\n    00000010  61 62 ") && !binary.contains('\u{1b}'), "{binary}");
        assert_eq!(body(b"", 100), "0 bytes, text\n");
    }

    #[test]
    fn short_texts_stay_on_their_line() {
        assert_eq!((short(b"a\nb"), short(b"\xff\x01")), ("a\\nb".to_owned(), "0xff01".to_owned()));
    }
}
