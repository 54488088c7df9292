//! JSON values as they stand in a text: their bytes, and what is inside them.

use std::borrow::Cow;

use super::{
    scan::{self, Scan},
    string::{inside, is, string_length, unescaped},
};

/// A JSON value by its bytes, without white space around it. It was gone over once and is well-formed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Raw<'a>(&'a [u8]);

/// A field of an object. Its bytes in order: `head` (with the name), `value`, `tail`; commas stand between fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member<'a> {
    /// White space, the name, the colon.
    pub head: &'a [u8],
    /// The name: a string.
    pub name: Raw<'a>,
    /// The value.
    pub value: Raw<'a>,
    /// White space behind the value.
    pub tail: &'a [u8],
}

/// An item of a list, with the white space around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item<'a> {
    /// White space before the value.
    pub head: &'a [u8],
    /// The value.
    pub value: Raw<'a>,
    /// White space behind the value.
    pub tail: &'a [u8],
}

impl Raw<'static> {
    /// Null.
    pub const NULL: Self = Self(b"null");
}

impl<'a> Raw<'a> {
    /// Bytes that the scan found to be a value.
    pub(super) const fn found(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The bytes as they stand.
    pub const fn bytes(self) -> &'a [u8] {
        self.0
    }

    /// Whether it is null.
    pub const fn is_null(self) -> bool {
        self.first() == b'n'
    }

    /// Whether it is an object.
    pub const fn is_object(self) -> bool {
        self.first() == b'{'
    }

    /// Whether it is a list.
    pub const fn is_list(self) -> bool {
        self.first() == b'['
    }

    /// Whether it is a string.
    pub const fn is_string(self) -> bool {
        self.first() == b'"'
    }

    /// The boolean that it is.
    pub const fn as_bool(self) -> Option<bool> {
        match self.first() {
            b't' => Some(true),
            b'f' => Some(false),
            _ => None,
        }
    }

    /// The digits of the number that it is.
    pub fn as_number(self) -> Option<&'a str> {
        matches!(self.first(), b'-' | b'0'..=b'9').then(|| str::from_utf8(self.0).unwrap_or_default())
    }

    /// The byte that says what it is.
    const fn first(self) -> u8 {
        match self.0.first() {
            Some(first) => *first,
            None => b'n',
        }
    }

    /// What it is, for reasons: never the value itself.
    pub const fn type_name(self) -> &'static str {
        match self.first() {
            b'n' => "null",
            b't' | b'f' => "a boolean",
            b'"' => "a string",
            b'[' => "a list",
            b'{' => "an object",
            _ => "a number",
        }
    }

    /// The fields, in order and with those that stand twice; none when it is no object.
    pub fn members(self) -> impl Iterator<Item = Member<'a>> {
        let mut scan = Scan::new(self.0);
        let mut more = self.is_object() && scan.open(b'}');
        // White space behind the bracket belongs to the first field.
        let mut start = 1;
        std::iter::from_fn(move || {
            if !more {
                return None;
            }
            let name = scan.name().ok()?;
            let (head, value, tail) = part(self.0, &mut scan, &mut start, b'}', &mut more)?;
            Some(Member { head, name: Raw(&self.0[name]), value, tail })
        })
    }

    /// The items, in order; none when it is no list.
    pub fn items(self) -> impl Iterator<Item = Item<'a>> {
        let mut scan = Scan::new(self.0);
        let mut more = self.is_list() && scan.open(b']');
        let mut start = 1;
        std::iter::from_fn(move || {
            if !more {
                return None;
            }
            let (head, value, tail) = part(self.0, &mut scan, &mut start, b']', &mut more)?;
            Some(Item { head, value, tail })
        })
    }

    /// The value at that path; of a key that stands twice the last counts, numbers pick from lists.
    pub fn get(self, path: &[String]) -> Option<Self> {
        scan::find(self.0, path).ok().flatten().map(|place| Self(&self.0[place]))
    }

    /// Whether it is that string.
    pub fn is(self, text: &str) -> bool {
        self.is_string() && is(self.0, text)
    }

    /// The text of a string; `None` when it is none. The error says why it is not text.
    pub fn text(self) -> Option<Result<Cow<'a, str>, &'static str>> {
        self.is_string().then(|| unescaped(inside(self.0)))
    }

    /// It as the value of a field: strings without quotes, null is nothing, and the rest as JSON without white space.
    pub fn to_field(self) -> Result<Option<Cow<'a, [u8]>>, &'static str> {
        Ok(match self.text() {
            Some(text) => Some(match text? {
                Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
                Cow::Owned(text) => Cow::Owned(text.into_bytes()),
            }),
            None if self.is_null() => None,
            None if self.is_object() || self.is_list() => Some(self.compact().into()),
            None => Some(Cow::Borrowed(self.0)),
        })
    }

    /// The bytes without white space outside strings.
    fn compact(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.0.len());
        let mut rest = self.0;
        while let Some((first, behind)) = rest.split_first() {
            match first {
                b'"' => {
                    let (string, behind) = rest.split_at(string_length(rest));
                    out.extend_from_slice(string);
                    rest = behind;
                    continue;
                }
                b' ' | b'\n' | b'\r' | b'\t' => {}
                byte => out.push(*byte),
            }
            rest = behind;
        }
        out
    }
}

/// What stands between `start` and the value, the value, and white space behind it. `start` is moved behind the comma.
fn part<'a>(
    text: &'a [u8],
    scan: &mut Scan<'a>,
    start: &mut usize,
    close: u8,
    more: &mut bool,
) -> Option<(&'a [u8], Raw<'a>, &'a [u8])> {
    let from = scan.at();
    scan.skip().ok()?;
    let to = scan.at();
    scan.space();
    let end = scan.at();
    *more = scan.another(close).ok()?;
    let head = &text[*start..from];
    *start = end + 1;
    Some((head, Raw(&text[from..to]), &text[to..end]))
}
