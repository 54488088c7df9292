//! A JSON value that is changed in places. What nothing changes keeps its bytes: white space, escapes, the digits of numbers,
//! and keys that stand twice.

use gantry_sdk::json::{self, Raw};

/// A value: as it came, or taken apart because something below it changes.
#[derive(Debug)]
pub(super) enum Node<'a> {
    Raw(Raw<'a>),
    Object(Vec<Field<'a>>),
    List(Vec<Entry<'a>>),
}

/// A field of an object.
#[derive(Debug)]
pub(super) struct Field<'a> {
    pub name: Name<'a>,
    pub value: Node<'a>,
    /// White space behind it.
    tail: &'a [u8],
}

/// The name of a field.
#[derive(Debug)]
pub(super) enum Name<'a> {
    /// As it came, with the colon and the white space around it.
    Raw {
        name: Raw<'a>,
        head: &'a [u8],
    },
    New(&'a str),
}

/// An item of a list, with the white space around it.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    head: &'a [u8],
    pub value: Node<'a>,
    tail: &'a [u8],
}

impl<'a> Node<'a> {
    /// The fields, when it is an object.
    pub(super) fn fields(&mut self) -> Option<&mut Vec<Field<'a>>> {
        if let Self::Raw(raw) = self
            && raw.is_object()
        {
            let field = |json::Member { head, name, value, tail }| Field {
                name: Name::Raw { name, head },
                value: Self::Raw(value),
                tail,
            };
            *self = Self::Object(raw.members().map(field).collect());
        }
        match self {
            Self::Object(fields) => Some(fields),
            Self::Raw(_) | Self::List(_) => None,
        }
    }

    /// The items, when it is a list.
    pub(super) fn items(&mut self) -> Option<&mut Vec<Entry<'a>>> {
        if let Self::Raw(raw) = self
            && raw.is_list()
        {
            let entry = |json::Item { head, value, tail }| Entry { head, value: Self::Raw(value), tail };
            *self = Self::List(raw.items().map(entry).collect());
        }
        match self {
            Self::List(items) => Some(items),
            Self::Raw(_) | Self::Object(_) => None,
        }
    }

    /// What it is, for reasons.
    pub(super) const fn type_name(&self) -> &'static str {
        match self {
            Self::Raw(raw) => raw.type_name(),
            Self::Object(_) => "an object",
            Self::List(_) => "a list",
        }
    }

    /// Writes it.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Raw(raw) => out.extend_from_slice(raw.bytes()),
            Self::Object(fields) => {
                out.push(b'{');
                for (place, field) in fields.iter().enumerate() {
                    out.extend((place > 0).then_some(b','));
                    field.name.write(out);
                    field.value.write(out);
                    out.extend_from_slice(field.tail);
                }
                out.push(b'}');
            }
            Self::List(items) => {
                out.push(b'[');
                for (place, item) in items.iter().enumerate() {
                    out.extend((place > 0).then_some(b','));
                    out.extend_from_slice(item.head);
                    item.value.write(out);
                    out.extend_from_slice(item.tail);
                }
                out.push(b']');
            }
        }
    }
}

impl<'a> Field<'a> {
    pub(super) const fn new(name: &'a str, value: Node<'a>) -> Self {
        Self { name: Name::New(name), value, tail: b"" }
    }
}

impl Name<'_> {
    pub(super) fn is(&self, text: &str) -> bool {
        match self {
            Self::Raw { name, .. } => name.is(text),
            Self::New(name) => *name == text,
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Raw { head, .. } => out.extend_from_slice(head),
            Self::New(name) => {
                write_text(out, name);
                out.push(b':');
            }
        }
    }
}

/// Writes text as a JSON string.
pub(super) fn write_text(out: &mut Vec<u8>, text: &str) {
    // It writes into memory: it cannot fail.
    let _ = serde_json::to_writer(out, text);
}
