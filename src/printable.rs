//! Text from elsewhere (a broker's error, a name, a key of a file), made fit for a terminal and for a log of lines.
//!
//! # Contract
//! - What comes out has no control character, so it forges no line, no colour and no movement of the cursor; and nothing
//!   that turns the direction of text round.
//! - Everything else stays as it is. What is escaped is written as in Rust: `\n`, `\u{1b}`.
//! - All text output goes through here: log lines by [`Writer`], commands by `cli::output`.

use std::{
    borrow::Cow,
    fmt::{self, Write},
};

/// The text on one line.
pub fn printable(text: &str) -> Cow<'_, str> {
    escape(text, |_| false)
}

/// The same, with its line breaks and tabs: for text that was laid out here.
pub fn printable_lines(text: &str) -> Cow<'_, str> {
    escape(text, |c| matches!(c, '\n' | '\t'))
}

/// JSON that was laid out, still JSON and with the same meaning.
pub fn printable_json(json: &str) -> Cow<'_, str> {
    // Whatever else there is, stands in a text.
    let escape = |c: char, out: &mut String| {
        c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| *out += &format!("\\u{unit:04x}"))
    };
    escaped(json, |c| c == '\n', escape)
}

fn escape(text: &str, is_allowed: impl Fn(char) -> bool) -> Cow<'_, str> {
    escaped(text, is_allowed, |c, out| out.extend(c.escape_default()))
}

fn escaped(text: &str, is_allowed: impl Fn(char) -> bool, escape: impl Fn(char, &mut String)) -> Cow<'_, str> {
    let is_passed = |c: char| !is_harmful(c) || is_allowed(c);
    if text.chars().all(is_passed) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_passed(c) { escaped.push(c) } else { escape(c, &mut escaped) }
    }
    Cow::Owned(escaped)
}

/// Control characters, what some terminals take for a line break, and what turns the direction of text round.
fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}')
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Passes on what is written, [`printable`].
#[derive(Debug)]
pub struct Writer<W>(pub W);

impl<W: Write> Write for Writer<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write_str(&printable(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_forges_a_line_or_a_colour() {
        for (text, shown) in [
            ("plain, ünïcode ✓ \"quoted\" \\n", "plain, ünïcode ✓ \"quoted\" \\n"),
            ("a\nb\r\tc", "a\\nb\\r\\tc"),
            ("\u{1b}[31mred\u{1b}[0m", "\\u{1b}[31mred\\u{1b}[0m"),
            ("\u{9b}2J\u{7f}\0", "\\u{9b}2J\\u{7f}\\u{0}"),
            ("\u{202e}txt\u{2066}\u{2028}", "\\u{202e}txt\\u{2066}\\u{2028}"),
        ] {
            assert_eq!(printable(text), shown);
        }
        assert_eq!(printable_lines("a\n\tb\r\u{1b}"), "a\n\tb\\r\\u{1b}");
        assert_eq!(printable_json("{\n  \"\u{9b}\": \"\u{202e}é\"\n}"), "{\n  \"\\u009b\": \"\\u202eé\"\n}");
        let mut written = String::new();
        write!(Writer(&mut written), "a\nb{:?}", '\u{1b}').expect("it fits");
        assert_eq!(written, "a\\nb'\\u{1b}'");
    }
}
