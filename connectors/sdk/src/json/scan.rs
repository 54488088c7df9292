//! Going over JSON text byte by byte, without building anything.
//!
//! # The contract
//! - The grammar is RFC 8259's, from the first byte to the last. Tolerated are a byte order mark at the front, and in strings
//!   whatever is no control character: bytes that are not UTF-8 and escapes of lone surrogates. Who asks for such a string as
//!   text is refused ([`super::raw`]); who asks for another field is not.
//! - It never recurses by what the text holds: lists and objects deeper than [`DEPTH`] are refused.
//! - No key means anything special.

use std::ops::Range;

use super::string::{self, plain};

/// How deep lists and objects may lie in each other.
pub(super) const DEPTH: usize = 512;

/// What is wrong, and at which byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wrong {
    pub what: &'static str,
    pub at: usize,
}

type Result<T> = std::result::Result<T, Wrong>;

/// A place in JSON text.
#[derive(Debug, Clone)]
pub(super) struct Scan<'a> {
    text: &'a [u8],
    at: usize,
}

/// Goes over the whole body and finds the value at that path; of a key that stands twice in an object the last counts.
pub(super) fn find(body: &[u8], path: &[String]) -> Result<Option<Range<usize>>> {
    let mut scan = Scan::new(body);
    if body.starts_with(b"\xef\xbb\xbf") {
        scan.at = 3;
    }
    scan.space();
    let found = scan.walk(path, 0)?;
    scan.space();
    if scan.at < body.len() { Err(scan.wrong("trailing characters")) } else { Ok(found) }
}

