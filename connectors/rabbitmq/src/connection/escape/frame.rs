//! Which frames of a broker hold short strings of others, and where (AMQP 0-9-1 §2.3.5, §4.2.6, and the methods of §1).

use super::text::{blurred, escaped as escape};

/// A larger frame passes as it is: RabbitMQ takes no such message by default, and its frames are 128 KiB.
pub(super) const LARGEST: usize = 16 << 20;

/// Kind, channel and length before the payload, one byte behind it.
pub(super) const OVERHEAD: usize = 8;

const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;
const HEARTBEAT: u8 = 8;

/// Tables are not read deeper than this; nobody nests like that, and each level takes stack.
const DEEPEST: u32 = 64;

/// The beginning of what came.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame<'a> {
    /// So many bytes need no look, whether they have come or not.
    Passes(usize),
    /// A frame that may hold such strings.
    Whole { kind: u8, payload: &'a [u8] },
    /// The beginning of one.
    Part,
}

/// What `data` begins with.
pub(super) fn read(data: &[u8]) -> Frame<'_> {
    match data.first() {
        None => return Frame::Part,
        Some(&(METHOD | HEADER | BODY | HEARTBEAT)) => {}
        // It does not speak AMQP 0-9-1, or not any more.
        Some(_) => return Frame::Passes(usize::MAX),
    }
    let &[kind, _, _, a, b, c, d, ref rest @ ..] = data else { return Frame::Part };
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    if !matches!(kind, METHOD | HEADER) || length > LARGEST {
        return Frame::Passes(length.saturating_add(OVERHEAD));
    }
    match rest.get(..length) {
        Some(payload) if rest.len() > length => Frame::Whole { kind, payload },
        _ => Frame::Part,
    }
}

/// Whether the client library can read its short strings. What does not parse is for the library to refuse.
pub(super) fn is_readable(kind: u8, payload: &[u8]) -> bool {
    // Behind class, weight, size and flags there is mostly ASCII.
    if kind == HEADER && payload.get(14..).is_some_and(<[u8]>::is_ascii) {
        return true;
    }
    let mut look = Look { found: false };
    walk(kind, payload, &mut look).is_none() || !look.found
}

/// The payload with short strings that the library can read, in at most `most` bytes if that is more than it has. `None` when it does not parse.
pub(super) fn escaped(kind: u8, payload: &[u8], most: usize) -> Option<Vec<u8>> {
    let mut rewrite = Rewrite { blur: false, ..Rewrite::default() };
    walk(kind, payload, &mut rewrite)?;
    if rewrite.out.len() > most && most > 0 {
        rewrite = Rewrite { blur: true, ..Rewrite::default() };
        walk(kind, payload, &mut rewrite)?;
    }
    Some(rewrite.out)
}

/// The largest frame of the broker's `connection.tune`.
pub(super) fn tuned(kind: u8, payload: &[u8]) -> Option<usize> {
    match (kind, payload) {
        (METHOD, &[0, 10, 0, 30, _, _, a, b, c, d, ..]) => Some(u32::from_be_bytes([a, b, c, d]) as usize),
        _ => None,
    }
}

/// What a walk through a payload meets, in order: every byte but the lengths of names and of tables.
trait Visitor {
    fn raw(&mut self, bytes: &[u8]);
    fn name(&mut self, bytes: &[u8]);
    /// A table or an array begins.
    fn open(&mut self);
    fn close(&mut self);
}

struct Look {
    found: bool,
}

impl Visitor for Look {
    fn raw(&mut self, _: &[u8]) {}

    fn name(&mut self, bytes: &[u8]) {
        self.found |= str::from_utf8(bytes).is_err();
    }

    fn open(&mut self) {}

    fn close(&mut self) {}
}

#[derive(Default)]
struct Rewrite {
    out: Vec<u8>,
    /// Where the lengths of open tables stand.
    lengths: Vec<usize>,
    blur: bool,
}

impl Visitor for Rewrite {
    fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    fn name(&mut self, bytes: &[u8]) {
        let text = match str::from_utf8(bytes) {
            Err(_) if self.blur => blurred(bytes),
            _ => escape(bytes).as_bytes().to_vec(),
        };
        // At most 255 bytes, both of them.
        self.out.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
        self.out.extend_from_slice(&text);
    }

    fn open(&mut self) {
        self.lengths.push(self.out.len());
        self.out.extend_from_slice(&[0; 4]);
    }

