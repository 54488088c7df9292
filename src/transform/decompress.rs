//! `decompress`: bodies that were compressed by whoever sent them.
//!
//! # The contract
//! - What comes out is no larger than `max_size`, whatever the body claims: a small body can stand for a very large one.
//! - A body that is cut off, is followed by other bytes, or does not match its own checksum fails: half of it never goes on.
//! - The record says no longer that its body is compressed.
//! - A tombstone goes on unchanged, and so does what names no compression that is known here.

mod format;
mod inflate;

use bytes::Bytes;
use gantry_sdk::{
    Record, Result, Transform, Value, Working,
    config::{Problem, Size},
    plugin::TransformConfig,
    transform::Verdict,
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::policy::Otherwise;
pub use format::Format;
use inflate::{Limited, inflate};

/// The header that says it where the property does not.
const HEADER: &str = "content-encoding";

/// More than one is rare, and many are an attack.
const MOST_ENCODINGS: usize = 4;

/// The options of the `decompress` transform.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// How bodies are compressed.
    #[serde(default)]
    pub format: Format,
    /// How large a body may become. A larger one fails.
    #[serde(default = "default_max_size")]
    pub max_size: Size,
    /// What becomes of a record whose body is not compressed like that, or becomes too large.
    #[serde(default = "Otherwise::fail")]
    pub on_invalid: Otherwise,
}

// What a broker takes is seldom more than 1 MiB. What comes out is in no other limit.
const fn default_max_size() -> Size {
    Size::mib(8)
}

/// Does it to every record.
#[derive(Debug)]
struct Decompress {
    format: Format,
    max_size: usize,
    on_invalid: Otherwise,
}

impl TransformConfig for Options {
    fn check(&self) -> Vec<Problem> {
        let empty = (self.max_size.0 == 0).then(|| Problem::error("max_size", "0 lets no body through"));
        empty.into_iter().collect()
    }

    fn build(self) -> Result<Box<dyn Transform>> {
        super::refusal::refuse(&self.check())?;
        let Self { format, max_size, on_invalid } = self;
        Ok(Box::new(Decompress { format, max_size: max_size.to_usize(), on_invalid }))
    }
}

impl Transform for Decompress {
    fn apply(&mut self, batch: &mut Working) {
        batch.each(|record| {
            if let Err(reason) = self.decompress(record) {
                self.on_invalid.allow(|| format!("decompress: {reason}"))?;
            }
            Ok(Verdict::Keep)
        });
    }
}

impl Decompress {
    fn decompress(&self, record: &mut Record) -> Result<(), String> {
        let Some(body) = &record.value else { return Ok(()) };
        let formats = match self.format {
            Format::Auto => match named(record)? {
                Some(formats) => formats,
                None => return Ok(()),
            },
            forced => vec![forced],
        };
        let mut body = body.clone();
        // The last one was put on last.
        for format in formats.iter().rev() {
            body = self.one(*format, &body)?;
        }
        record.value = Some(body);
        forget(record, &formats);
        Ok(())
    }

    fn one(&self, format: Format, body: &[u8]) -> Result<Bytes, String> {
        match inflate(format, body, self.max_size) {
            Ok(out) => Ok(out.into()),
            Err(Limited::Invalid) => {
                Err(format!("the body ({} bytes) is not {}, or cut off", body.len(), format.as_str()))
            }
            Err(Limited::TooLarge) => Err(format!(
                "the body ({} bytes of {}) becomes larger than {} bytes; max_size allows no more",
                body.len(),
                format.as_str(),
                self.max_size
            )),
        }
    }
}

/// The compressions that the record names, in the order in which they were put on; `None` when it names none, or one that is
/// not known.
fn named(record: &Record) -> Result<Option<Vec<Format>>, String> {
    let Some(encoding) = encoding(record) else { return Ok(None) };
    let encoding = encoding.to_ascii_lowercase();
    let names = encoding.split(',').map(str::trim).filter(|name| !matches!(*name, "" | "identity"));
    let formats: Option<Vec<Format>> = names.map(Format::named).collect();
    match formats {
        Some(formats) if formats.len() > MOST_ENCODINGS => {
            Err(format!("{} content encodings; at most {MOST_ENCODINGS} are undone", formats.len()))
        }
        formats => Ok(formats.filter(|formats| !formats.is_empty())),
    }
}

/// What the property says, or else the header.
fn encoding(record: &Record) -> Option<String> {
    let property = record.properties().content_encoding.as_deref();
    let header = || {
        let (_, value) = record.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(HEADER))?;
        String::from_utf8(value.to_text()?.to_vec()).ok()
    };
    property.map(str::to_owned).or_else(header)
}

/// Takes away what says that the body is compressed, and nothing that says something else.
fn forget(record: &mut Record, formats: &[Format]) {
    let names = |text: &str| {
        text.split(',')
            .map(|name| Format::named(name.trim().to_ascii_lowercase().as_str()))
            .all(|own| own.is_some_and(|own| formats.contains(&own)))
    };
    if record.properties().content_encoding.as_deref().is_some_and(names) {
        record.properties_mut().content_encoding = None;
    }
    record.headers.retain(|(name, value)| {
        let says_so =
            || matches!(value, Value::String(text) | Value::Bytes(text) if str::from_utf8(text).is_ok_and(names));
        !(name.eq_ignore_ascii_case(HEADER) && says_so())
    });
}

// === impl Format ===

impl Format {
    /// By its name in a content encoding.
    fn named(name: &str) -> Option<Self> {
        match name {
            "gzip" | "x-gzip" => Some(Self::Gzip),
            "zstd" => Some(Self::Zstd),
            "deflate" => Some(Self::Deflate),
            _ => None,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "compressed",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Deflate => "deflate",
        }
    }
}

#[cfg(test)]
mod tests;
