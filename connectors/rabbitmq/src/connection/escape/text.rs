//! How a short string that is not UTF-8 is written so that it is.
//!
//! Like in a URL: each byte that is no part of a character becomes `%` and two hexadecimal digits, and each `%` becomes
//! `%25`. A string that is UTF-8 already is left alone. AMQP allows 255 bytes; what gets longer is cut, and ends in `~` and a
//! hash of the whole, so that names which differ go on to differ.

use std::{borrow::Cow, fmt::Write as _};

/// AMQP 0-9-1, short strings.
const LONGEST: usize = 255;

/// The text in at most 255 bytes.
pub(super) fn escaped(raw: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = str::from_utf8(raw) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(raw.len() + 16);
    for chunk in raw.utf8_chunks() {
        text.push_str(&chunk.valid().replace('%', "%25"));
        for byte in chunk.invalid() {
            // Writing to a string does not fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    if text.len() > LONGEST {
        let ending = format!("~{:016x}", hash(raw));
        let mut end = LONGEST - ending.len();
        // Not inside a character, nor inside an escape.
        while !text.is_char_boundary(end) || text.as_bytes()[..end].iter().rev().take(2).any(|byte| *byte == b'%') {
            end -= 1;
        }
        text.truncate(end);
        text.push_str(&ending);
    }
    Cow::Owned(text)
}

/// The same without a byte more: what is not ASCII becomes `?`. For a frame that has no room left.
pub(super) fn blurred(raw: &[u8]) -> Vec<u8> {
    raw.iter().map(|byte| if byte.is_ascii() { *byte } else { b'?' }).collect()
}

/// FNV-1a: the same at each run and on each machine, so that a message that comes again looks the same.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_not_utf8_changes() {
        for text in ["", "orders.new", "50%", "größe", "%FF"] {
            assert_eq!(escaped(text.as_bytes()), text);
        }
        assert_eq!(escaped(b"caf\xe9"), "caf%E9");
        assert_eq!(escaped(b"\xff50%"), "%FF50%25");
        assert_eq!(escaped("gr\u{f6}\u{df}e\u{0}".as_bytes()), "größe\u{0}");
    }

    #[test]
    fn what_gets_too_long_is_cut_and_still_differs() {
        let (mut one, mut other) = ([0xff; 255], [0xff; 255]);
        (one[254], other[254]) = (0xfe, 0xfd);
        let (one, other) = (escaped(&one).into_owned(), escaped(&other).into_owned());
        assert!(one.len() <= LONGEST && one != other, "{one} {other}");
        assert!(one[..one.len() - 17].ends_with("%FF"), "{one}");
    }
}