    fn close(&mut self) {
        let Some(at) = self.lengths.pop() else { return };
        // Three times a payload of at most LARGEST fits.
        let length = u32::try_from(self.out.len() - at - 4).unwrap_or(u32::MAX);
        self.out[at..at + 4].copy_from_slice(&length.to_be_bytes());
    }
}

/// One field of a method or of a message's properties.
#[derive(Clone, Copy)]
enum Field {
    Fixed(usize),
    Name,
    Table,
}

use Field::{Fixed, Name, Table};

/// The properties of a message, from the top bit of the flags (AMQP 0-9-1 §1.8.1).
const PROPERTIES: [Field; 14] =
    [Name, Name, Table, Fixed(1), Fixed(1), Name, Name, Name, Name, Fixed(8), Name, Name, Name, Name];

/// The methods by which a broker tells what others have written.
fn fields(class: u16, method: u16) -> &'static [Field] {
    match (class, method) {
        // connection.close, channel.close
        (10, 50) | (20, 40) => &[Fixed(2), Name, Fixed(4)],
        // connection.blocked
        (10, 60) => &[Name],
        // basic.return
        (60, 50) => &[Fixed(2), Name, Name, Name],
        // basic.deliver
        (60, 60) => &[Name, Fixed(9), Name, Name],
        // basic.get-ok
        (60, 71) => &[Fixed(9), Name, Name, Fixed(4)],
        _ => &[],
    }
}

/// `None` when it does not parse.
fn walk(kind: u8, payload: &[u8], visitor: &mut impl Visitor) -> Option<()> {
    let mut rest = Rest(payload);
    if kind == METHOD {
        let head = rest.take(4)?;
        visitor.raw(head);
        let (class, method) = (u16::from_be_bytes([head[0], head[1]]), u16::from_be_bytes([head[2], head[3]]));
        fields(class, method).iter().try_for_each(|field| rest.field(*field, visitor))?;
    } else {
        let head = rest.take(14)?;
        visitor.raw(head);
        let flags = u16::from_be_bytes([head[12], head[13]]);
        for (index, field) in PROPERTIES.iter().enumerate() {
            if flags & (1 << (15 - index)) != 0 {
                rest.field(*field, visitor)?;
            }
        }
    }
    visitor.raw(rest.0);
    Some(())
}

/// What is left to read.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn field(&mut self, field: Field, visitor: &mut impl Visitor) -> Option<()> {
        match field {
            Fixed(count) => visitor.raw(self.take(count)?),
            Name => self.name(visitor)?,
            Table => self.container(visitor, true, 0)?,
        }
        Some(())
    }

    fn name(&mut self, visitor: &mut impl Visitor) -> Option<()> {
        let length = self.take(1)?[0];
        visitor.name(self.take(length.into())?);
        Some(())
    }

    fn length(&mut self) -> Option<usize> {
        let bytes = self.take(4)?;
        Some(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize)
    }

    /// A table, or an array, whose fields have no names.
    fn container(&mut self, visitor: &mut impl Visitor, named: bool, depth: u32) -> Option<()> {
        if depth > DEEPEST {
            return None;
        }
        let length = self.length()?;
        let mut inner = Rest(self.take(length)?);
        visitor.open();
        while !inner.0.is_empty() {
            if named {
                inner.name(visitor)?;
            }
            inner.value(visitor, depth)?;
        }
        visitor.close();
        Some(())
    }

    /// RabbitMQ's field types (its AMQP 0-9-1 errata).
    fn value(&mut self, visitor: &mut impl Visitor, depth: u32) -> Option<()> {
        let tag = self.take(1)?;
        visitor.raw(tag);
        let size = match tag[0] {
            b'V' => 0,
            b't' | b'b' | b'B' => 1,
            b's' | b'U' | b'u' => 2,
            b'I' | b'i' | b'f' => 4,
            b'D' => 5,
            b'L' | b'l' | b'd' | b'T' => 8,
            b'S' | b'x' => {
                let length = self.0.get(..4)?;
                u32::from_be_bytes([length[0], length[1], length[2], length[3]]) as usize + 4
            }
            b'F' => return self.container(visitor, true, depth + 1),
            b'A' => return self.container(visitor, false, depth + 1),
            _ => return None,
        };
        visitor.raw(self.take(size)?);
        Some(())
    }
}
