//! Strings as they stand in JSON text: where they end, and what they say.

use std::borrow::Cow;

/// How many bytes stand before the first quote, backslash or control character. Eight at a time: a subtraction borrows
/// into the high bit of a byte that is below what is taken away, and the lowest such bit is right.
pub(super) fn plain(text: &[u8]) -> usize {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = ONES * 0x80;
    let is = |word: u64, byte: u8| {
        let zero = word ^ (ONES * byte as u64);
        zero.wrapping_sub(ONES) & !zero
    };
    let mut before = 0;
    let mut words = text.chunks_exact(8);
    for bytes in &mut words {
        let Ok(bytes) = bytes.try_into() else { break };
        let word = u64::from_le_bytes(bytes);
        let control = word.wrapping_sub(ONES * 0x20) & !word;
        let stops = (control | is(word, b'"') | is(word, b'\\')) & HIGH;
        if stops != 0 {
            return before + stops.trailing_zeros() as usize / 8;
        }
        before += 8;
    }
    let stops = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
    let rest = words.remainder();
    before + rest.iter().position(stops).unwrap_or(rest.len())
}

/// Whether a string with its quotes says that text.
pub(super) fn is(string: &[u8], text: &str) -> bool {
    let inside = inside(string);
    if inside.contains(&b'\\') { unescaped(inside).is_ok_and(|own| own == text) } else { inside == text.as_bytes() }
}

/// What stands between the quotes.
pub(super) fn inside(string: &[u8]) -> &[u8] {
    string.get(1..string.len().saturating_sub(1)).unwrap_or_default()
}

/// How long the string is that begins there, with its quotes.
pub(super) fn string_length(text: &[u8]) -> usize {
    let mut at = 1;
    loop {
        at += plain(&text[at..]);
        match text.get(at) {
            Some(b'\\') => at = (at + 2).min(text.len()),
            Some(b'"') => return at + 1,
            Some(_) => at += 1,
            None => return at,
        }
    }
}

/// The text between the quotes.
pub(super) fn unescaped(inside: &[u8]) -> Result<Cow<'_, str>, &'static str> {
    let utf8 = |bytes| str::from_utf8(bytes).map_err(|_| "it holds bytes that are not UTF-8");
    if !inside.contains(&b'\\') {
        return utf8(inside).map(Cow::Borrowed);
    }
    let mut out = String::with_capacity(inside.len());
    let mut rest = inside;
    while let Some(at) = rest.iter().position(|byte| *byte == b'\\') {
        out.push_str(utf8(&rest[..at])?);
        let (letter, behind) = escaped(&rest[at..]).ok_or("it holds half of a surrogate pair, which is no text")?;
        out.push(letter);
        rest = behind;
    }
    out.push_str(utf8(rest)?);
    Ok(out.into())
}

/// The letter that an escape stands for, and what is behind it; `None` for half of a pair.
fn escaped(escape: &[u8]) -> Option<(char, &[u8])> {
    let letter = match escape.get(1)? {
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => {
            let (first, behind) = unit(escape)?;
            if let Some(letter) = char::from_u32(first) {
                return Some((letter, behind));
            }
            let (second, behind) = unit(behind)?;
            let letter = char::decode_utf16([u16::try_from(first).ok()?, u16::try_from(second).ok()?]).next()?.ok()?;
            return Some((letter, behind));
        }
        same => char::from(*same),
    };
    Some((letter, escape.get(2..)?))
}

/// The UTF-16 unit of `\uXXXX`, and what is behind it.
fn unit(escape: &[u8]) -> Option<(u32, &[u8])> {
    let digits = escape.strip_prefix(b"\\u")?.get(..4)?;
    let unit = u32::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?;
    Some((unit, escape.get(6..)?))
}