impl<'a> Scan<'a> {
    pub(super) const fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0 }
    }

    /// How many bytes it has gone over.
    pub(super) const fn at(&self) -> usize {
        self.at
    }

    /// The next byte.
    pub(super) fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    /// Goes over one byte.
    pub(super) const fn step(&mut self) {
        self.at += 1;
    }

    /// Goes over white space.
    pub(super) fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    const fn wrong(&self, what: &'static str) -> Wrong {
        Wrong { what, at: self.at }
    }

    fn expected(&self, what: &'static str, at_end: &'static str) -> Wrong {
        self.wrong(if self.at < self.text.len() { what } else { at_end })
    }

    /// Goes over the value that begins here; says where in it the path leads. Recurses as deep as the path is long.
    fn walk(&mut self, path: &[String], depth: usize) -> Result<Option<Range<usize>>> {
        let Some((step, rest)) = path.split_first() else {
            let start = self.at;
            self.skip_below(depth)?;
            return Ok(Some(start..self.at));
        };
        let mut found = None;
        match self.peek() {
            Some(b'{') if depth < DEPTH => {
                let mut more = self.open(b'}');
                while more {
                    let name = self.name()?;
                    if string::is(&self.text[name], step) {
                        found = self.walk(rest, depth + 1)?;
                    } else {
                        self.skip_below(depth + 1)?;
                    }
                    more = self.another(b'}')?;
                }
            }
            Some(b'[') if depth < DEPTH => {
                let wanted = step.parse::<usize>().ok();
                let mut more = self.open(b']');
                let mut place = 0;
                while more {
                    if Some(place) == wanted {
                        found = self.walk(rest, depth + 1)?;
                    } else {
                        self.skip_below(depth + 1)?;
                    }
                    place += 1;
                    more = self.another(b']')?;
                }
            }
            _ => self.skip_below(depth)?,
        }
        Ok(found)
    }

    /// Goes over the bracket that opens; says whether anything is inside. It stands before the first name or value then.
    pub(super) fn open(&mut self, close: u8) -> bool {
        self.step();
        self.space();
        let empty = self.peek() == Some(close);
        if empty {
            self.step();
        }
        !empty
    }

    /// Behind a value: goes over the comma or the bracket that closes; says whether there is another value.
    pub(super) fn another(&mut self, close: u8) -> Result<bool> {
        self.space();
        match self.peek() {
            Some(b',') => {
                self.step();
                self.space();
                Ok(true)
            }
            Some(byte) if byte == close => {
                self.step();
                Ok(false)
            }
            _ if close == b'}' => Err(self.expected("expected `,` or `}`", "EOF while parsing an object")),
            _ => Err(self.expected("expected `,` or `]`", "EOF while parsing a list")),
        }
    }

    /// Goes over a name and its colon; says where the name stands, with its quotes.
    pub(super) fn name(&mut self) -> Result<Range<usize>> {
        if self.peek() != Some(b'"') {
            return Err(self.expected("key must be a string", "EOF while parsing an object"));
        }
        let start = self.at;
        self.string()?;
        let end = self.at;
        self.space();
        if self.peek() != Some(b':') {
            return Err(self.expected("expected `:`", "EOF while parsing an object"));
        }
        self.step();
        self.space();
        Ok(start..end)
    }

    /// Goes over the value that begins here.
    pub(super) fn skip(&mut self) -> Result<()> {
        self.skip_below(0)
    }

    /// The same, for a value in `depth` lists and objects.
    fn skip_below(&mut self, depth: usize) -> Result<()> {
        match self.peek() {
            Some(b'{' | b'[') => self.skip_nested(depth),
            _ => self.scalar(),
        }
    }

    fn skip_nested(&mut self, depth: usize) -> Result<()> {
        let mut open = Open::below(depth);
        loop {
            let mut inside = false;
            match self.peek() {
                Some(bracket @ (b'{' | b'[')) => {
                    if !open.push(bracket == b'{') {
                        return Err(self.wrong("recursion limit exceeded"));
                    }
                    inside = self.open(open.close());
                    if !inside {
                        open.pop();
                    }
                }
                _ => self.scalar()?,
            }
            while !inside {
                if open.depth == depth {
                    return Ok(());
                }
                inside = self.another(open.close())?;
                if !inside {
                    open.pop();
                }
            }
            if open.is_object() {
                self.name()?;
            }
        }
    }

    fn scalar(&mut self) -> Result<()> {
        match self.peek() {
            Some(b'"') => self.string(),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word(b"true"),
            Some(b'f') => self.word(b"false"),
            Some(b'n') => self.word(b"null"),
            _ => Err(self.expected("expected value", "EOF while parsing a value")),
        }
    }

    fn word(&mut self, word: &[u8]) -> Result<()> {
        if !self.text[self.at..].starts_with(word) {
            return Err(self.wrong("expected value"));
        }
        self.at += word.len();
        Ok(())
    }

    fn string(&mut self) -> Result<()> {
        self.step();
        loop {
            self.at += plain(&self.text[self.at..]);
            match self.peek() {
                Some(b'"') => {
                    self.step();
                    return Ok(());
                }
                Some(b'\\') => self.escape()?,
                Some(_) => return Err(self.wrong("control character while parsing a string")),
                None => return Err(self.wrong("EOF while parsing a string")),
            }
        }
    }

    fn escape(&mut self) -> Result<()> {
        let length = match self.text.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 2,
            Some(b'u') => {
                let digits = self.text.get(self.at + 2..self.at + 6).unwrap_or_default();
                if digits.len() < 4 || !digits.iter().all(u8::is_ascii_hexdigit) {
                    return Err(self.wrong("invalid escape"));
                }
                6
            }
            _ => return Err(self.wrong("invalid escape")),
        };
        self.at += length;
        Ok(())
    }

    fn number(&mut self) -> Result<()> {
        if self.peek() == Some(b'-') {
            self.step();
        }
        match self.peek() {
            Some(b'0') => self.step(),
            _ => self.digits()?,
        }
        if self.peek() == Some(b'.') {
            self.step();
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.step();
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.step();
            }
            self.digits()?;
        }
        // A digit behind a zero that leads.
        if matches!(self.peek(), Some(b'0'..=b'9')) { Err(self.wrong("invalid number")) } else { Ok(()) }
    }

    fn digits(&mut self) -> Result<()> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start { Err(self.expected("invalid number", "EOF while parsing a value")) } else { Ok(()) }
    }
}

/// The brackets that are open, one bit each: set for objects.
struct Open {
    objects: [u64; DEPTH / 64],
    depth: usize,
}

impl Open {
    const fn below(depth: usize) -> Self {
        Self { objects: [0; DEPTH / 64], depth }
    }

    /// Whether there was room.
    const fn push(&mut self, is_object: bool) -> bool {
        if self.depth >= DEPTH {
            return false;
        }
        let (word, bit) = (self.depth / 64, 1 << (self.depth % 64));
        if is_object {
            self.objects[word] |= bit;
        } else {
            self.objects[word] &= !bit;
        }
        self.depth += 1;
        true
    }

    const fn pop(&mut self) {
        self.depth -= 1;
    }

    /// Whether the innermost is an object.
    const fn is_object(&self) -> bool {
        let innermost = self.depth - 1;
        self.objects[innermost / 64] & (1 << (innermost % 64)) != 0
    }

    const fn close(&self) -> u8 {
        if self.is_object() { b'}' } else { b']' }
    }
}
