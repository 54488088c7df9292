//! Bytes out of compressed bytes, never more than allowed.

use std::io::Read;

use flate2::{Decompress, FlushDecompress, Status, bufread::MultiGzDecoder};

use super::format::Format;

/// Why nothing came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limited {
    /// It is something else, cut off, damaged, or has more behind it.
    Invalid,
    TooLarge,
}

/// How much room is made at a time.
const STEP: usize = 32 << 10;

pub(super) fn inflate(format: Format, body: &[u8], most: usize) -> Result<Vec<u8>, Limited> {
    match format {
        Format::Auto => Err(Limited::Invalid),
        Format::Gzip => read(MultiGzDecoder::new(body), most),
        Format::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(body).map_err(|_| Limited::Invalid)?;
            decoder.window_log_max(window(most)).map_err(|_| Limited::Invalid)?;
            read(decoder, most)
        }
        Format::Deflate => deflate(body, most),
    }
}

/// The window that a frame may ask for, as a power of two: what comes out at most, and never less than every decoder has to
/// offer.
fn window(most: usize) -> u32 {
    const LEAST: u32 = 23;
    const MOST: u32 = 27;
    most.checked_ilog2().map_or(LEAST, |log| log + 1).clamp(LEAST, MOST)
}

/// Everything that the decoder yields. It fails by itself when its input ends too early.
fn read(decoder: impl Read, most: usize) -> Result<Vec<u8>, Limited> {
    let mut out = Vec::new();
    let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    decoder.take(limit).read_to_end(&mut out).map_err(|_| Limited::Invalid)?;
    if out.len() > most { Err(Limited::TooLarge) } else { Ok(out) }
}

/// HTTP's `deflate` is zlib; many send it without the frame.
fn deflate(body: &[u8], most: usize) -> Result<Vec<u8>, Limited> {
    let is_zlib = matches!(body, [first, second, ..]
        if first & 0x0f == 8 && (u16::from(*first) << 8 | u16::from(*second)).is_multiple_of(31));
    let mut decoder = Decompress::new(is_zlib);
    let (mut out, mut rest) = (Vec::new(), body);
    loop {
        if out.len() > most {
            return Err(Limited::TooLarge);
        }
        out.reserve(STEP);
        let (came, went) = (decoder.total_out(), decoder.total_in());
        let status = decoder.decompress_vec(rest, &mut out, FlushDecompress::None).map_err(|_| Limited::Invalid)?;
        let used = usize::try_from(decoder.total_in() - went).unwrap_or(rest.len());
        rest = &rest[used..];
        match status {
            Status::StreamEnd if rest.is_empty() => break,
            Status::StreamEnd => return Err(Limited::Invalid),
            // Nothing moves any more: the end is missing.
            Status::Ok | Status::BufError if used == 0 && decoder.total_out() == came => return Err(Limited::Invalid),
            Status::Ok | Status::BufError => {}
        }
    }
    if out.len() > most { Err(Limited::TooLarge) } else { Ok(out) }
}
