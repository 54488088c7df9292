//! The body that the generator makes: JSON in which every byte follows from the sequence number and the length.
//!
//! `{"seq":42,"check":"bdd732262feb6e95","pad":"…"}`. `check` is a hash of the number; `pad` is a piece of one long
//! text, cut where the hash says, that fills the body up to the wanted size. [`verify`] makes the body anew and
//! compares, so a changed, shortened or mixed-up body cannot pass; making it costs two copies and no checksum over the
//! bytes. The text looks random, so compression in a benchmark does not flatter.

use std::sync::LazyLock;

/// The smallest body that holds any sequence number.
pub const MIN_SIZE: usize = 64;

const HEAD: &str = r#"{"seq":"#;
const CHECK: &str = r#","check":""#;
const PAD: &str = r#"","pad":""#;
const TAIL: &str = r#""}"#;

/// Longer than a compression window for small messages, short enough to stay in the cache.
const POOL_SIZE: usize = 64 << 10;

/// The long text that pads are cut from. 64 letters, so a random byte is a mask away.
static POOL: LazyLock<Vec<u8>> = LazyLock::new(|| {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    (0..POOL_SIZE as u64).map(|at| LETTERS[(mix(at) & 63) as usize]).collect()
});

/// Appends the body number `seq`, exactly `size` bytes long; longer when its number does not fit in `size`.
pub fn write(seq: u64, size: usize, out: &mut Vec<u8>) {
    let end = out.len() + size;
    let hash = mix(seq);
    out.extend_from_slice(HEAD.as_bytes());
    out.extend_from_slice(itoa::Buffer::new().format(seq).as_bytes());
    out.extend_from_slice(CHECK.as_bytes());
    out.extend_from_slice(&hex(hash));
    out.extend_from_slice(PAD.as_bytes());
    pad(hash, end.saturating_sub(out.len() + TAIL.len()), out);
    out.extend_from_slice(TAIL.as_bytes());
}

/// The sequence number of a body that [`write()`] made; `Err` says what is wrong with any other.
pub fn verify(body: &[u8]) -> Result<u64, String> {
    let rest = body.strip_prefix(HEAD.as_bytes()).ok_or("not a generated body: it does not begin with {\"seq\":")?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let number = str::from_utf8(&rest[..digits]).ok().and_then(|digits| digits.parse().ok());
    let seq = number.ok_or("not a generated body: no number after \"seq\"")?;

    let mut expected = Vec::with_capacity(body.len().max(MIN_SIZE));
    write(seq, body.len(), &mut expected);
    if expected == body {
        return Ok(seq);
    }
    let at = expected.iter().zip(body).take_while(|(expected, found)| expected == found).count();
    Err(format!("body {seq} of {} bytes was changed at byte {at}", body.len()))
}

fn pad(hash: u64, mut left: usize, out: &mut Vec<u8>) {
    let mut from = (hash % POOL_SIZE as u64) as usize;
    while left > 0 {
        let piece = &POOL[from..];
        let piece = &piece[..left.min(piece.len())];
        out.extend_from_slice(piece);
        left -= piece.len();
        from = 0;
    }
}

/// SplitMix64's finaliser: neighbouring numbers give unrelated ones.
const fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

fn hex(number: u64) -> [u8; 16] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    std::array::from_fn(|place| DIGITS[(number >> (60 - 4 * place)) as usize & 15])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn body(seq: u64, size: usize) -> Vec<u8> {
        let mut out = Vec::new();
        write(seq, size, &mut out);
        out
    }

    #[test]
    fn the_smallest_size_holds_the_largest_number() {
        assert_eq!(body(u64::MAX, MIN_SIZE).len(), MIN_SIZE);
        assert_eq!(body(u64::MAX, 0).len(), MIN_SIZE);
    }

    #[test]
    fn says_what_is_wrong() {
        let mut shorter = body(7, 200);
        shorter.truncate(150);
        for (bad, words) in [
            (&b""[..], "does not begin"),
            (b"{\"seq\":}", "no number"),
            (b"{\"seq\":99999999999999999999}", "no number"),
            (&shorter, "body 7 of 150 bytes was changed"),
        ] {
            let error = verify(bad).expect_err(words);
            assert!(error.contains(words), "{error}");
        }
    }

    proptest! {
        #[test]
        fn is_json_of_that_size_that_verifies(seq: u64, size in MIN_SIZE..200_000) {
            let body = body(seq, size);
            prop_assert_eq!(body.len(), size);
            prop_assert_eq!(verify(&body), Ok(seq));
            let json: serde_json::Value = serde_json::from_slice(&body).expect("a body is JSON");
            prop_assert_eq!(json["seq"].as_u64(), Some(seq));
        }

        #[test]
        fn any_changed_byte_is_found(seq: u64, size in MIN_SIZE..500, at: prop::sample::Index, flip in 1u8..) {
            let mut body = body(seq, size);
            let at = at.index(size);
            body[at] ^= flip;
            // A changed digit is another record's number: that must not verify either.
            prop_assert!(verify(&body).is_err());
        }
    }
}
